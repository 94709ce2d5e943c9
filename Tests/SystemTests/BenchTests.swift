import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("martlet bench")
  struct Bench {
    private struct Figures: Decodable {
      struct Stream: Decodable {
        var streams: Int
        var bitsPerSecond: Double
      }
      struct Datagrams: Decodable { var sentPerSecond, receivedPerSecond: Double }
      struct RoundTrip: Decodable { var count, p50Us, p99Us, p999Us: Double }
      var tcp: [Stream]
      var udp: Datagrams
      var roundTrip: RoundTrip
    }

    /// What a bench whose process had this id has left.
    private func leftovers(_ daemon: Daemon, of pid: pid_t) throws -> [String] {
      try daemon.ask([Network].self, "network", "ls").map(\.name)
        + daemon.ask([Sandbox].self, "sandbox", "ls").map(\.name)
        + FileManager.default.contentsOfDirectory(atPath: "/run/netns").filter { $0.hasPrefix("bench-\(pid)-") }
    }

    @Test("measures what a switch can do, and leaves nothing behind")
    func measures() throws {
      try withDaemon { daemon in
        let bench = try daemon.namespace.testbed.start(daemon.commandLine(["bench", "--seconds", "1", "--json"]))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let figures = try decoder.decode(Figures.self, from: Data(bench.succeed().utf8))
        #expect(figures.tcp.map(\.streams) == [1, 4])
        // Far below what any machine does, and above what a switch that splits frames or loses them would.
        for stream in figures.tcp { #expect((1e8...1e12).contains(stream.bitsPerSecond)) }
        #expect((1e3...1e8).contains(figures.udp.receivedPerSecond))
        #expect(figures.udp.sentPerSecond >= 1e3)
        let times = figures.roundTrip
        #expect(times.count > 100)
        #expect(times.p50Us > 1 && times.p50Us <= times.p99Us && times.p99Us <= times.p999Us)
        #expect(try leftovers(daemon, of: bench.pid).isEmpty)
      }
    }

    @Test("interrupted, leaves nothing behind either", arguments: [SIGINT, SIGTERM])
    func interrupted(by number: Int32) throws {
      try withDaemon { daemon in
        let bench = try daemon.namespace.testbed.start(daemon.commandLine(["bench", "--seconds", "600"]))
        try eventually("the load runs") {
          try daemon.ask(Statistics.self, "stats").networks.contains { $0.rxFrames > 10_000 }
        }
        bench.signal(number)
        #expect(try bench.end().status == 128 + number)
        #expect(try leftovers(daemon, of: bench.pid).isEmpty)
      }
    }
  }
}
