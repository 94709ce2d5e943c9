import ControlModel
import FoundationEssentials
import Glibc
import Testing

/// What Prometheus' own client library made of a scrape (`scrape.py`).
private struct Scrape: Decodable {
  struct Sample: Decodable, Hashable {
    var name: String
    var labels: [String: String]
    var value: Double
    var kind: String
  }

  var type: String
  var metrics: [Sample]

  func all(_ name: String, _ labels: [String: String] = [:]) -> [Sample] {
    metrics.filter { sample in sample.name == name && labels.allSatisfy { sample.labels[$0.key] == $0.value } }
  }

  /// Of all that match.
  func sum(_ name: String, _ labels: [String: String] = [:]) -> Double { all(name, labels).reduce(0) { $0 + $1.value } }

  /// As the rule in docs/metrics.md: what came in and was made less what went out and was dropped.
  func imbalance(of network: String) -> Double {
    let labels = ["network": network]
    return sum("martlet_network_receive_frames_total", labels) + sum("martlet_network_routed_in_frames_total", labels)
      + sum("martlet_network_flooded_copies_total", labels) - sum("martlet_network_transmit_frames_total", labels)
      - sum("martlet_network_routed_out_frames_total", labels) - sum("martlet_network_dropped_frames_total", labels)
  }
}

extension Namespace {
  fileprivate func scrape(_ place: String, isOpen: Bool = false) throws -> Scrape {
    let words = Script.words("scrape.py") + (isOpen ? ["--openmetrics"] : []) + [place]
    return try JSONDecoder().decode(Scrape.self, from: Data(start(words).succeed().utf8))
  }
}

extension SystemTests {
  @Suite("Metrics")
  struct Metrics {
    private static let place = "[::1]:9100"

    private func withMetrics(at place: String, workers: Int? = nil, _ body: (Daemon) throws -> Void) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        try daemon.configure(["metrics: \"\(place)\""] + (workers.map { ["workers: \($0)"] } ?? []))
        try daemon.start()
        try body(daemon)
      }
    }

    @Test(
      "by the metrics alone, what came in and was copied is what went out and was dropped; none goes back when its port goes",
      arguments: workerCounts)
    func conservation(workers: Int) throws {
      try withMetrics(at: Self.place, workers: workers) { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let sandboxes = try (0..<3).map { try daemon.sandbox("s\($0)", on: "lab", "--ip", "10.9.0.1\($0)") }
        let load = try Binaries.path("martlet-load")
        _ = try sandboxes[1].start(load, "sink", "7001", "--seconds", "60")
        try sandboxes[1].waitForSocket("udp", port: 7001)
        // Nobody's: frames to it are flooded.
        try sandboxes[2].run(
          "ip", "neigh", "add", "10.9.0.99", "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "eth0")
        let running = try [(0, "10.9.0.11"), (2, "10.9.0.99")].map { number, address in
          try sandboxes[number].start(load, "flood", "--seconds", "2", address, "7001")
        }
        var scrapes = [try daemon.namespace.scrape(Self.place)]
        try sandboxes[0].send(
          Array(repeating: RawFrame(to: "01:80:c2:00:00:00", from: "02:00:00:00:00:51"), count: 50))
        for program in running { try program.succeed() }
        scrapes.append(try daemon.namespace.scrape(Self.place))
        let sender = try daemon.endpoint(of: sandboxes[2], on: "lab")
        try daemon.disconnect(sandboxes[2], from: "lab")

        var last = try daemon.namespace.scrape(Self.place, isOpen: true)
        try eventually("the metrics balance: off by \(last.imbalance(of: "lab"))") {
          last = try daemon.namespace.scrape(Self.place, isOpen: true)
          scrapes.append(last)
          return last.imbalance(of: "lab") == 0
        }
        let lab = ["network": "lab"]
        #expect(last.sum("martlet_network_receive_frames_total", lab) > 1000, "that was no flood")
        #expect(last.sum("martlet_network_flooded_copies_total", lab) > 100)
        let control = lab.merging(["reason": "link_local_control"]) { $1 }
        #expect(last.sum("martlet_network_dropped_frames_total", control) == 50)
        let sent = control.merging(["sandbox": sandboxes[0].name]) { $1 }
        #expect(last.sum("martlet_port_dropped_frames_total", sent) == 50)

        // The port has gone; what it counted has not.
        #expect(last.all("martlet_port_receive_frames_total", ["name": sender.id]).isEmpty)
        let gone = scrapes[1].sum("martlet_port_receive_frames_total", ["name": sender.id])
        #expect(gone > 100)
        let total = last.sum("martlet_network_receive_frames_total", lab)
        #expect(total - last.sum("martlet_port_receive_frames_total", lab) >= gone)
        for (before, after) in zip(scrapes, scrapes.dropFirst()) {
          for sample in after.metrics where sample.name.hasPrefix("martlet_network_") && sample.kind == "counter" {
            let earlier = before.sum(sample.name, sample.labels)
            #expect(earlier <= sample.value, "\(sample) was \(earlier)")
          }
        }

        for (sandbox, address) in zip(sandboxes.prefix(2), ["10.9.0.10", "10.9.0.11"]) {
          let kernel = try sandbox.link().statistics
          let labels = ["network": "lab", "kind": "endpoint", "sandbox": sandbox.name, "interface": "eth0"]
          #expect(
            last.sum("martlet_port_receive_bytes_total", labels) == Double(kernel.tx.bytes), "what \(address) sent")
        }
      }
    }

    @Test("the way outside, sessions, published ports and an overlay are there, as other commands show them")
    func outside() throws {
      try withUplink(ports: ["8080:80"]) { bed in
        let place = bed.daemon.stateDirectory + "/metrics.sock"
        try bed.daemon.end(by: SIGTERM)
        try bed.daemon.configure("metrics: unix:\(place)")
        try bed.daemon.start()
        try bed.daemon.martlet(
          "network", "create", "far", "--driver", "overlay", "-o", "vni=42", "-o", "local=\(UplinkBed.host.ipv4)",
          "--subnet", "10.42.0.0/24")
        try bed.daemon.martlet("overlay", "peer", "add", "far", UplinkBed.machine.ipv4)
        // Whoever answers outside is heard of at once, after a restart too.
        #expect(try bed.container.reaches(UplinkBed.machine.ipv4))

        let scrape = try bed.host.scrape(place, isOpen: true)
        #expect(scrape.type == "application/openmetrics-text; version=1.0.0; charset=utf-8")
        #expect(try bed.host.scrape(place).type == "text/plain; version=0.0.4; charset=utf-8")
        let uplink = try bed.uplink()
        #expect(scrape.sum("martlet_uplink_up", ["interface": uplink.interface]) == 1)
        #expect(scrape.sum("martlet_uplink_transmit_frames_total") >= 3)
        #expect(scrape.sum("martlet_nat_sessions", ["protocol": "icmp"]) >= 1)
        #expect(scrape.sum("martlet_nat_sessions_limit") > 0)
        let published = ["network": "lan", "protocol": "tcp"]
        #expect(scrape.sum("martlet_published_ports", published.merging(["state": "reachable"]) { $1 }) == 1)
        #expect(scrape.sum("martlet_published_ports", published.merging(["state": "unreachable"]) { $1 }) == 0)
        #expect(scrape.sum("martlet_overlay_up", ["network": "far", "vni": "42"]) == 1)
        let peer = ["network": "far", "kind": "vtep", "name": UplinkBed.machine.ipv4]
        #expect(scrape.all("martlet_port_transmit_frames_total", peer).count == 1)
        #expect(scrape.all("martlet_carrier_receive_frames_total", ["local": UplinkBed.host.ipv4]).count == 1)
        #expect(scrape.sum("martlet_endpoints", ["network": "lan", "state": "up"]) == 1)
        #expect(scrape.sum("martlet_scrape_locked_seconds") > 0)
      }
    }

    @Test("a place that cannot be had keeps the daemon from starting, and is named")
    func refused() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        for (place, reason) in [("192.0.2.1:9100", "no address of the host"), ("nowhere", "an address and a port")] {
          try daemon.configure("metrics: \(place)")
          let ended = try daemon.launch().end()
          #expect(ended.status == 1 && ended.complaint.contains(reason), "\(ended.complaint)")
        }
      }
    }
  }
}
