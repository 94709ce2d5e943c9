import Etcd
import Foundation
import Support
import Synchronization
import Testing

/// Whatever comes back, a call ends with an error in words, in the time it has.
@Suite(.enabled(if: EtcdServer.isThere, EtcdBed.skip))
struct HostileAnswerTests {
  private func with(
    _ end: FakeServer.End, _ pieces: some Sequence<String> & Sendable,
    _ change: (inout EtcdLimits) -> Void = { _ in }, _ body: (EtcdClient) throws -> Void
  ) throws {
    let namespace = try TestNamespace()
    let server = try namespace.inside { try FakeServer(end) { AnySequence(pieces) } }
    defer { server.stop() }
    let client = try namespace.client(["http://127.0.0.1:\(server.port)"]) {
      $0.limits.answerTimeout = .milliseconds(300)
      $0.limits.patience = .milliseconds(700)
      change(&$0.limits)
    }
    try body(client)
    #expect(server.requestCount > 0)
  }

  private static func answer(_ body: String, status: String = "200 OK") -> [String] {
    ["HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"]
  }

  private static let streamHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

  private static func chunk(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }

  @Test(arguments: [
    "", "null", "[]", "{}", "{\"header\":{}}", "{\"header\":null}", "{\"header\":{\"revision\":\"-1\"}}",
    "{\"header\":{\"revision\":-7}}", "{\"header\":{\"revision\":\"9223372036854775808\"}}",
    "{\"header\":{\"revision\":1.5}}", "{\"header\":{\"revision\":\"\"}}", "{\"header\":{\"revision\":true}}",
    "{\"header\":{\"revision\":\"1\"},\"kvs\":{}}", "{\"header\":{\"revision\":\"1\"},\"kvs\":[null]}",
    "{\"header\":{\"revision\":\"1\"},\"kvs\":[{\"key\":\"not base64!\"}]}",
    "{\"header\":{\"revision\":\"1\"},\"kvs\":[{\"key\":\"YQ==\",\"version\":\"x\"}]}",
    "{\"header\":{\"revision\":\"1\"},\"more\":\"yes\"}", "<html>busy</html>", "{\"header\":{\"revision\":\"1\"",
    "\u{0}\u{1}\u{2}", String(repeating: "[", count: 100_000), String(repeating: "{\"a\":", count: 50_000),
  ])
  func noAnswerToARead(_ body: String) throws {
    try with(.silence, Self.answer(body)) { client in
      let error = expect(.malformed) { try client.range(.key("/a")) }
      #expect(error?.message.isEmpty == false)
    }
  }

  /// A page says that there are more, and none is behind it: no endless reading.
  @Test(arguments: ["[]", "[{\"key\":\"AA==\"}]", "[{}]"])
  func pagesThatLeadNowhere(_ values: String) throws {
    try with(
      .silence, Self.answer("{\"header\":{\"revision\":\"1\"},\"kvs\":\(values),\"count\":\"9\",\"more\":true}")
    ) { client in expect(.malformed) { try client.readAll(.prefix("/a")) } }
  }

  @Test func aTransactionWithTooFewAnswers() throws {
    try with(.silence, Self.answer("{\"header\":{\"revision\":\"1\"},\"succeeded\":true}")) { client in
      expect(.malformed) { try client.transaction([], success: [.put("/a", Data())]) }
    }
  }

  @Test(arguments: ["{\"ID\":\"-5\",\"TTL\":\"5\"}", "{\"TTL\":\"5\"}", "{\"ID\":null}"])
  func noLease(_ body: String) throws {
    try with(.silence, Self.answer(body)) { client in expect(.malformed) { try client.grantLease(seconds: 5) } }
  }

  @Test func whatIsNotEtcd() throws {
    try with(.silence, Self.answer("Not Found", status: "404 Not Found")) { client in
      #expect(expect(.malformed) { try client.range(.key("/a")) }?.message.contains("3.4 or later") == true)
    }
    try with(.close, ["220 mail.example ESMTP\r\n"]) { client in
      #expect(expect(.unreachable) { try client.range(.key("/a")) }?.message.contains("no HTTP") == true)
      expect(.uncertain) { try client.put("/a", Data()) }
    }
    try with(.silence, ["HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 1 << 20)]) { client in
      expect(.unreachable) { try client.range(.key("/a")) }
    }
  }

  @Test func moreThanIsTaken() throws {
    let piece = String(repeating: "x", count: 65_536)
    let endless = [Self.streamHead] + Array(repeating: Self.chunk(piece), count: 10_000)
    try with(
      .silence, endless,
      {
        $0.answerTimeout = .seconds(20); $0.patience = .seconds(30)
      }
    ) { client in
      expect(.tooLarge) { try client.range(.key("/a")) }
    }
  }

  @Test func silenceAndHalfAnAnswer() throws {
    for pieces in [[], ["HTTP/1.1 200 OK\r\nContent-Le"], ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"hea"]] {
      try with(.silence, pieces) { client in
        let error = expect(.unreachable) { try client.range(.key("/a")) }
        #expect(error?.message.contains("in time") == true, "\(error?.message ?? "")")
        // A change that may have been made is not sent again.
        expect(.uncertain) { try client.put("/a", Data()) }
      }
    }
    try with(.close, []) { client in expect(.uncertain) { try client.put("/a", Data()) } }
  }

  // MARK: Watches

  private static let created = "{\"result\":{\"header\":{\"revision\":\"5\"},\"created\":true}}\n"

  @Test(arguments: [
    "\n", "null\n", "{}\n", "{\"result\":5}\n", "{\"result\":{}}\n", "{\"result\":{\"created\":true}}\n",
    "{\"result\":{\"header\":{\"revision\":\"5\"}}}\n", "garbage\n", "{\"error\":{\"grpc_code\":\"x\"}}\n",
  ])
  func watchesThatDoNotBegin(_ line: String) throws {
    try with(.silence, [Self.streamHead, Self.chunk(line)]) { client in
      expect(.malformed) { try client.watch(.prefix("/a"), from: 1) }
    }
  }

  @Test(arguments: [
    "{\"result\":{\"events\":[{}]}}\n", "{\"result\":{\"events\":[{\"kv\":{}}]}}\n", "{\"result\":{\"events\":7}}\n",
    "{\"result\":{\"events\":[{\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"-3\"}}]}}\n",
    "{\"result\":{\"events\":[{\"type\":\"ADD\",\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"6\"}}]}}\n", "\n",
    "{\"result\":{\"header\":{}}}\n", "x\n",
    // Half a line, and silence.
    "{\"result\":{\"eve",
  ])
  func watchesThatGoWrong(_ line: String) throws {
    try with(.silence, [Self.streamHead, Self.chunk(Self.created), Self.chunk(line)]) { client in
      let watch = try client.watch(.prefix("/a"), from: 1)
      expect(.malformed) { try watch.next(within: .seconds(30)) }
    }
  }

  @Test func aWatchThatIsSilentOrEnds() throws {
    try with(.silence, [Self.streamHead]) { client in
      expect(.unreachable) { try client.watch(.prefix("/a"), from: 1) }
    }
    try with(.close, [Self.streamHead, Self.chunk(Self.created), "0\r\n\r\n"]) { client in
      let watch = try client.watch(.prefix("/a"), from: 1)
      expect(.unreachable) { try watch.next(within: .seconds(30)) }
    }
  }

  @Test func aLineWithoutEnd() throws {
    let piece = String(repeating: "x", count: 65_536)
    let endless = [Self.streamHead, Self.chunk(Self.created)] + Array(repeating: Self.chunk(piece), count: 10_000)
    try with(.silence, endless, { $0.answerBytesMax = 1 << 20 }) { client in
      let watch = try client.watch(.prefix("/a"), from: 1)
      expect(.tooLarge) { try watch.next(within: .seconds(30)) }
    }
  }

  /// What nobody takes stays with who sends it: the server cannot send on.
  @Test func whoReadsSlowlyIsWaitedFor() throws {
    let line =
      "{\"result\":{\"events\":[{\"kv\":{\"key\":\"YQ==\",\"mod_revision\":\"6\",\"value\":\""
      + String(repeating: "YWFh", count: 16_384) + "\"}}]}}\n"
    let sent = Atomic(0)
    let pieces = [Self.streamHead, Self.chunk(Self.created)] + Array(repeating: Self.chunk(line), count: 4000)
    let namespace = try TestNamespace()
    let server = try namespace.inside {
      try FakeServer(.silence) {
        AnySequence(
          pieces.lazy.map {
            sent.add(1, ordering: .relaxed)
            return $0
          })
      }
    }
    defer { server.stop() }
    let client = try namespace.client(["http://127.0.0.1:\(server.port)"]) { $0.limits.answerBytesMax = 1 << 20 }
    let watch = try client.watch(.prefix("/a"), from: 1)
    var last = -1
    try eventually("the server can send no more") {
      usleep(300_000)
      defer { last = sent.load(ordering: .relaxed) }
      return last == sent.load(ordering: .relaxed)
    }
    // The client's buffer, and the kernel's, which is at most 6 MB to receive and 4 MB to send (tcp_rmem, tcp_wmem).
    #expect(last * line.utf8.count < 16 << 20)
    for _ in 0..<200 { #expect(try watch.next(within: .seconds(30))?.events.count == 1) }
    try eventually("it sends on") { sent.load(ordering: .relaxed) > last }
  }
}
