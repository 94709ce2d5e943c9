import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Captures")
  struct Captures {
    private struct Pair {
      let daemon: Daemon
      let a: Namespace
      let b: Namespace
      var directory: String { daemon.namespace.testbed.directory }

      func address(_ sandbox: Namespace) throws -> String { try daemon.endpoint(of: sandbox, on: "lab").ipv4 }

      /// Begins to capture, and returns when the daemon does.
      func capture(_ words: [String]) throws -> Program {
        let before = daemon.log.split(separator: " begins", omittingEmptySubsequences: false).count
        let program = try daemon.namespace.testbed.start(daemon.commandLine(["capture", "lab"] + words))
        try eventually("the capture begins: \(program.complaintSoFar)") {
          daemon.log.split(separator: " begins", omittingEmptySubsequences: false).count > before
        }
        return program
      }

      /// What tcpdump says of a file, a line a frame.
      func read(_ path: String, _ words: String...) throws -> [Substring] {
        try Program(["tcpdump", "-n", "-r", path] + words).succeed().split(separator: "\n")
      }

      func interrupt(_ program: Program) throws -> Program.Outcome {
        program.signal(SIGINT)
        return try program.end()
      }

      /// No worker has a capture: each says so at its end.
      func expectAllEnded() throws {
        try eventually("captures end") {
          daemon.log.split(separator: " begins", omittingEmptySubsequences: false).count
            == daemon.log.split(separator: " ends:", omittingEmptySubsequences: false).count
        }
      }
    }

    private static func withPair(_ body: (Pair) throws -> Void) throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let pair = Pair(daemon: daemon, a: a, b: b)
        // Nobody asks for a neighbour any more.
        #expect(try a.reaches(pair.address(b)))
        try body(pair)
      }
    }

    private static func count(_ pattern: Data, in bytes: Data) -> Int {
      var (count, place) = (0, bytes.startIndex)
      while let found = bytes.range(of: pattern, in: place..<bytes.endIndex) {
        (count, place) = (count + 1, found.upperBound)
      }
      return count
    }

    @Test("a ping is captured in both directions at each port, and a filter, a port and a direction choose of it")
    func ping() throws {
      try Self.withPair { pair in
        let all = pair.directory + "/all.pcapng"
        let one = pair.directory + "/one.pcapng"
        let captures = [
          try pair.capture(["-w", all, "--filter", "icmp"]),
          try pair.capture(["-w", one, "--filter", "icmp", "--port", pair.a.name, "--direction", "in", "-s", "60"]),
        ]
        try pair.a.run("ping", "-n", "-c", "5", "-i", "0.02", pair.address(pair.b))
        for capture in captures { #expect(try pair.interrupt(capture).status == EXIT_SUCCESS) }
        let lines = try pair.read(all)
        #expect(lines.count == 20)
        #expect(lines.count { $0.contains("echo request") } == 10)
        // epb_flags (draft-ietf-opsawg-pcapng, 4.3.1), which tcpdump does not show of a file.
        let bytes = FileManager.default.contents(atPath: all)!
        #expect(Self.count(Data([2, 0, 4, 0, 1, 0, 0, 0]), in: bytes) == 10)
        #expect(Self.count(Data([2, 0, 4, 0, 2, 0, 0, 0]), in: bytes) == 10)
        #expect(try pair.read(all, "not", "icmp").isEmpty)
        let requests = try pair.read(one)
        #expect(requests.count == 5 && requests.allSatisfy { $0.contains("echo request") })
        try pair.expectAllEnded()
      }
    }

    @Test("standard output is a pipe for tcpdump, live, and -c ends it")
    func pipe() throws {
      try Self.withPair { pair in
        let words = try pair.daemon.commandLine(["capture", "lab", "-w", "-", "--filter", "icmp"])
        let line = words.map { "'\($0)'" }.joined(separator: " ") + " | tcpdump -n -l -r - -c 4"
        let piped = try pair.daemon.namespace.testbed.start(["sh", "-c", line])
        try eventually("the capture begins") { pair.daemon.log.contains(" begins") }
        let pinging = try pair.a.start(["ping", "-n", "-q", "-i", "0.1", "-w", "60", pair.address(pair.b)])
        try eventually("tcpdump shows frames: \(piped.complaintSoFar)") { piped.outputSoFar.contains("echo reply") }
        // tcpdump ends first; the capture sees that its reader has gone.
        #expect(try piped.end().output.split(separator: "\n").count == 4)
        try pair.expectAllEnded()
        pinging.signal(SIGINT)
        let counted = try pair.daemon.martlet("capture", "lab", "-c", "3", "--filter", "arp or icmp6 or icmp")
        #expect(counted.split(separator: "\n").count <= 3)
      }
    }

    @Test("a frame that is dropped is captured with its reason, as a line and as a comment")
    func drops() throws {
      try Self.withPair { pair in
        let file = pair.directory + "/drops.pcapng"
        let saved = try pair.capture(["-w", file, "--drops", "-c", "1"])
        let shown = try pair.capture(["--drops", "-c", "1"])
        let mac = try pair.a.link().address
        try pair.a.send([RawFrame(to: mac, from: mac), RawFrame(to: "ff:ff:ff:ff:ff:ff", from: "01:00:00:00:00:01")])
        #expect(try saved.end().status == EXIT_SUCCESS)
        let said = try shown.end().output
        #expect(said.contains("drop \(pair.a.name) 60 bytes: ") && said.contains("(same_port)"), "\(said)")
        #expect(FileManager.default.contents(atPath: file)!.range(of: Data("dropped: same_port".utf8)) != nil)
        // Of a type that it does not know it shows the bytes, in lines of their own.
        #expect(try pair.read(file).count { !$0.hasPrefix("\t") } == 1)
        try pair.expectAllEnded()
      }
    }

    @Test("a reader that does not read loses captured frames, and no frame of the switch")
    func slowReader() throws {
      try Self.withPair { pair in
        let stuck = try pair.capture(["-w", pair.directory + "/stuck.pcapng"])
        stuck.signal(SIGSTOP)
        let transfer = try Transfer(bytes: 64 << 20, from: pair.a, to: pair.b, at: pair.address(pair.b))
        let (sent, received) = try transfer.end()
        #expect(sent == received)
        stuck.signal(SIGCONT)
        let said = try pair.interrupt(stuck).complaint
        let lost = said.split(separator: " ").compactMap { Int($0) }.last ?? 0
        #expect(lost > 0, "\(said)")
        #expect(try pair.daemon.statistics("lab").drops["queue_full", default: 0] == 0)
        try pair.expectAllEnded()
      }
    }

    @Test("what cannot be captured is refused in a sentence, and a capture ends with its network")
    func refusals() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        for (words, reason) in [
          (["none-such"], "none-such"), (["lab", "--filter", "no such"], "filter 'no such'"),
          (["lab", "--port", "nobody"], "no port \"nobody\" on network lab"),
        ] {
          let file = daemon.stateDirectory + "-refused.pcapng"
          let outcome = try daemon.attempt(["capture"] + words + ["-w", file])
          #expect(outcome.status == EXIT_FAILURE && outcome.complaint.contains(reason), "\(outcome.complaint)")
          #expect(!FileManager.default.fileExists(atPath: file))
        }
        let capture = try daemon.namespace.testbed.start(daemon.commandLine(["capture", "lab"]))
        try eventually("the capture begins") { daemon.log.contains(" begins") }
        try daemon.martlet("network", "rm", "lab")
        #expect(try capture.end().complaint.contains("it ended with its network"))
      }
    }

    @Test("a port's frames are mirrored to another, through restarts, until either goes")
    func mirror() throws {
      try Self.withPair { pair in
        let c = try pair.daemon.sandbox("c", on: "lab")
        try pair.daemon.martlet("mirror", "add", "lab", "--from", pair.a.name, "--to", c.name)
        try pair.daemon.end(by: SIGTERM)
        try pair.daemon.start()
        #expect(try pair.daemon.ask([PortMirror].self, "mirror", "ls").map(\.state) == ["up"])
        let seen = try Capture(at: c)
        let id = UInt16.random(in: 1...UInt16.max)
        try pair.a.run("ping", "-n", "-c", "5", "-i", "0.02", "-e", "\(id)", pair.address(pair.b))
        // Echo requests and replies with this ping's identifier (RFC 792), behind Ethernet's and IP's headers.
        func echoes(_ type: UInt8) -> Int {
          seen.frames.count {
            $0.bytes.count > 39 && $0.bytes[34] == type && $0.bytes[38] == UInt8(id >> 8)
              && $0.bytes[39] == UInt8(id & 0xFF)
          }
        }
        try eventually("copies arrive") { echoes(8) >= 5 && echoes(0) >= 5 }
        #expect(echoes(8) == 5 && echoes(0) == 5)
        try pair.daemon.disconnect(c, from: "lab")
        #expect(try pair.daemon.ask([PortMirror].self, "mirror", "ls").isEmpty)
        #expect(try pair.a.reaches(pair.address(pair.b)))
      }
    }
  }
}
