import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Where the machine gives no more")
  struct Limits {
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

    @Test("so is one in the same network namespace, with a state directory of its own")
    func sameNamespace() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let before = try daemon.namespace.configuration()
        let directory = daemon.namespace.testbed.directory + "/other"
        let second = try Daemon(namespace: daemon.namespace, directory: directory).launch().end()
        expectOneLine(second, about: "network namespace")
        #expect(try daemon.namespace.configuration() == before)
      }
    }

    @Test("a daemon that may have too few file descriptors does not start, and says so")
    func fewDescriptors() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        expectOneLine(try daemon.launch(["prlimit", "--nofile=64"]).end(), about: "64 file descriptors")
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
        try daemon.start(["prlimit", "--nofile=1024"])
      }
    }

    @Test("without a file descriptor for a client's connection, the client is told so")
    func noConnection() throws {
      try withDaemon { daemon in
        let patience = Duration.seconds(10)
        try daemon.limitDescriptors(spare: 0)
        expectOneLine(try Program(daemon.commandLine(["network", "ls"])).end(within: patience))
        try daemon.limitDescriptors(spare: 1000)
        try daemon.martlet("network", "ls")
      }
    }

    /// One descriptor more each time, so that each step of connecting fails in turn for want of one.
    @Test("without file descriptors connecting is refused and leaves nothing, and works again when there are some")
    func descriptors() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b")
        func state() throws -> String {
          try "\(daemon.network("lab").withoutCounters)" + daemon.namespace.configuration() + b.configuration()
        }
        let before = try state()
        var refusals = 0
        // The first one is for the client's own connection.
        for spare in 1...20 {
          try daemon.limitDescriptors(spare: spare)
          let outcome = try daemon.attempt(["network", "connect", "lab", b.name])
          try daemon.limitDescriptors(spare: 1000)
          if outcome.status == 0 { break }
          refusals += 1
          expectOneLine(outcome)
          #expect(try state() == before, "refused with \(spare) descriptors: \(outcome.complaint)")
        }
        #expect(refusals > 1)
        #expect(try a.reaches(daemon.endpoint(of: b, on: "lab").ipv4))
      }
    }

    @Test("without a capability the daemon does not start, and says which", arguments: ["net_admin", "sys_admin"])
    func capability(name: String) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let before = try daemon.namespace.configuration()
        expectOneLine(
          try daemon.launch(["setpriv", "--bounding-set=-\(name)"]).end(), about: "CAP_\(name.uppercased())")
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
        #expect(try daemon.namespace.configuration() == before)
      }
    }
  }
}
