import ControlModel
import FoundationEssentials
import NIOHTTP1

/// What goes back to the client: JSON, or nothing with 204.
struct Answer: Sendable {
  var status: HTTPResponseStatus
  var body: [UInt8] = []
  /// The methods a path has, for 405 (RFC 9110, section 15.5.6).
  var allow: String?

  static let done = Answer(status: .noContent)

  static func json(_ value: some Encodable, status: HTTPResponseStatus = .ok) throws(ControlError) -> Answer {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return Answer(status: status, body: Array(try encoder.encode(value)))
    } catch {
      throw ControlError(.system, "the answer cannot be written as JSON: \(error)")
    }
  }

  /// `status`: where HTTP has a closer one than the error's code.
  init(_ error: ControlError, status: HTTPResponseStatus? = nil, allow: String? = nil) {
    let code = error.code
    // Two strings always encode; were that ever to fail, the status alone still tells.
    let body = try? Answer.json(ErrorBody(error: error)).body
    self.init(status: status ?? code.status, body: body ?? [], allow: allow)
  }

  init(status: HTTPResponseStatus, body: [UInt8] = [], allow: String? = nil) {
    (self.status, self.body, self.allow) = (status, body, allow)
  }
}

extension ControlError.Code {
  var status: HTTPResponseStatus {
    switch self {
    case .invalid: .badRequest
    case .notFound: .notFound
    case .conflict: .conflict
    case .exhausted: .insufficientStorage
    case .unsupported: .notImplemented
    case .system: .internalServerError
    case .tooLarge: .payloadTooLarge
    case .unreachable: .serviceUnavailable
    }
  }
}
