import ControlModel
import FoundationEssentials
import NIOHTTP1

/// What goes back to the client: a body, or nothing with 204.
public struct Answer: Sendable {
  public static let jsonType = "application/json"

  public var status: HTTPResponseStatus
  public var body: [UInt8]
  public var contentType: String
  /// The methods a path has, for 405 (RFC 9110, section 15.5.6).
  public var allow: String?
  /// Further fields of the header.
  public var headers: [(name: String, value: String)]

  public init(
    status: HTTPResponseStatus, body: [UInt8] = [], contentType: String = Self.jsonType, allow: String? = nil,
    headers: [(name: String, value: String)] = []
  ) {
    (self.status, self.body, self.contentType, self.allow) = (status, body, contentType, allow)
    self.headers = headers
  }

  public static let done = Answer(status: .noContent)

  public static func json(
    _ value: some Encodable, status: HTTPResponseStatus = .ok, contentType: String = Self.jsonType
  ) throws(ControlError) -> Answer {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return Answer(status: status, body: Array(try encoder.encode(value)), contentType: contentType)
    } catch {
      throw ControlError(.system, "the answer cannot be written as JSON: \(error)")
    }
  }
}
