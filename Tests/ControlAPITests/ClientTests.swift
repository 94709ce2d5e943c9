import ControlModel
import Dispatch
import Glibc
import HTTPService
import Support
import Testing

@testable import ControlClient

/// The client before servers that are not ours: answers as RFC 9112 allows them, and as it does not.
@Suite struct ClientTests {
  private static let version = Version(version: "9.8.7", apiVersion: "v1")
  private static let json = #"{"version":"9.8.7","api_version":"v1"}"#
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/other.sock" }

  init() throws { directory = try TemporaryDirectory() }

  /// What the client makes of `answer`, given to it in one piece and byte by byte.
  private func version(from answer: String, pieces: Bool = false) throws -> Version {
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    unlink(path)
    #expect(try UnixSocketAddress(path: path).bind(listener) == 0)
    listen(listener, 1)
    // A thread of its own: the test's blocks in the client.
    let served = DispatchGroup()
    DispatchQueue.global().async(group: served) {
      let connection = accept(listener, __SOCKADDR_ARG(__sockaddr__: nil), nil)
      var request = [UInt8](repeating: 0, count: 4096)
      _ = recv(connection, &request, request.count, 0)
      let bytes = Array(answer.utf8)
      for piece in pieces ? bytes.map({ [$0] }) : [bytes] {
        _ = send(connection, piece, piece.count, Int32(MSG_NOSIGNAL))
      }
      close(connection)
    }
    defer { served.wait() }
    return try ControlClient(socketPath: path, patienceSeconds: 5).version()
  }

  @Test(
    arguments: [
      "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n\(json)and more",
      "HTTP/1.1 200 OK\r\ncontent-length:38\r\n\r\n\(json)",
      "HTTP/1.1 200\r\nContent-Length: 38\r\n\r\n\(json)",
      "HTTP/1.0 200 OK\r\n\r\n\(json)",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n\(json)",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n26\r\n\(json)\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=b\r\n{\r\n25\r\n\(json.dropFirst())\r\n000\r\nT: x\r\n\r\n",
    ], [false, true])
  func goodAnswers(_ answer: String, pieces: Bool) throws {
    #expect(try version(from: answer, pieces: pieces) == Self.version)
  }

  @Test(arguments: [
    "", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n{",
    "HTTP/1.1 200 OK\r\nContent-Length: 2",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>",
    "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\n<a>", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "HTTP/1.1 200 OK\r\n" + String(repeating: "a", count: 100_000),
  ])
  func badAnswers(_ answer: String) throws {
    let error = #expect(throws: ControlError.self) { try version(from: answer) }
    #expect(error?.code == .unreachable)
    #expect(error?.message.contains("\n") == false)
    #expect(error?.message.contains(path) == true)
  }

  @Test func errorOfTheDaemon() throws {
    let body = #"{"error":{"code":"conflict","message":"taken"}}"#
    let answer = "HTTP/1.1 409 Conflict\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    #expect(throws: ControlError(.conflict, "taken")) { try version(from: answer) }
  }

  @Test func nobodyThere() throws {
    let absent = ControlError(
      .unreachable, "cannot reach martletd at \(path): No such file or directory; is it running?")
    #expect(throws: absent) { try ControlClient(socketPath: path).version() }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(try UnixSocketAddress(path: path).bind(descriptor) == 0)
    close(descriptor)
    let stale = ControlError(.unreachable, "cannot reach martletd at \(path): Connection refused; is it running?")
    #expect(throws: stale) { try ControlClient(socketPath: path).version() }
  }

  @Test func silentDaemon() throws {
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    #expect(try UnixSocketAddress(path: path).bind(listener) == 0)
    listen(listener, 1)
    let error = ControlError(.unreachable, "martletd at \(path) was silent for 1 s; it may still do what was asked")
    #expect(throws: error) { try ControlClient(socketPath: path, patienceSeconds: 1).version() }
  }
}
