import ControlModel
import Logging
import NIOHTTP1
import Support
import Testing

@testable import LivePage

@Suite("Live page: the server") struct ServerTests {
  private static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
  private let source = StandInSource()

  private func ask(_ request: String) throws -> (head: String, body: String) {
    let server = LivePageServer(service: StandInService(), source: source, logger: Self.silent)
    let port = try server.start(address: "127.0.0.1", port: 0)
    defer { server.stop() }
    let client = try RawClient(address: "127.0.0.1", port: port)
    client.send(request)
    client.endSending()
    let answer = try #require(client.readToEnd())
    let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    return (String(parts[0]).lowercased(), parts.count > 1 ? String(parts[1]) : "")
  }

  private func get(_ target: String, host: String = "localhost") throws -> (head: String, body: String) {
    try ask("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
  }

  @Test("the page is one document: style and program are within, and nothing else may be loaded")
  func page() throws {
    let (head, body) = try get("/")
    #expect(head.hasPrefix("http/1.1 200 ") && head.contains("content-type: text/html; charset=utf-8"))
    #expect(body.contains("prefers-color-scheme") && body.contains("class Picture") && body.hasSuffix("</html>\n"))
    for mark in ["NONCE", "/* page", "http://", "https://", "src=", "href=", "@import", "url("] {
      // The name of SVG's elements is no address that is asked.
      let text = body.split(separator: "http://www.w3.org/2000/svg").joined()
      #expect(!text.contains(mark), "\(mark)")
    }
    for mark in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
      #expect(!body.contains(mark), "\(mark)")
    }
    let policy = try #require(head.split(separator: "\r\n").first { $0.hasPrefix("content-security-policy: ") })
    let nonce = try #require(policy.split(separator: "script-src 'nonce-").last?.prefix { $0 != "'" })
    #expect(policy.contains("default-src 'none'; ") && policy.contains("connect-src 'self'") && nonce.count > 20)
    #expect(body.contains("<script nonce=\"\(nonce)\">") && body.contains("<style nonce=\"\(nonce)\">"))
    #expect(try !get("/").body.contains(nonce), "each answer has its own")
  }

  @Test("what the page asks for is JSON", arguments: ["/state.json", "/tables.json?network=\(Sample.networks[0].id)"])
  func data(target: String) throws {
    let (head, body) = try get(target)
    #expect(head.hasPrefix("http/1.1 200 ") && head.contains("content-type: application/json"))
    #expect(body.hasPrefix("{") && body.hasSuffix("}"))
    #expect(try ask("HEAD \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n").body.isEmpty)
  }

  @Test(
    "every answer keeps to itself, an error too",
    arguments: ["/", "/state.json", "/nowhere", "/tables.json?network=0", "/tables.json"])
  func headers(target: String) throws {
    let head = try get(target).head
    for field in [
      "cache-control: no-store", "x-content-type-options: nosniff", "referrer-policy: no-referrer",
      "cross-origin-resource-policy: same-origin", "frame-ancestors 'none'",
    ] { #expect(head.contains(field), "\(field)") }
    #expect(!head.contains("access-control-"))
  }

  @Test("a name that is not this host's is not answered: somebody else's page asks", arguments: ["/", "/state.json"])
  func rebinding(target: String) throws {
    for host in ["rebound.example:9180", "127.0.0.1.rebound.example", ""] {
      let (head, body) = try get(target, host: host)
      #expect(head.hasPrefix("http/1.1 421 ") && body.hasPrefix("this page is for this host"))
    }
    let without = try ask("GET \(target) HTTP/1.1\r\n\r\n")
    #expect(without.head.hasPrefix("http/1.1 421 "))
    let two = try ask("GET \(target) HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example\r\n\r\n")
    #expect(!two.head.hasPrefix("http/1.1 200 "))
    #expect(source.calls == 0)
  }

  @Test(
    "nothing else is there",
    arguments: ["/index.html", "//", "/state", "/state.json/", "/v1/networks", "/metrics", "*", "http://localhost/"])
  func nothingElse(target: String) throws { #expect(try get(target).head.hasPrefix("http/1.1 404 ")) }

  @Test("nothing is changed")
  func changesNothing() throws {
    let answer = try ask("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    #expect(answer.head.hasPrefix("http/1.1 405 ") && answer.head.contains("allow: get, head"))
    let body = try ask("POST /state.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
    #expect(body.head.hasPrefix("http/1.1 413 ") && body.head.contains("nosniff"))
  }

  @Test("a network is named by its id, and one that is none is refused in a sentence")
  func badNetworks() throws {
    for query in ["", "?", "?network=", "?network=..%2f", "?net=a", "?network=a&network=b", "?network=<b>"] {
      let (head, body) = try get("/tables.json\(query)")
      #expect(head.hasPrefix("http/1.1 400 ") && body.hasPrefix("a network's id is needed"), "\(query)")
    }
    #expect(try get("/tables.json?network=ffff").head.hasPrefix("http/1.1 404 "))
    source.refusal = ControlError(.system, "the disk is full")
    let (head, body) = try get("/state.json")
    #expect(head.hasPrefix("http/1.1 500 ") && body == "the disk is full\n")
  }
}
