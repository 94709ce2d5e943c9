import ControlClient
import ControlModel
import Dispatch
import Glibc
import HTTPService
import Logging
import Support
import Testing

@testable import ControlAPI

@Suite struct SocketTests {
  private let directory: TemporaryDirectory
  private let server = ControlServer(service: StandInService(), logger: silent)
  private var path: String { directory.path + "/martlet.sock" }

  init() throws { directory = try TemporaryDirectory() }

  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  private func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  @Test func modeAndDirectories() throws {
    let path = directory.path + "/a/b/martlet.sock"
    try server.start(socketPath: path)
    defer { server.stop() }
    #expect(mode(path) == 0o660)
    #expect(mode(directory.path + "/a") == 0o755)
    #expect(mode(directory.path + "/a/b") == 0o755)
    // One that was there keeps its mode.
    #expect(mode(directory.path) == 0o700)
  }

  @Test func stopTakesTheSocketAway() throws {
    try server.start(socketPath: path)
    server.stop()
    #expect(!exists(path))
    server.stop()
    try server.start(socketPath: path)
    #expect(try ControlClient(socketPath: path).version() == Version.current)
    server.stop()
  }

  @Test func staleSocketIsReplaced() throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(try UnixSocketAddress(path: path).bind(descriptor) == 0)
    close(descriptor)
    try server.start(socketPath: path)
    defer { server.stop() }
    #expect(try ControlClient(socketPath: path).version() == Version.current)
  }

  @Test func livingDaemonIsLeftAlone() throws {
    try server.start(socketPath: path)
    defer { server.stop() }
    let second = ControlServer(service: StandInService(), logger: silent)
    #expect(throws: ControlError(.conflict, "a daemon is already listening at \(path)")) {
      try second.start(socketPath: path)
    }
    #expect(try ControlClient(socketPath: path).version() == Version.current)
  }

  /// Who took our name after us keeps it.
  @Test func anothersSocketIsNotTakenAway() throws {
    try server.start(socketPath: path)
    unlink(path)
    let second = ControlServer(service: StandInService(), logger: silent)
    try second.start(socketPath: path)
    defer { second.stop() }
    server.stop()
    #expect(try ControlClient(socketPath: path).version() == Version.current)
  }

  /// A service manager's: it goes on listening when the daemon has ended, and its file stays.
  @Test func inheritedSocketIsServedAndStays() throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    #expect(try UnixSocketAddress(path: path).bind(descriptor) == 0)
    #expect(listen(descriptor, 8) == 0)
    for _ in 0..<2 {
      try server.start(inherited: dup(descriptor), name: path)
      #expect(try ControlClient(socketPath: path).version() == Version.current)
      server.stop()
      #expect(exists(path))
    }
    let waiting = try RawClient(path)
    waiting.send("GET /v1/version HTTP/1.1\r\nConnection: close\r\n\r\n")
    try server.start(inherited: dup(descriptor), name: path)
    defer { server.stop() }
    #expect(try #require(waiting.readToEnd()).hasPrefix("HTTP/1.1 200 OK\r\n"))
  }

  @Test func otherFilesAreLeftAlone() throws {
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    #expect(throws: ControlError(.conflict, "\(path) exists and is not a socket; it is left as it is")) {
      try server.start(socketPath: path)
    }
    #expect(exists(path))
  }

  @Test func longestPath() throws {
    let room = UnixSocketAddress.pathBytesMax - directory.path.utf8.count - 1
    let longest = directory.path + "/" + String(repeating: "s", count: room)
    try server.start(socketPath: longest)
    #expect(try ControlClient(socketPath: longest).version() == Version.current)
    server.stop()
    let error = ControlError(.invalid, "the socket path \(longest)s is too long: 108 bytes where 107 fit")
    #expect(throws: error) { try server.start(socketPath: longest + "s") }
    #expect(throws: error) { try ControlClient(socketPath: longest + "s").version() }
    #expect(throws: ControlError.self) { try server.start(socketPath: "") }
  }

  @Test func noDirectory() throws {
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    let error = #expect(throws: ControlError.self) { try server.start(socketPath: path + "/martlet.sock") }
    #expect(error?.message.contains("Not a directory") == true)
  }

  /// The answer under way still goes out.
  @Test func stopWaitsForTheAnswer() throws {
    let (entered, proceed) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let service = StandInService { _ in
      entered.signal()
      proceed.wait()
    }
    let server = ControlServer(service: service, logger: silent)
    try server.start(socketPath: path)
    let raw = try RawClient(path)
    raw.send("GET /v1/networks HTTP/1.1\r\n\r\n")
    entered.wait()
    let stopped = DispatchGroup()
    DispatchQueue.global().async(group: stopped) { server.stop() }
    while exists(path) { sched_yield() }
    proceed.signal()
    let answer = try #require(raw.readToEnd())
    stopped.wait()
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(service.calls == [.networks])
  }
}
