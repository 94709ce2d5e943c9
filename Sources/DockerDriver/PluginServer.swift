import ControlModel
import Glibc
import HTTPService
import Logging

/// Serves a `NetworkDriver` to Docker: its remote network driver and its remote IPAM driver, HTTP on a Unix socket
/// (docs/docker.md). Docker finds the plugin by the socket's name below /run/docker/plugins.
///
/// Calls of several containers come on connections of their own and are made at once. `start` and `stop` as `HTTPServer`'s.
public final class PluginServer: Sendable {
  /// As far as Docker's knowledge of the networks goes.
  public enum Scope: String, Sendable, CaseIterable {
    case local
    /// All nodes of a swarm. Docker takes that from a managed plugin only.
    case global
  }

  /// Calls that are under way at the same time. More wait.
  static let threads = 8
  /// As dockerd makes /run/docker: who reaches a plugin commands the engine's networks.
  private static let directoryMode: mode_t = 0o700

  private let server: HTTPServer

  public convenience init(driver: any NetworkDriver, scope: Scope = .local, logger: Logger) {
    self.init(driver: driver, scope: scope, logger: logger, limits: ServerLimits())
  }

  init(driver: any NetworkDriver, scope: Scope = .local, logger: Logger, limits: ServerLimits) {
    let plugin = Plugin(driver: driver, scope: scope, logger: logger)
    server = HTTPServer(responder: plugin, threads: Self.threads, logger: logger, limits: limits)
  }

  public func start(socketPath: String) throws(ControlError) {
    try server.start(socketPath: socketPath, directoryMode: Self.directoryMode)
  }

  public func start(inherited descriptor: Int32, name: String) throws(ControlError) {
    try server.start(inherited: descriptor, name: name)
  }

  public func stop() { server.stop() }
}
