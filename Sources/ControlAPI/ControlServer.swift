import ControlModel
import HTTPService
import Logging
import NIOHTTP1

/// Serves a `ControlService` as HTTP/1.1 with JSON on a Unix socket (docs/api.md). The service is called one call at a time, as they
/// came; only who waits for a capture's frames does so beside the others, on a thread of its own. `start` and `stop` may come from any
/// thread but those.
public final class ControlServer: Sendable {
  private let server: HTTPServer

  public convenience init(service: any ControlService, logger: Logger) {
    self.init(service: service, logger: logger, limits: ServerLimits())
  }

  init(service: any ControlService, logger: Logger, limits: ServerLimits) {
    server = HTTPServer(
      responder: ServiceResponder(service: service), threads: 1 + CaptureLimits.sessions, logger: logger, limits: limits
    )
  }

  /// As `HTTPServer.start(socketPath:)`.
  public func start(socketPath: String) throws(ControlError) { try server.start(socketPath: socketPath) }

  /// As `HTTPServer.start(inherited:name:)`.
  public func start(inherited descriptor: Int32, name: String) throws(ControlError) {
    try server.start(inherited: descriptor, name: name)
  }

  /// As `HTTPServer.stop`.
  public func stop() { server.stop() }
}

private struct ServiceResponder: Responder {
  let service: any ControlService
  let turns = Turns()

  func answer(_ method: HTTPMethod, _ target: String, body: [UInt8]) -> Answer {
    Router.v1.answer(method, target, body: body, service: service, turns: turns)
  }

  func refusal(_ error: ControlError, status: HTTPResponseStatus) -> Answer { Answer(error, status: status) }
}
