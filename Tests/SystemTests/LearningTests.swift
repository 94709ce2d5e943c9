import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  /// RFC 2889 sections 5.7 and 5.8, in small: addresses that were learned are forwarded to, and no others.
  @Suite("Addresses are learned")
  struct Learning {
    private static let learned = 2000
    private static let unknown = 500

    private struct Counted: Decodable { var matching, duplicates, frames, overruns: Int }

    @Test("probes of learned addresses reach their port alone, others every port")
    func probes() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let (learner, prober) = (try daemon.sandbox("learner", on: "lab"), try daemon.sandbox("prober", on: "lab"))
        let monitor = try daemon.sandbox("monitor", on: "lab")
        let load = try Binaries.path("martlet-load")
        func send(_ command: String, _ count: Int, from host: Namespace) throws {
          try host.run(load, command, "eth0", "--addresses", "\(count)", "--rate", "20000")
        }
        try send("mac-probe", 1, from: prober)
        try send("mac-learn", Self.learned, from: learner)
        try eventually("all are learned") { try daemon.forwardingEntries("lab").count > Self.learned }

        let counters = try [learner, monitor].map { try $0.start(load, "mac-count", "eth0", "--seconds", "600") }
        for counter in counters {
          try eventually("mac-count is ready") { counter.complaintSoFar.split(separator: "\n").contains("ready") }
        }
        try send("mac-probe", Self.learned + Self.unknown, from: prober)
        // A flow keeps its order: who gets these has got the probes.
        for host in [learner, monitor] { #expect(try prober.reaches(daemon.endpoint(of: host, on: "lab").ipv4)) }
        let figures = try counters.map { counter in
          counter.signal(SIGTERM)
          return try JSONDecoder().decode(Counted.self, from: Data(counter.succeed().utf8))
        }
        #expect(figures.map(\.matching) == [Self.learned + Self.unknown, Self.unknown])
        #expect(figures.allSatisfy { $0.duplicates == 0 && $0.overruns == 0 })
      }
    }
  }
}
