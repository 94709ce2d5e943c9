import ControlModel
import NIOHTTP1

/// What an `HTTPServer` serves.
public protocol Responder: Sendable {
  /// Never fails: what goes wrong becomes the answer. Blocks its thread, of which the server may have several.
  func answer(_ method: HTTPMethod, _ target: String, body: [UInt8]) -> Answer
  /// For those whose answer hangs on the header too.
  func answer(_ head: HTTPRequestHead, body: [UInt8]) -> Answer
  /// Says in the protocol's form why the server itself has refused a request. Must not block.
  func refusal(_ error: ControlError, status: HTTPResponseStatus) -> Answer
}

extension Responder {
  public func answer(_ head: HTTPRequestHead, body: [UInt8]) -> Answer { answer(head.method, head.uri, body: body) }
}
