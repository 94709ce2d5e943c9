import ControlModel
import Glibc
import HTTPService
import Logging
import Support
import Testing

@testable import Metrics

private struct StandInSource: MeasurementSource {
  var refusal: ControlError?

  func measurements() throws(ControlError) -> Measurements {
    if let refusal { throw refusal }
    return ExpositionTests.measured
  }
}

@Suite struct ServerTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/metrics.sock" }
  private static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

  init() throws { directory = try TemporaryDirectory() }

  private func server(_ source: StandInSource = StandInSource(), limits: ServerLimits = MetricsServer.limits)
    -> MetricsServer
  {
    MetricsServer(source: source, logger: Self.silent, limits: limits)
  }

  private func ask(_ request: String, _ source: StandInSource = StandInSource()) throws -> (head: String, body: String)
  {
    let server = server(source)
    try server.start(socketPath: path)
    defer { server.stop() }
    let client = try RawClient(path)
    client.send(request)
    client.endSending()
    let answer = try #require(client.readToEnd())
    let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
    return (String(parts[0]).lowercased(), parts.count > 1 ? String(parts[1]) : "")
  }

  @Test func answersInTheFormatThatIsAskedFor() throws {
    let text = try ask("GET /metrics HTTP/1.1\r\n\r\n")
    #expect(text.head.hasPrefix("http/1.1 200 ") && text.head.contains("content-type: text/plain; version=0.0.4;"))
    #expect(text.body.contains("\n# TYPE martlet_port_receive_frames_total counter\n"))
    // Several fields of one name are one list (RFC 9110, section 5.3).
    let open = try ask(
      "GET /metrics?x=1 HTTP/1.1\r\nAccept: text/plain;q=0.1\r\nAccept: application/openmetrics-text\r\n\r\n")
    #expect(open.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"))
    #expect(open.body.hasSuffix("\n# EOF\n"))
  }

  @Test func headHasNoBody() throws {
    let answer = try ask("HEAD /metrics HTTP/1.1\r\n\r\n")
    #expect(answer.head.hasPrefix("http/1.1 200 ") && answer.body.isEmpty)
  }

  @Test(arguments: ["/", "/metrics/", "/metric", "/v1/networks", "/v1/shutdown", "*", "//metrics", "/METRICS"])
  func servesNothingElse(target: String) throws {
    #expect(try ask("GET \(target) HTTP/1.1\r\n\r\n").head.hasPrefix("http/1.1 404 "))
  }

  @Test func changesNothing() throws {
    let answer = try ask("DELETE /metrics HTTP/1.1\r\n\r\n")
    #expect(answer.head.hasPrefix("http/1.1 405 ") && answer.head.contains("allow: get, head"))
    #expect(try ask("POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx").head.hasPrefix("http/1.1 413 "))
  }

  @Test func aSourceThatFailsIsAnError() throws {
    let answer = try ask(
      "GET /metrics HTTP/1.1\r\n\r\n", StandInSource(refusal: ControlError(.system, "the disk is full")))
    #expect(answer.head.hasPrefix("http/1.1 500 ") && answer.body == "the disk is full\n")
  }

  @Test func oneConnectionTooManyIsTold() throws {
    var limits = MetricsServer.limits
    limits.connectionsMax = 1
    let server = server(limits: limits)
    try server.start(socketPath: path)
    defer { server.stop() }
    let first = try RawClient(path)
    first.send("GET /metrics HTTP/1.1\r\n\r\n")
    #expect(first.readAnswer()?.head.hasPrefix("HTTP/1.1 200 ") == true)
    #expect(try RawClient(path).readToEnd()?.hasPrefix("HTTP/1.1 503 ") == true)
  }

  /// Loopback of both families, and every address.
  @Test(arguments: [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1")])
  func servesOverTCP(address: String, asked: String) throws {
    let server = server()
    let port = try server.start(address: address, port: 0)
    let client = try RawClient(address: asked, port: port)
    client.send("GET /metrics HTTP/1.1\r\n\r\n")
    #expect(client.readAnswer()?.head.hasPrefix("HTTP/1.1 200 ") == true)
    let rival = self.server()
    let refused = ControlError(.conflict, "cannot listen at \(address): port \(port)/tcp is already in use")
    #expect(throws: refused) { try rival.start(address: address, port: port) }
    server.stop()
    // The connection that has just ended does not hold the port.
    #expect(try rival.start(address: address, port: port) == port)
    rival.stop()
  }

  @Test func anotherHostsAddressIsRefused() throws {
    // TEST-NET-1 (RFC 5737).
    let error = #expect(throws: ControlError.self) { try server().start(address: "192.0.2.1", port: 9100) }
    #expect(error?.code == .conflict && error?.message.contains("no address of the host") == true)
    #expect(throws: ControlError.self) { try server().start(address: "localhost", port: 9100) }
    #expect(throws: ControlError.self) { try server().start(address: "127.0.0.1", port: 65_536) }
  }
}
