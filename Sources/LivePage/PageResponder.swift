import ControlModel
import HTTPService
import NIOHTTP1

/// `GET /` is the page, `/state.json` what it draws, `/tables.json?network=ID` the MAC table and sessions of one network.
struct PageResponder: Responder {
  static let statePath = "/state.json"
  static let tablesPath = "/tables.json"
  private static let networkKey = "network="
  private static let htmlType = "text/html; charset=utf-8"
  private static let textType = "text/plain; charset=utf-8"

  /// With every answer: no other site reads it, frames it, or has it taken for something else, and nobody keeps it.
  private static let headers = [
    ("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"), ("cross-origin-opener-policy", "same-origin"),
  ]
  private static let policyName = "content-security-policy"
  private static let closedPolicy = "default-src 'none'; frame-ancestors 'none'"

  let source: PageSource
  private let document = PageDocument()

  init(source: PageSource) { self.source = source }

  func answer(_ head: HTTPRequestHead, body: [UInt8]) -> Answer {
    let hosts = head.headers["host"]
    guard hosts.count == 1, HostHeader.isLoopback(hosts[0]) else {
      return Self.text(
        "this page is for this host: ask by localhost, 127.0.0.1 or [::1]", status: .misdirectedRequest)
    }
    let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let (path, query) = (parts.first ?? "", parts.count > 1 ? parts[1] : "")
    guard path == "/" || path == Self.statePath || path == Self.tablesPath else {
      return Self.text("nothing here: the page is at /", status: .notFound)
    }
    guard head.method == .GET || head.method == .HEAD else {
      var answer = Self.text("the page is only read", status: .methodNotAllowed)
      answer.allow = "GET, HEAD"
      return answer
    }
    do throws(ControlError) {
      switch path {
      case Self.statePath: return Self.json(try source.state())
      case Self.tablesPath: return Self.json(try source.tables(of: try Self.network(in: query)))
      default: return page()
      }
    } catch {
      return refusal(error, status: Self.status(for: error.code))
    }
  }

  func answer(_ method: HTTPMethod, _ target: String, body: [UInt8]) -> Answer {
    answer(HTTPRequestHead(version: .http1_1, method: method, uri: target), body: body)
  }

  func refusal(_ error: ControlError, status: HTTPResponseStatus) -> Answer { Self.text(error.message, status: status) }

  private func page() -> Answer {
    var generator = SystemRandomNumberGenerator()
    let nonce = String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    let policy = """
      default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; base-uri 'none'; \
      form-action 'none'; frame-ancestors 'none'
      """
    return Answer(
      status: .ok, body: document.bytes(nonce: nonce), contentType: Self.htmlType,
      headers: Self.headers + [(Self.policyName, policy)])
  }

  /// A network's id is letters and digits: nothing of it is escaped.
  private static func network(in query: Substring) throws(ControlError) -> String {
    let id = query.hasPrefix(networkKey) ? query.dropFirst(networkKey.count) : ""
    guard !id.isEmpty, id.utf8.allSatisfy({ ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) })
    else { throw ControlError(.invalid, "a network's id is needed: \(tablesPath)?\(networkKey)ID") }
    return String(id)
  }

  private static func status(for code: ControlError.Code) -> HTTPResponseStatus {
    switch code {
    case .invalid: .badRequest
    case .notFound: .notFound
    default: .internalServerError
    }
  }

  private static func json(_ body: [UInt8]) -> Answer {
    Answer(status: .ok, body: body, headers: headers + [(policyName, closedPolicy)])
  }

  private static func text(_ message: String, status: HTTPResponseStatus) -> Answer {
    Answer(
      status: status, body: Array("\(message)\n".utf8), contentType: textType,
      headers: headers + [(policyName, closedPolicy)])
  }
}
