import ControlModel
import HTTPService
import Logging

/// Serves a page that draws what the daemon has and counts (docs/live-page.md). However many look at it, the service is asked
/// about once a second, one question at a time. `start` and `stop` as `HTTPServer`'s.
public final class LivePageServer: Sendable {
  /// The page sends none.
  private static let bodyBytesMax = 0

  private let server: HTTPServer

  /// - Parameters: what is asked, on a thread of the server's: `service` for what there is, `source` for what is counted.
  public init(service: any ControlService, source: any MeasurementSource, logger: Logger) {
    server = HTTPServer(
      responder: PageResponder(source: PageSource(service, source)), threads: 1, logger: logger, limits: Self.limits)
  }

  private static var limits: ServerLimits {
    var limits = ServerLimits()
    (limits.connectionsMax, limits.bodyBytesMax) = (PageLimits.connectionsMax, bodyBytesMax)
    return limits
  }

  public func start(socketPath: String) throws(ControlError) { try server.start(socketPath: socketPath) }

  /// As `HTTPServer.start(address:port:)`. The caller sees to it that only this host reaches the address.
  public func start(address: String, port: Int) throws(ControlError) -> Int {
    try server.start(address: address, port: port)
  }

  public func stop() { server.stop() }
}
