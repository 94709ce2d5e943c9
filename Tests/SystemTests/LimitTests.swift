import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Where the machine gives no more")
  struct Limits {
    /// What a daemon needs for itself, and some endpoints.
    private static let descriptors = 64

    private func expectOneLine(_ outcome: Program.Outcome, about words: String...) {
      #expect(outcome.status == 1, "\(outcome.complaint)")
      #expect(outcome.complaint.split(separator: "\n").count == 1, "\(outcome.complaint)")
      for word in words { #expect(outcome.complaint.contains(word), "\(outcome.complaint)") }
    }

    @Test("a second daemon on the same state directory is refused by name")
    func secondDaemon() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let second = try daemon.launch().end()
        expectOneLine(second, about: daemon.stateDirectory)
        #expect(try daemon.ask([Network].self, "network", "ls").map(\.name) == ["lab"])
        try daemon.end(by: SIGKILL)
        try daemon.start()
      }
    }

    @Test("without file descriptors connecting is refused, and works again when some are free")
    func descriptors() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        try daemon.start(["prlimit", "--nofile=\(Self.descriptors)"])
        try daemon.martlet("network", "create", "lab")
        var connected: [Namespace] = []
        var refused: (sandbox: Namespace, outcome: Program.Outcome)?
        while refused == nil, connected.count < Self.descriptors {
          let sandbox = try daemon.sandbox("s\(connected.count)")
          let outcome = try daemon.attempt(["network", "connect", "lab", sandbox.name])
          if outcome.status == 0 { connected.append(sandbox) } else { refused = (sandbox, outcome) }
        }
        let (sandbox, outcome) = try #require(refused)
        expectOneLine(outcome)
        #expect(connected.count > 2)
        #expect(try sandbox.linkNames() == ["lo"])
        #expect(try daemon.network("lab").endpoints.count == connected.count)
        #expect(try daemon.namespace.linkNames().count == 2, "lo and the gateway")
        #expect(try connected[0].reaches(daemon.endpoint(of: connected[1], on: "lab").ipv4))

        for sandbox in connected.suffix(2) { try daemon.disconnect(sandbox, from: "lab") }
        try daemon.connect(sandbox, to: "lab")
        #expect(try sandbox.reaches(daemon.endpoint(of: connected[0], on: "lab").ipv4))
      }
    }

    @Test("without a capability the daemon does not start, and says which", arguments: ["net_admin", "sys_admin"])
    func capability(name: String) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let before = try daemon.namespace.configuration()
        expectOneLine(try daemon.launch(["setpriv", "--bounding-set=-\(name)"]).end(), about: "CAP_\(name.uppercased())")
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
        #expect(try daemon.namespace.configuration() == before)
      }
    }
  }
}
