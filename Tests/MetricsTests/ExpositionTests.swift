import ControlModel
import Foundation
import Support
import Testing

@testable import Metrics

/// What Prometheus' own client library reads (Tests/SystemTests/Programs/scrape.py).
struct ReadSample: Decodable, Equatable {
  var name: String
  var labels: [String: String]
  var value: Double
  var kind: String
}

func read(_ bytes: [UInt8], as exposition: Exposition) throws -> [ReadSample] {
  struct Answer: Decodable { var metrics: [ReadSample] }
  let script = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/SystemTests/Programs/scrape.py"
  let (process, input, output, complaint) = (Process(), Pipe(), Pipe(), Pipe())
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = ["python3", "-B", script] + (exposition == .openMetrics ? ["--openmetrics"] : []) + ["-"]
  (process.standardInput, process.standardOutput, process.standardError) = (input, output, complaint)
  try process.run()
  try input.fileHandleForWriting.write(contentsOf: Data(bytes))
  try input.fileHandleForWriting.close()
  let answer = try output.fileHandleForReading.readToEnd() ?? Data()
  let words = try complaint.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0, "\(String(decoding: words, as: UTF8.self))")
  return try JSONDecoder().decode(Answer.self, from: answer).metrics
}

@Suite struct ExpositionTests {
  private static let counters = Counters(rxFrames: 10, rxBytes: 1000, txFrames: 20, txBytes: 3000, drops: ["runt": 1])

  static let measured = Measurements(
    networks: [
      NetworkMeasurements(
        name: "lab", total: counters, floodedCopies: 12, routedOut: 3, routedIn: 2, fdbEntries: 4, fdbLimit: 8192,
        ports: [
          PortStatistics(kind: "endpoint", name: "e1", sandbox: "web", interface: "eth0", counters: counters),
          PortStatistics(kind: "vtep", name: "192.0.2.7", sandbox: nil, interface: "mtv0", counters: Counters()),
        ], endpointsUp: 1, endpointsDown: 2,
        published: [PublishedMeasurements(protocol: "tcp", reachable: 3, unreachable: 1)],
        overlay: OverlayMeasurements(vni: 42, local: "192.0.2.1", port: 4789, isUp: true, peers: 1),
        policy: PolicyMeasurements(
          name: "storm-control", kind: .builtIn, state: "active",
          counters: [PolicyCounter(name: "broadcast_limited", value: 13)])),
      NetworkMeasurements(name: "plain", total: Counters(rxFrames: .max)),
    ], uplink: UplinkMeasurements(interface: "eth0", isUp: true, counters: counters),
    sessions: SessionMeasurements(byProtocol: ["tcp": 5, "udp": 6], limit: 100, evictions: 7),
    carriers: [CarrierMeasurements(local: "192.0.2.1", port: 4789, interface: "eth0", counters: counters)],
    relay: RelayMeasurements(connections: 1, acceptedConnections: 9), lockedSeconds: 0.000_012_5)

  @Test(arguments: Exposition.allCases) func prometheusReadsAllOfIt(exposition: Exposition) throws {
    let samples = try read(exposition.write(Family.all(of: Self.measured)), as: exposition)
    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
      let found = samples.filter { $0.name == name && $0.labels == labels }
      #expect(found.count == 1, "\(name) \(labels)")
      return found.first?.value
    }
    let port = ["network": "lab", "kind": "endpoint", "name": "e1", "sandbox": "web", "interface": "eth0"]
    #expect(value("martlet_port_receive_bytes_total", port) == 1000)
    #expect(value("martlet_port_dropped_frames_total", port.merging(["reason": "runt"]) { $1 }) == 1)
    #expect(value("martlet_network_transmit_frames_total", ["network": "lab"]) == 20)
    #expect(value("martlet_network_flooded_copies_total", ["network": "lab"]) == 12)
    #expect(value("martlet_network_routed_in_frames_total", ["network": "lab"]) == 2)
    #expect(value("martlet_network_receive_frames_total", ["network": "plain"]) == Double(UInt64.max))
    #expect(value("martlet_endpoints", ["network": "lab", "state": "down"]) == 2)
    #expect(value("martlet_published_ports", ["network": "lab", "protocol": "tcp", "state": "unreachable"]) == 1)
    let overlay = ["network": "lab", "vni": "42", "local": "192.0.2.1", "port": "4789"]
    #expect(value("martlet_overlay_up", overlay) == 1)
    let policy = ["network": "lab", "policy": "storm-control"]
    #expect(value("martlet_policy_info", policy.merging(["kind": "built-in", "state": "active"]) { $1 }) == 1)
    #expect(value("martlet_policy_events_total", policy.merging(["counter": "broadcast_limited"]) { $1 }) == 13)
    #expect(value("martlet_uplink_up", ["interface": "eth0"]) == 1)
    #expect(value("martlet_nat_sessions", ["protocol": "udp"]) == 6 && value("martlet_nat_sessions_limit") == 100)
    #expect(value("martlet_nat_evicted_sessions_total") == 7)
    #expect(value("martlet_relay_accepted_connections_total") == 9)
    #expect(value("martlet_build_info", ["version": Version.current.version]) == 1)
    #expect(value("martlet_scrape_locked_seconds") == 0.000_012_5)
    let unknown = samples.filter { !["counter", "gauge", "info"].contains($0.kind) }
    #expect(unknown.isEmpty, "without a TYPE: \(unknown)")
    for sample in samples where sample.kind == "counter" { #expect(sample.name.hasSuffix("_total"), "\(sample.name)") }
  }

  /// What the two formats' specifications show, line by line.
  @Test func theTwoFormatsDiffer() {
    var counter = Family("a_dropped", .counter, unit: "frames", "Frames.")
    counter.add(2, [Family.Label("x", "1"), Family.Label("y", "2")])
    var build = Family("a", .info, "What runs.")
    build.add(1, [])
    let families = [counter, Family("a_silent", .gauge, "Nothing."), build]
    #expect(
      String(decoding: Exposition.text.write(families), as: UTF8.self) == """
        # HELP a_dropped_frames_total Frames.
        # TYPE a_dropped_frames_total counter
        a_dropped_frames_total{x="1",y="2"} 2
        # HELP a_info What runs.
        # TYPE a_info gauge
        a_info 1

        """)
    #expect(
      String(decoding: Exposition.openMetrics.write(families), as: UTF8.self) == """
        # HELP a_dropped_frames Frames.
        # TYPE a_dropped_frames counter
        # UNIT a_dropped_frames frames
        a_dropped_frames_total{x="1",y="2"} 2
        # HELP a What runs.
        # TYPE a info
        a_info 1
        # EOF

        """)
  }

  @Test(arguments: Exposition.allCases) func labelsSurviveWhateverTheyHold(exposition: Exposition) throws {
    let values = ["\"", "\\", "\n", "\\n", "a\\", "{},= #", "é中🐦", "", "\" 1\nmartlet_up 0"]
    var family = Family("a", .gauge, "A.")
    for (number, value) in values.enumerated() { family.add(number, [Family.Label("x", value)]) }
    let samples = try read(exposition.write([family]), as: exposition)
    #expect(samples.map { $0.labels["x"] } == values)
    #expect(samples.map(\.value) == values.indices.map(Double.init))
  }

  @Test(arguments: [
    // As Prometheus asks, 2.50 and 3.0.
    (
      "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
        + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", Exposition.openMetrics
    ),
    (
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.4,"
        + "text/plain;version=0.0.4;q=0.3,*/*;q=0.1", .openMetrics
    ),
    ("application/openmetrics-text", .openMetrics), ("APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\"", .openMetrics),
    ("text/plain;version=0.0.4;q=0.6, application/openmetrics-text;q=0.5", .text),
    ("application/openmetrics-text;q=0", .text), ("application/openmetrics-text;version=2.0.0", .text),
    ("application/openmetrics-text;q=x", .text), ("", .text), ("*/*", .text), ("application/json", .text),
    (";;,,;q=1,=", .text),
  ]) func takesWhatTheScraperWantsMost(accept: String, exposition: Exposition) {
    #expect(Exposition(accept: accept) == exposition)
  }

  /// docs/metrics.md names each family, and no other.
  @Test func thePageListsThemAll() throws {
    let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    let page = try String(contentsOfFile: root + "/docs/metrics.md", encoding: .utf8)
    let listed = page.split(separator: "\n").compactMap { line in
      line.hasPrefix("| `martlet_") ? line.dropFirst(3).prefix { $0 != "`" && $0 != "{" } : nil
    }
    let written = try read(Exposition.text.write(Family.all(of: Self.measured)), as: .text).map(\.name)
    #expect(Set(listed.map(String.init)) == Set(written))
    #expect(listed.count == Set(listed).count)
  }
}
