import ControlModel
import HTTPService

/// A request as its route sees it.
struct Request: Sendable {
  /// What stands in the path for the template's `{...}`, in order, percent-decoded.
  var captures: [String]
  var query: [String: String]
  var body: [UInt8]

  /// As `JSONBody.decode`.
  func decoded<Body: Decodable>(as type: Body.Type = Body.self) throws(ControlError) -> Body {
    try JSONBody.decode(type, from: body)
  }

  /// As `decoded(as:)`; an empty body stands for `absent`.
  func decoded<Body: Decodable>(or absent: Body) throws(ControlError) -> Body {
    body.isEmpty ? absent : try decoded(as: Body.self)
  }
}
