import ControlModel
import Testing

extension SystemTests {
  @Suite("No frame is lost without a counter")
  struct Conservation {
    private static let sandboxCount = 5
    private static let floodSeconds = "3"
    private static let broadcast = "ff:ff:ff:ff:ff:ff"
    /// Nobody's: frames to it are flooded.
    private static let nobody = "02:00:00:00:00:99"

    @Test(
      "under TCP, UDP, broadcast and unknown unicast at once, frames in and copies are frames out and drops",
      arguments: workerCounts)
    func balance(workers: Int) throws {
      try withDaemon(workers: workers) { daemon in
        try daemon.martlet("network", "create", "lab", "--ipv6", "--subnet", "10.9.0.0/24")
        let sandboxes = try (0..<Self.sandboxCount).map {
          try daemon.sandbox("s\($0)", on: "lab", "--ip", "10.9.0.1\($0)")
        }
        try flood(sandboxes) {
          try sandboxes[3].send(refused)
          try daemon.disconnect(sandboxes[4], from: "lab")
        }

        // Traffic rests when the last frames have been written: then it balances, and not before.
        var counted = try daemon.statistics("lab")
        try eventually("the counters balance: \(counted)") {
          counted = try daemon.statistics("lab")
          return counted.rxFrames + counted.floodedCopies == counted.txFrames + counted.drops.values.reduce(0, +)
        }
        #expect(counted.rxFrames > 10_000, "that was no flood")
        #expect(counted.floodedCopies > 1000)
        #expect(counted.drops["link_local_control"] == 200)
        #expect(counted.drops["invalid_source"] == 100)

        for sandbox in sandboxes.dropLast() {
          try eventually("the switch got what \(sandbox.name) sent") {
            let kernel = try sandbox.link().statistics
            let counters = try daemon.endpoint(of: sandbox, on: "lab").counters
            return counters.rxFrames == kernel.tx.packets && counters.rxBytes == kernel.tx.bytes
          }
        }
      }
    }

    /// What the switch drops as it comes in.
    private var refused: [RawFrame] {
      let frames = [
        RawFrame(to: "01:80:c2:00:00:00", from: "02:00:00:00:00:51"),
        RawFrame(to: "01:80:c2:00:00:0f", from: "02:00:00:00:00:51"),
        RawFrame(to: Self.broadcast, from: Self.broadcast),
      ]
      return (0..<100).flatMap { _ in frames }
    }

    /// Does `body` while there is traffic of all kinds, and returns when all senders have ended.
    private func flood(_ sandboxes: [Namespace], during body: () throws -> Void) throws {
      let load = try Binaries.path("martlet-load")
      _ = try sandboxes[1].start("iperf3", "--server", "--one-off")
      _ = try sandboxes[2].start(load, "sink", "7001", "--seconds", "60")
      try sandboxes[1].waitForSocket("tcp", port: 5201)
      try sandboxes[2].waitForSocket("udp", port: 7001)
      for (address, mac) in [("10.9.0.98", Self.broadcast), ("10.9.0.99", Self.nobody)] {
        try sandboxes[3].run("ip", "neigh", "add", address, "lladdr", mac, "nud", "permanent", "dev", "eth0")
      }
      let udp = [load, "flood", "--seconds", Self.floodSeconds]
      let running = [
        try sandboxes[0].start("iperf3", "--client", "10.9.0.11", "--time", Self.floodSeconds, "--parallel", "2"),
        try sandboxes[0].start(udp + ["10.9.0.12", "7001"]),
        try sandboxes[3].start(udp + ["10.9.0.98", "7001"]),
        try sandboxes[3].start(udp + ["10.9.0.99", "7001", "--payload", "1400"]),
      ]
      try body()
      #expect(running.contains { $0.isRunning }, "that was not under load")
      for program in running { try program.succeed() }
    }
  }
}
