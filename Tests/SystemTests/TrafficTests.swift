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
      try withPair(workers: workers) { _, a, b, ipv4, ipv6 in
        let figures = try verifyDatagrams(10_000, from: a, to: b, at: overIPv6 ? ipv6 : ipv4)
        #expect(figures.lost == 0)
      }
    }

    /// Beside bulk a worker hands other flows to its partner. What finds a queue full may be lost there, and nothing else.
    @Test("beside bulk, datagrams arrive whole and in order, and requests are answered", arguments: workerCounts)
    func besideBulk(workers: Int) throws {
      try withPair(workers: workers) { daemon, a, b, ipv4, _ in
        let load = try Binaries.path("martlet-load")
        let port = "7002"
        _ = try b.start(load, "stream-sink", port, "--seconds", "600")
        try b.waitForSocket("tcp", port: 7002)
        let bulk = try a.start(load, "stream", ipv4, port, "--seconds", "600")
        try eventually("bulk goes on") {
          try daemon.endpoint(of: a, on: "lab").counters.rxBytes > 100 * Self.megabyte
        }
        // Several flows of each kind: by the kernel's hash some begin on the bulk's worker.
        for _ in 0..<4 { try verifyDatagrams(5000, from: a, to: b, at: ipv4) }
        _ = try b.start(load, "echo", "7003")
        try b.waitForSocket("tcp", port: 7003)
        for _ in 0..<8 {
          struct Figures: Decodable { var lost: Int }
          let output = try a.run(load, "latency", "tcp", ipv4, "7003", "--seconds", "0.2")
          let decoder = JSONDecoder()
          #expect(try decoder.decode(Figures.self, from: Data(output.utf8)).lost == 0)
        }
        #expect(bulk.isRunning)
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
