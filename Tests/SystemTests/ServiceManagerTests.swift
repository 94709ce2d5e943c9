import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  /// What systemd does for a service, done by a small program: sockets handed over, notifications taken, a watchdog.
  @Suite("A service manager")
  struct ServiceManager {
    private struct Notification: Decodable {
      var at: Double
      var lines: [String]
    }

    private func activator(_ daemon: Daemon, _ options: String...) -> [String] {
      Script.words("activator.py") + options + [daemon.namespace.testbed.directory, "--"]
    }

    private func notifications(_ output: String) throws -> [Notification] {
      try output.split(separator: "\n").filter { $0.hasPrefix("{") }.map {
        try JSONDecoder().decode(Notification.self, from: Data($0.utf8))
      }
    }

    @Test("a client that comes before the daemon starts it, and is answered; the socket stays when the daemon ends")
    func activation() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let manager = try daemon.launch(activator(daemon, "--wait", "--socket", "control=\(daemon.socket)"))
        try eventually("the socket listens") { manager.outputSoFar.contains("listening") }
        // Nobody has started it yet: the connection waits for it.
        #expect(try notifications(manager.outputSoFar).isEmpty)
        try daemon.martlet("network", "create", "lab")
        #expect(try daemon.ask([Network].self, "network", "ls").map(\.name) == ["lab"])
        manager.signal(SIGTERM)
        let outcome = try manager.end()
        #expect(outcome.status == 0, "\(outcome.complaint)")
        #expect(FileManager.default.fileExists(atPath: daemon.socket))

        let states = try notifications(outcome.output).flatMap(\.lines)
        #expect(states.first?.hasPrefix("STATUS=") == true, "\(states)")
        #expect(states.contains("READY=1") && states.contains("STATUS=serving \(daemon.socket)"), "\(states)")
        #expect(states.suffix(2) == ["STOPPING=1", "STATUS=stopping on SIGTERM"], "\(states)")
      }
    }

    @Test("a socket that it has no use for is refused by name")
    func unknownSocket() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let outcome = try daemon.launch(activator(daemon, "--socket", "web=\(daemon.socket)")).end()
        #expect(outcome.status == 1)
        #expect(
          outcome.complaint.contains("named web") && !outcome.complaint.contains("Traceback"), "\(outcome.complaint)")
      }
    }

    @Test("the watchdog gets its signs, in time, from when the daemon is ready until it stops")
    func watchdog() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let period = 1.0
        try daemon.start(activator(daemon, "--watchdog", "\(period)"))
        try daemon.martlet("network", "create", "lab")
        _ = try daemon.sandbox("a", on: "lab")
        try eventually("six signs have come") {
          try notifications(daemon.output).filter { $0.lines == ["WATCHDOG=1"] }.count >= 6
        }
        let signs = try notifications(daemon.output).filter { $0.lines == ["WATCHDOG=1"] }.map(\.at)
        for (one, next) in zip(signs, signs.dropFirst()) { #expect(next - one < period, "\(signs)") }
        try daemon.end(by: SIGTERM)
      }
    }
  }
}
