import ControlModel
import HTTPService
import NIOHTTP1
import Synchronization

/// One method of one path.
struct Route: Sendable {
  typealias Handler = @Sendable (Request, any ControlService) throws(ControlError) -> Answer

  let method: HTTPMethod
  /// As in docs/openapi.yaml: `{name}` stands for one segment that is not empty.
  let template: String
  /// The query parameters that mean something here.
  let query: Set<String>
  /// Waits for what may not happen soon: not in turn with other calls.
  let mayWait: Bool
  let handler: Handler
  private let segments: [Substring]

  init(
    _ method: HTTPMethod, _ template: String, query: Set<String> = [], mayWait: Bool = false,
    handler: @escaping Handler
  ) {
    (self.method, self.template, self.query, self.handler) = (method, template, query, handler)
    self.mayWait = mayWait
    segments = template.split(separator: "/", omittingEmptySubsequences: false)
  }

  /// The segments that stand for the template's parameters, still percent-encoded, or nil where `path` is another's.
  func match(_ path: [Substring]) -> [Substring]? {
    guard path.count == segments.count else { return nil }
    var captures: [Substring] = []
    for (given, expected) in zip(path, segments) {
      if expected.hasPrefix("{") {
        guard !given.isEmpty else { return nil }
        captures.append(given)
      } else if given != expected {
        return nil
      }
    }
    return captures
  }
}

/// One call after the other.
final class Turns: Sendable {
  private let mutex = Mutex(())

  func take(_ body: () throws(ControlError) -> Answer) throws(ControlError) -> Answer {
    try mutex.withLock { _ throws(ControlError) in try body() }
  }
}

/// Finds the route of a request and calls it. Routes are tried in order, so those with more literal segments come first.
struct Router: Sendable {
  let routes: [Route]

  /// Never fails: what goes wrong becomes the answer. Blocks as long as the service does.
  /// - Parameter turns: of those calls that do not wait.
  func answer(
    _ method: HTTPMethod, _ target: String, body: [UInt8], service: any ControlService, turns: Turns = Turns()
  ) -> Answer {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].split(separator: "/", omittingEmptySubsequences: false)
    let matches = routes.compactMap { route in route.match(path).map { (route: route, captures: $0) } }
    guard !matches.isEmpty else { return Answer(ControlError(.notFound, "there is no path \(parts[0]) here")) }
    guard let match = matches.first(where: { $0.route.method == method }) else {
      let allowed = matches.map(\.route.method.rawValue).sorted().joined(separator: ", ")
      let error = ControlError(.invalid, "\(parts[0]) does not take \(method.rawValue), only \(allowed)")
      return Answer(error, status: .methodNotAllowed, allow: allowed)
    }
    do {
      var captures: [String] = []
      for capture in match.captures { captures.append(try Self.percentDecoded(capture)) }
      let query = parts.count > 1 ? try Self.query(parts[1], of: match.route) : [:]
      let request = Request(captures: captures, query: query, body: body)
      if match.route.mayWait { return try match.route.handler(request, service) }
      return try turns.take { () throws(ControlError) in try match.route.handler(request, service) }
    } catch {
      return Answer(error)
    }
  }

  private static func query(_ text: Substring, of route: Route) throws(ControlError) -> [String: String] {
    var query: [String: String] = [:]
    for item in text.split(separator: "&") {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let key = try percentDecoded(pair[0])
      guard route.query.contains(key) else { throw ControlError(.invalid, "unknown query parameter \(key)") }
      query[key] = try percentDecoded(pair.count > 1 ? pair[1] : "")
    }
    return query
  }

  /// RFC 3986, section 2.1.
  static func percentDecoded(_ text: Substring) throws(ControlError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
        throw ControlError(.invalid, "\(text): a percent sign must be followed by two hexadecimal digits")
      }
      bytes.append(high << 4 | low)
    }
    guard let decoded = String(validating: bytes, as: UTF8.self), !decoded.utf8.contains(0) else {
      throw ControlError(.invalid, "\(text) does not decode to UTF-8")
    }
    return decoded
  }

  private static func hexadecimal(_ digit: UInt8) -> UInt8? {
    Character(UnicodeScalar(digit)).hexDigitValue.map(UInt8.init)
  }
}
