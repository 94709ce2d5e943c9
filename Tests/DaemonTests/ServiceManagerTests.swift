import ControlModel
import Dispatch
import Glibc
import Synchronization
import Testing

@testable import martletd

/// A Unix socket in the abstract namespace; closed with its value.
private final class TestSocket {
  let descriptor: Int32
  let name = "martlet-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"

  init(listens: Bool = true) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: [0] + Array(name.utf8)) }
    let length = socklen_t(MemoryLayout.offset(of: \sockaddr_un.sun_path)! + 1 + name.utf8.count)
    let bound = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length)
      }
    }
    try #require(bound == 0)
    if listens { try #require(listen(descriptor, 1) == 0) }
  }

  deinit { close(descriptor) }
}

/// sd_listen_fds(3): what the three variables say.
@Suite struct ActivatedSocketTests {
  private let own = "\(getpid())"

  @Test func aSocketIsTakenOnceByItsName() throws {
    let socket = try TestSocket()
    var sockets = try ActivatedSockets(pid: own, count: "1", names: "control", first: socket.descriptor)
    #expect(sockets.take(.dockerPlugin) == nil)
    #expect(sockets.take(.control)?.descriptor == socket.descriptor)
    #expect(sockets.take(.control) == nil)
    // sd_listen_fds(3) sets it too: what the daemon starts must not hold it.
    #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
  }

  @Test(arguments: [(nil, nil), ("1", "1"), ("", "1"), ("\(getpid())", nil)] as [(String?, String?)])
  func othersAreLeftAlone(pid: String?, count: String?) throws {
    var sockets = try ActivatedSockets(pid: pid, count: count, names: "control")
    #expect(sockets.take(.control) == nil)
  }

  @Test(
    arguments: [
      ("1", "web", "named web"), ("2", "control", "1 names"), ("1", nil, "control"),
      ("x", "control", "LISTEN_FDS is x"),
      ("-1", "control", "LISTEN_FDS is -1"),
    ] as [(String, String?, String)])
  func refuses(count: String, names: String?, reason: String) throws {
    let socket = try TestSocket()
    let error = #expect(throws: ControlError.self) {
      try ActivatedSockets(pid: own, count: count, names: names, first: socket.descriptor)
    }
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
  }

  @Test func refusesWhatDoesNotListen() throws {
    let silent = try TestSocket(listens: false)
    let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    for descriptor in [silent.descriptor, file, Int32.max - 1] {
      let error = #expect(throws: ControlError.self) {
        try ActivatedSockets(pid: own, count: "1", names: "docker-plugin", first: descriptor)
      }
      #expect(error?.message.contains("docker-plugin is no Unix stream socket") == true)
    }
  }

  @Test func refusesOneNameForTwo() throws {
    let socket = try TestSocket()
    // Two in a row, far from those that tests beside this one are given.
    let first = fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 900)
    let second = fcntl(socket.descriptor, F_DUPFD_CLOEXEC, first + 1)
    defer {
      close(first)
      close(second)
    }
    try #require(second == first + 1)
    #expect(throws: ControlError.self) {
      try ActivatedSockets(pid: own, count: "2", names: "control:control", first: first)
    }
  }
}

@Suite struct WatchdogTests {
  /// sd_watchdog_enabled(3).
  @Test func periodIsThatOfThisProcess() {
    #expect(Watchdog.period(microseconds: "3000000", pid: nil) == 3_000_000)
    #expect(Watchdog.period(microseconds: "3000000", pid: "\(getpid())") == 3_000_000)
    #expect(Watchdog.period(microseconds: "3000000", pid: "1") == nil)
    for text in [nil, "", "0", "-5", "soon"] { #expect(Watchdog.period(microseconds: text, pid: nil) == nil) }
  }

  /// A check that hangs is all that silences it.
  @Test func noSignWhileTheCheckHangs() {
    let (signs, hang) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let rounds = Mutex(0)
    let watchdog = Watchdog(interval: 1000) {
      let round = rounds.withLock { number in
        number += 1
        return number
      }
      if round == 3 { hang.wait() }
      signs.signal()
    }
    #expect(signs.wait(timeout: .now() + 10) == .success)
    #expect(signs.wait(timeout: .now() + 10) == .success)
    #expect(signs.wait(timeout: .now() + 0.1) == .timedOut)
    hang.signal()
    #expect(signs.wait(timeout: .now() + 10) == .success)
    watchdog.stop()
  }
}
