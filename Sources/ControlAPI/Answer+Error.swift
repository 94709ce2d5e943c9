import ControlModel
import HTTPService
import NIOHTTP1

extension Answer {
  /// `status`: where HTTP has a closer one than the error's code.
  init(_ error: ControlError, status: HTTPResponseStatus? = nil, allow: String? = nil) {
    // Two strings always encode; were that ever to fail, the status alone still tells.
    let body = try? Answer.json(ErrorBody(error: error)).body
    self.init(status: status ?? error.code.status, body: body ?? [], allow: allow)
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
