import ControlModel
import DockerDriver
import Logging

/// Docker's way to the control plane.
enum DockerPlugin {
  /// nil: it was turned off; or it was not asked for, and cannot be had, which is logged. Throws where it was asked for.
  static func start(
    _ setting: Configuration.DockerPlugin, driver: any NetworkDriver, logger: Logger,
    defaultPath: String = Configuration.defaultDockerPluginPath
  ) throws(ControlError) -> PluginServer? {
    let server = PluginServer(driver: driver, logger: logger)
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
}
