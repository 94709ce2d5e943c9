import ControlModel
import HTTPService
import Support
import Testing

@testable import ControlAPI

/// Requests as bytes: what a careless, slow or hostile client may send. None of it may reach the service as something else.
@Suite struct RequestTests {
  private static let close = "Connection: close\r\n\r\n"
  private let fixture: ServerFixture

  init() throws {
    var limits = ServerLimits()
    limits.clientPatience = .milliseconds(500)
    fixture = try ServerFixture(limits: limits)
  }

  private func exchange(_ request: String) throws -> String? {
    let raw = try RawClient(fixture.socketPath)
    raw.send(request)
    return raw.readToEnd()
  }

  private func post(_ path: String, _ body: String) throws -> String? {
    try exchange("POST \(path) HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\n\(Self.close)\(body)")
  }

  @Test(arguments: [
    (#"{"name": "lab""#, "line 1, column 15: a comma or } should be here"),
    ("{\"name\":\n  lab}", "line 2, column 3: a value should be here"),
    (#"{"name": "lab",,}"#, "line 1, column 16: a field's name in double quotes should be here"),
    (#"{"name": "lab"} x"#, "line 1, column 17: nothing may follow the value"),
    ("", "line 1, column 1: the text ends where a value should be"),
    (#"{"name": "lab", "mtu": 1.5}"#, "mtu: 1.5 is not a whole number that fits"),
    (#"{"name": "lab", "mtu": 99999999999999999999}"#, "mtu: 99999999999999999999 is not a whole number that fits"),
    (#"{"name": "lab", "mtu": "1500"}"#, "mtu must be a whole number"),
    (#"{"name": "lab", "subnets": ["10.0.0.0/24", 7]}"#, "subnets.[1] must be a string"),
    (#"{"name": "lab", "subnets": "10.0.0.0/24"}"#, "subnets must be an array"),
    (#"{"name": "lab", "internal": 1}"#, "internal must be true or false"),
    (#"{"name": null}"#, "name cannot be null, a string is needed"),
    (#"{"driver": "bridge"}"#, "name is missing"),
    (#"["lab"]"#, "the request's body must be an object"),
    (String(repeating: "[", count: 100_000), "more than 64 levels deep"),
  ])
  func malformedBody(_ body: String, message: String) throws {
    let answer = try #require(try post("/v1/networks", body))
    #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
    #expect(answer.contains(#""code":"invalid""#))
    #expect(answer.contains(message))
    #expect(fixture.service.calls.isEmpty)
  }

  @Test func unknownFieldsPass() throws {
    let answer = try post("/v1/networks", #"{"name": "lab", "colour": {"of": ["the", 1.5e3]}}"#)
    #expect(answer?.hasPrefix("HTTP/1.1 201 Created\r\n") == true)
    #expect(fixture.service.calls == [.createNetwork(NetworkRequest(name: "lab"))])
  }

  @Test(arguments: [
    ("GET /v1/nothing HTTP/1.1", 404), ("GET /v1/networks/ HTTP/1.1", 404), ("GET / HTTP/1.1", 404),
    ("GET //v1/networks HTTP/1.1", 404), ("GET /v1/networks/a/b/c HTTP/1.1", 404), ("GET /V1/networks HTTP/1.1", 404),
    ("PUT /v1/networks HTTP/1.1", 405), ("DELETE /v1/version HTTP/1.1", 405), ("HEAD /v1/version HTTP/1.1", 405),
    ("GET /v1/networks/%zz HTTP/1.1", 400), ("GET /v1/networks/%f HTTP/1.1", 400),
    ("GET /v1/networks/%-1 HTTP/1.1", 400),
    ("GET /v1/networks/%ff HTTP/1.1", 400), ("GET /v1/networks/a%00 HTTP/1.1", 400),
    ("GET /v1/statistics?netwrk=lab HTTP/1.1", 400), ("GET /v1/networks?x HTTP/1.1", 400),
    ("BREW /v1/networks HTTP/1.1", 400), ("GET /v1/networks HTTP/9.9", 400), ("\u{16}\u{3}\u{1}", 400), ("GET", 400),
  ])
  func wrongRequestLine(_ line: String, status: Int) throws {
    let answer = try #require(try exchange("\(line)\r\n\(Self.close)"))
    #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
    #expect(answer.contains(#"{"error":"#) != line.hasPrefix("HEAD"))
    #expect(answer.contains("content-length: "))
    #expect(fixture.service.calls.isEmpty)
  }

  @Test func methodsAllowed() throws {
    let answer = try exchange("PUT /v1/networks/prune HTTP/1.1\r\n\(Self.close)")
    #expect(answer?.contains("allow: DELETE, GET, PATCH, POST\r\n") == true)
  }

  /// RFC 9112, section 3.2 asks for Host in HTTP/1.1; on a Unix socket it says nothing.
  @Test(arguments: ["", "Host:\r\n", "Host: localhost\r\n"])
  func anyHost(_ host: String) throws {
    let answer = try exchange("GET /v1/version HTTP/1.1\r\n\(host)\(Self.close)")
    #expect(answer?.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
  }

  @Test func olderProtocolCloses() throws {
    let answer = try exchange("GET /v1/version HTTP/1.0\r\n\r\n")
    #expect(answer?.contains("HTTP/1.1 200 OK\r\n") == true)
    #expect(answer?.hasSuffix(#"{"api_version":"v1","version":"0.1.0"}"#) == true)
  }

  @Test func chunkedBody() throws {
    let request = "POST /v1/networks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\(Self.close)"
    let answer = try exchange(request + "7\r\n{\"name\"\r\n8;x=y\r\n: \"lab\"}\r\n0\r\nTrailer: x\r\n\r\n")
    #expect(answer?.hasPrefix("HTTP/1.1 201 Created\r\n") == true)
    #expect(fixture.service.calls == [.createNetwork(NetworkRequest(name: "lab"))])
  }

  /// RFC 9112, section 6.3: the way to smuggle a request past a proxy.
  @Test func twoLengthsAreRefused() throws {
    let answer = try exchange(
      "POST /v1/networks HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/shutdown")
    #expect(answer?.hasPrefix("HTTP/1.1 400 ") == true)
    #expect(fixture.service.calls.isEmpty)
  }

  @Test func expectedContinue() throws {
    let raw = try RawClient(fixture.socketPath)
    raw.send("POST /v1/networks HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\(Self.close)")
    #expect(raw.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 100 Continue\r\n") == true)
    raw.send(#"{"name":"lab"}"#)
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 201 Created\r\n") == true)
  }

  /// The client ends its side after the request, as `nc -N` does, and still gets its answer.
  @Test func halfClosed() throws {
    let raw = try RawClient(fixture.socketPath)
    raw.send("GET /v1/version HTTP/1.1\r\n\r\n")
    raw.endSending()
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
  }

  @Test(arguments: ["GET /v1/net", "POST /v1/networks HTTP/1.1\r\nContent-Length: 20\r\n\r\n{\"name\""])
  func halfARequestThenTheEnd(_ part: String) throws {
    let raw = try RawClient(fixture.socketPath)
    raw.send(part)
    raw.endSending()
    #expect(raw.readToEnd() != nil)
    #expect(fixture.service.calls.isEmpty)
  }

  @Test func halfARequestThenSilence() throws {
    let answer = try exchange("POST /v1/networks HTTP/1.1\r\nContent-Length: 20\r\n\r\n{\"name\"")
    #expect(answer?.hasPrefix("HTTP/1.1 408 Request Timeout\r\n") == true)
    #expect(fixture.service.calls.isEmpty)
  }

  @Test func silenceCloses() throws {
    #expect(try exchange("") == "")
    #expect(try exchange("GET /v1/ver") == "")
  }

  @Test func pipelinedAnswersKeepTheirOrder() throws {
    let names = (0..<50).map { "n\($0)" }
    let requests = names.map { "GET /v1/networks/\($0) HTTP/1.1\r\n\r\n" }
    let answer = try #require(try exchange(requests.joined() + "GET /v1/version HTTP/1.1\r\n\(Self.close)"))
    let answered = answer.split(separator: "nothing is called ").dropFirst().map { $0.prefix { $0 != "\"" } }
    #expect(answered.map(String.init) == names)
    #expect(answer.hasSuffix(#"{"api_version":"v1","version":"0.1.0"}"#))
  }
}
