import FoundationEssentials
import Testing

extension SystemTests {
  @Suite("Two sandboxes talk")
  struct Traffic {
    private static let megabyte = 1 << 20

    /// Two sandboxes on a network with both families.
    private func withPair(
      workers: Int? = nil,
      _ body: (Daemon, _ a: Namespace, _ b: Namespace, _ ipv4: String, _ ipv6: String) throws -> Void
    ) throws {
      try withDaemon(workers: workers) { daemon in
        try daemon.martlet("network", "create", "lab", "--ipv6")
        let a = try daemon.sandbox("a", on: "lab")
        let b = try daemon.sandbox("b", on: "lab")
        let endpoint = try daemon.endpoint(of: b, on: "lab")
        try body(daemon, a, b, endpoint.ipv4, endpoint.ipv6)
      }
    }

    @Test("ping, IPv4 and IPv6, loses nothing")
    func ping() throws {
      try withPair { _, a, _, ipv4, ipv6 in
        for address in [ipv4, ipv6] {
          let output = try a.run("ping", "-n", "-c", "50", "-i", "0.01", "-W", "5", address)
          #expect(output.contains("50 packets transmitted, 50 received, 0% packet loss"))
          #expect(!output.contains("DUP!"))
        }
      }
    }

    @Test("TCP carries 50 MB each way unchanged, in frames far larger than the MTU", arguments: workerCounts)
    func transfer(workers: Int) throws {
      try withPair(workers: workers) { daemon, a, b, ipv4, ipv6 in
        let bytes = 50 * Self.megabyte
        let there = try Transfer(bytes: bytes, from: a, to: b, at: ipv4).end()
        #expect(there.sent == there.received)
        #expect(there.received.hasPrefix("done \(bytes) "))
        let sender = try daemon.endpoint(of: a, on: "lab").counters
        #expect(sender.rxBytes > bytes)
        #expect(sender.rxBytes / sender.rxFrames > 4 * 1500, "the switch should get segmented frames whole")

        let before = try daemon.endpoint(of: b, on: "lab").counters
        let addressOfA = try daemon.endpoint(of: a, on: "lab").ipv6
        let back = try Transfer(bytes: bytes, from: b, to: a, at: addressOfA).end()
        #expect(back.sent == back.received)
        let after = try daemon.endpoint(of: b, on: "lab").counters
        #expect((after.rxBytes - before.rxBytes) / (after.rxFrames - before.rxFrames) > 4 * 1500)
      }
    }

    @Test("UDP datagrams of random size arrive once, whole and in order", arguments: [false, true], workerCounts)
    func datagrams(overIPv6: Bool, workers: Int) throws {
      struct Figures: Decodable {
        var received, lost, duplicated, reordered, corrupted, foreign: Int
      }
      try withPair(workers: workers) { _, a, b, ipv4, ipv6 in
        let (count, address) = (10_000, overIPv6 ? ipv6 : ipv4)
        // While the sender's kernel still asks for the neighbour, it lets later datagrams overtake those that wait for the answer.
        #expect(try a.reaches(address))
        let load = try Binaries.path("martlet-load")
        let receiver = try b.start(load, "verify-receive", "7001", "--count", "\(count)")
        try b.waitForSocket("udp", port: 7001)
        try a.run(load, "verify-send", address, "7001", "--count", "\(count)", "--rate", "10000")
        let figures = try JSONDecoder().decode(Figures.self, from: Data(receiver.succeed().utf8))
        #expect(figures.received == count)
        #expect(figures.lost == 0)
        #expect(figures.duplicated == 0 && figures.reordered == 0)
        #expect(figures.corrupted == 0 && figures.foreign == 0)
      }
    }

    @Test("iperf3 runs four TCP streams")
    func parallelStreams() throws {
      struct Report: Decodable {
        struct End: Decodable {
          struct Stream: Decodable {
            struct Direction: Decodable { var bytes: Int }
            var receiver: Direction
          }
          var streams: [Stream]
        }
        var end: End
      }
      try withPair { _, a, b, ipv4, _ in
        _ = try b.start("iperf3", "--server", "--one-off")
        try b.waitForSocket("tcp", port: 5201)
        let output = try a.run("iperf3", "--client", ipv4, "--time", "2", "--parallel", "4", "--json")
        let report = try JSONDecoder().decode(Report.self, from: Data(output.utf8))
        #expect(report.end.streams.count == 4)
        for stream in report.end.streams { #expect(stream.receiver.bytes > Self.megabyte) }
      }
    }
  }
}
