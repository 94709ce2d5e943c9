import ControlModel
import DockerDriver
import Glibc
import Logging

/// Docker's way to the control plane.
enum DockerPlugin {
  /// Serves the socket that the service manager has handed over, else one of our own.
  ///
  /// nil: it was turned off; or it was not asked for, and cannot be had, which is logged. Throws where it was asked for.
  static func start(
    _ setting: Configuration.DockerPlugin, _ activated: ActivatedSockets.Socket? = nil, driver: any NetworkDriver,
    logger: Logger, defaultPath: String = Configuration.defaultDockerPluginPath
  ) throws(ControlError) -> PluginServer? {
    let server = PluginServer(driver: driver, logger: logger)
    if let activated { return try start(server, setting, activated, logger) }
    switch setting {
    case .off: return nil
    case .path(let path):
      try server.start(socketPath: path)
      logger.info("serving Docker at \(path)")
    case .whereItCanBe:
      do throws(ControlError) {
        try server.start(socketPath: defaultPath)
        logger.info("serving Docker at \(defaultPath)")
      } catch {
        logger.warning("not serving Docker: \(error): give another path by docker-plugin, or turn it off")
        return nil
      }
    }
    return server
  }

  /// Serves the networks of a swarm, beside those of this host alone. nil: it was not asked for.
  static func startForSwarm(
    _ path: String?, driver: any NetworkDriver, logger: Logger
  ) throws(ControlError) -> PluginServer? {
    guard let path else { return nil }
    let server = PluginServer(driver: driver, scope: .global, logger: logger)
    try server.start(socketPath: path)
    logger.info("serving Docker's swarm at \(path)")
    return server
  }

  private static func start(
    _ server: PluginServer, _ setting: Configuration.DockerPlugin, _ activated: ActivatedSockets.Socket,
    _ logger: Logger
  ) throws(ControlError) -> PluginServer? {
    if setting == .off {
      close(activated.descriptor)
      logger.warning(
        "not serving Docker at \(activated.path), which the service manager has opened: docker-plugin is off")
      return nil
    }
    if case .path(let path) = setting, path != activated.path {
      logger.warning(
        "not serving Docker at \(path), which the configuration names: the service manager has opened \(activated.path)"
      )
    }
    try server.start(inherited: activated.descriptor, name: activated.path)
    logger.info("serving Docker at \(activated.path)")
    return server
  }
}
