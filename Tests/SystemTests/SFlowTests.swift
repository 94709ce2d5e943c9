import ControlModel
import FoundationEssentials
import Glibc
import Testing

/// A line of `sflow.py`.
private struct Sample: Decodable {
  var kind, agent: String
  var datagram, uptime, sequence, source: Int
  // Of a flow sample.
  var rate, pool, drops, input, output, stripped: Int?
  var frameLength: Int?
  var header: String?
  // Of a counter sample.
  var name: String?
  var index, status, inOctets, inUcast, outOctets, outUcast, inDiscards, outDiscards: UInt64?

  enum CodingKeys: String, CodingKey {
    case kind, agent, datagram, uptime, sequence, source, rate, pool, drops, input, output, stripped, header, name
    case index, status
    case frameLength = "frame_length"
    case inOctets = "in_octets"
    case inUcast = "in_ucast"
    case outOctets = "out_octets"
    case outUcast = "out_ucast"
    case inDiscards = "in_discards"
    case outDiscards = "out_discards"
  }

  func counts(_ counters: Counters) -> Bool {
    inUcast == counters.rxFrames && inOctets == counters.rxBytes && outUcast == counters.txFrames
      && outOctets == counters.txBytes
      && (inDiscards ?? 0) + (outDiscards ?? 0) == counters.drops.values.reduce(0, +)
  }
}

extension SystemTests {
  @Suite("sFlow")
  struct SFlow {
    private static let rate = 20
    private static let headerBytes = 64
    private static let collector = "127.0.0.1"

    private func withExporter(workers: Int? = nil, _ body: (Daemon) throws -> Void) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        try daemon.configure(
          [
            "sflow:", "  collector: \(Self.collector)", "  sampling: \(Self.rate)", "  polling: 1",
            "  header: \(Self.headerBytes)",
          ] + (workers.map { ["workers: \($0)"] } ?? []))
        try body(daemon)
      }
    }

    private func startCollector(_ daemon: Daemon) throws -> Program {
      let program = try daemon.namespace.start(Script.words("sflow.py") + [Self.collector, "6343"])
      try eventually("the collector listens") { program.outputSoFar.hasPrefix("ready") }
      return program
    }

    private func samples(_ collector: Program) throws -> [Sample] {
      guard collector.isRunning else { throw Failure("the collector ended: \(collector.complaintSoFar)") }
      // The last line may not be whole.
      let lines = collector.outputSoFar.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().dropLast()
      return try lines.map { try JSONDecoder().decode(Sample.self, from: Data($0.utf8)) }
    }

    @Test(
      "ports' counters are those of martlet stats, and sampled frames times the rate what the port received",
      arguments: workerCounts)
    func export(workers: Int) throws {
      try withExporter(workers: workers) { daemon in
        let collector = try startCollector(daemon)
        try daemon.start()
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let (sender, receiver) = (try daemon.sandbox("a", on: "lab"), try daemon.sandbox("b", on: "lab"))
        let address = try daemon.endpoint(of: receiver, on: "lab").ipv4
        let figures = try verifyDatagrams(20_000, from: sender, to: receiver, at: address)

        // Two rounds with the same counters: what was sampled before has come.
        var (all, ports) = ([Sample](), [PortStatistics]())
        try eventually("the collector has what martlet stats shows") {
          ports = try daemon.statistics("lab").ports
          all = try samples(collector)
          return ports.allSatisfy { port in
            let place = port.sandbox.map { "\($0)/\(port.interface)" } ?? port.name
            let rounds = all.filter { $0.name == "lab/\(place)" }.suffix(2)
            return rounds.count == 2 && rounds.allSatisfy { $0.counts(port.counters) }
          }
        }
        #expect(all.allSatisfy { $0.agent == Self.collector })
        let port = try #require(ports.first { $0.sandbox == sender.name })
        let source = try #require(all.last { $0.name == "lab/\(sender.name)/eth0" }).source
        #expect(all.allSatisfy { $0.kind != "counters" || $0.index == UInt64($0.source) && $0.status == 3 })
        let flows = all.filter { $0.kind == "flow" && $0.source == source }
        // Of n frames each is picked with p = 1/rate: five standard deviations of the binomial distribution.
        let (n, p) = (Double(port.counters.rxFrames), 1 / Double(Self.rate))
        // What was lost before it came to the switch is no frame of the port.
        #expect(n > 2000 && n >= Double(figures.received), "\(figures)")
        #expect(abs(Double(flows.count) - n * p) < 5 * (n * p * (1 - p)).squareRoot(), "\(flows.count) of \(n)")
        #expect(flows.map(\.sequence) == Array(1...flows.count))
        #expect(flows.allSatisfy { $0.rate == Self.rate && $0.drops == 0 && $0.input == source && $0.output == 0 })
        let pools = flows.compactMap(\.pool)
        #expect(pools == pools.sorted() && (pools.last ?? .max) <= Int(n))

        let macs = try [receiver, sender].map { try $0.link().address.replacing(":", with: "") }.joined()
        let packets = flows.filter { $0.header?.hasPrefix(macs + "0800") == true }
        #expect(packets.count > flows.count * 9 / 10)
        let wrong = packets.first { flow in
          let (length, header) = ((flow.frameLength ?? 0) - 4, flow.header ?? "")
          // The IP header's total length.
          return flow.stripped != 4 || header.count != 2 * min(length, Self.headerBytes)
            || Int(header.dropFirst(32).prefix(4), radix: 16) != length - 14
        }
        #expect(wrong == nil)
      }
    }

    @Test("a collector that is away is told of once, and found when it comes")
    func absentCollector() throws {
      try withExporter { daemon in
        try daemon.start()
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let told = "warning sFlow: "
        try eventually("the daemon says so") { daemon.log.contains(told) }
        try eventually("nobody was there for several") { try daemon.namespace.counters()["UdpNoPorts", default: 0] > 2 }
        let collector = try startCollector(daemon)
        try eventually("the collector hears of the gateway") {
          try samples(collector).contains { $0.name?.hasPrefix("lab/") == true }
        }
        #expect(daemon.log.split(separator: "\n").count { $0.contains(told) } == 1)
        let log = try daemon.end(by: SIGTERM).complaint
        #expect(log.split(separator: "\n").count { $0.contains(told) } == 1)
        #expect(log.contains(#/sFlow: [1-9]\d* datagrams sent, [1-9]\d* not, 0 samples lost/#), "\(log)")
      }
    }
  }
}
