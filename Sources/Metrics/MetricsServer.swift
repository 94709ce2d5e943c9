import ControlModel
import HTTPService
import Logging
import NIOHTTP1

/// Serves metrics to a scraper: `GET /metrics`, and nothing else (docs/metrics.md). Each scrape asks the source once, one at a
/// time. `start` and `stop` as `HTTPServer`'s.
public final class MetricsServer: Sendable {
  /// A scraper has one, and keeps it.
  private static let connectionsMax = 16
  /// A scraper sends none.
  private static let bodyBytesMax = 0

  private let server: HTTPServer

  public convenience init(source: any MeasurementSource, logger: Logger) {
    self.init(source: source, logger: logger, limits: Self.limits)
  }

  init(source: any MeasurementSource, logger: Logger, limits: ServerLimits) {
    server = HTTPServer(responder: MetricsResponder(source: source), threads: 1, logger: logger, limits: limits)
  }

  static var limits: ServerLimits {
    var limits = ServerLimits()
    (limits.connectionsMax, limits.bodyBytesMax) = (connectionsMax, bodyBytesMax)
    return limits
  }

  public func start(socketPath: String) throws(ControlError) { try server.start(socketPath: socketPath) }

  /// As `HTTPServer.start(address:port:)`.
  public func start(address: String, port: Int) throws(ControlError) -> Int {
    try server.start(address: address, port: port)
  }

  public func stop() { server.stop() }
}

struct MetricsResponder: Responder {
  static let path = "/metrics"
  private static let textType = "text/plain; charset=utf-8"

  let source: any MeasurementSource

  func answer(_ head: HTTPRequestHead, body: [UInt8]) -> Answer {
    guard head.uri.prefix(while: { $0 != "?" }) == Self.path else {
      return Self.text("nothing here: metrics are at \(Self.path)", status: .notFound)
    }
    guard head.method == .GET || head.method == .HEAD else {
      var answer = Self.text("metrics are only read", status: .methodNotAllowed)
      answer.allow = "GET, HEAD"
      return answer
    }
    let exposition = Exposition(accept: head.headers["accept"].joined(separator: ","))
    do throws(ControlError) {
      let families = Family.all(of: try source.measurements())
      return Answer(status: .ok, body: exposition.write(families), contentType: exposition.contentType)
    } catch {
      return refusal(error, status: .internalServerError)
    }
  }

  func answer(_ method: HTTPMethod, _ target: String, body: [UInt8]) -> Answer {
    answer(HTTPRequestHead(version: .http1_1, method: method, uri: target), body: body)
  }

  func refusal(_ error: ControlError, status: HTTPResponseStatus) -> Answer { Self.text(error.message, status: status) }

  private static func text(_ message: String, status: HTTPResponseStatus) -> Answer {
    Answer(status: status, body: Array("\(message)\n".utf8), contentType: textType)
  }
}
