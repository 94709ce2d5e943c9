import ControlModel
import Testing

@testable import ControlPlane

@Suite struct MeasurementTests {
  /// Of a port of the stand-in, its number is the count: whose counters are whose shows.
  private func number(_ port: DataPlanePort?) -> UInt64 { UInt64(port?.index ?? -1) }

  @Test func everyPortIsThereWithItsOwnCounters() throws {
    let bench = try Bench()
    try bench.uplink()
    bench.host.addInterface("veth0", index: 70)
    try bench.network("lab") { ($0.mtu, $0.fdbLimit) = (1450, 99) }
    try bench.network("other")
    for name in ["a", "b"] { try bench.sandbox(name) }
    let first = try bench.connect("lab", "a")
    let second = try bench.connect("lab", "b")
    try bench.attach("lab", "veth0")
    try bench.overlay("lab")
    try bench.peer("lab", "192.0.2.9")
    let lab = try #require(try bench.controlPlane.measurements().networks.first)
    let named = lab.ports.map { "\($0.kind) \($0.name) \($0.sandbox ?? "-")" }
    let gateway = try #require(try bench.controlPlane.network("lab").gatewayInterface)
    #expect(
      named == [
        "gateway \(gateway) -", "endpoint \(first.id) a", "endpoint \(second.id) b", "interface veth0 -",
        "vtep 192.0.2.9 -",
      ])
    // As `stats` has them, which asks for each port by itself.
    #expect(try bench.controlPlane.statistics(network: "lab").networks[0].ports == lab.ports)
    #expect(lab.total.rxFrames == lab.ports.reduce(1) { $0 + $1.counters.rxFrames })
    #expect(lab.floodedCopies == 4 && lab.routedOut == 5 && lab.routedIn == 6 && lab.fdbEntries == 7)
    #expect(lab.fdbLimit == 99 && lab.endpointsUp == 2 && lab.endpointsDown == 0)
    #expect(lab.overlay?.isUp == true && lab.overlay?.peers == 1 && lab.overlay?.local == "192.0.2.1")
  }

  @Test func theWayOutsideIsMeasured() throws {
    let bench = try Bench()
    #expect(try bench.controlPlane.measurements().uplink == nil)
    try bench.uplink()
    try bench.network("lab") { $0.mtu = 1450 }
    try bench.sandbox("a")
    let endpoint = try bench.connect("lab", "a")
    try bench.overlay("lab")
    try bench.publish(endpoint.id, "8080:80", "9000-9002:53-55/udp")
    let measured = try bench.controlPlane.measurements()
    #expect(measured.uplink?.isUp == true)
    #expect(measured.uplink?.counters.rxFrames == number(bench.dataPlane.routing.uplinkPort))
    #expect(measured.carriers.map(\.counters.rxFrames) == [number(bench.dataPlane.overlay.carriers.keys.first)])
    #expect(measured.sessions == SessionMeasurements(byProtocol: ["tcp": 1], limit: 2, evictions: 3))
    #expect(measured.relay.connections == 8 && measured.lockedSeconds > 0)
    #expect(
      measured.networks[0].published == [
        PublishedMeasurements(protocol: "tcp", reachable: 1, unreachable: 0),
        PublishedMeasurements(protocol: "udp", reachable: 3, unreachable: 0),
      ])
  }

  /// Of the text's 70 counters the first, none of its rules' hits.
  @Test func aPolicyIsMeasuredByItsOwnCounters() throws {
    let bench = try Bench()
    try bench.network("lab")
    try bench.network("plain")
    let text = (0..<70).map { "rule udp.dst \($0) -> count c\($0), drop\n" }.joined()
    _ = try bench.controlPlane.loadPolicy(network: "lab", PolicyRequest(kind: .text, name: "lab-rules", text: text))
    let networks = try bench.controlPlane.measurements().networks
    let policy = try #require(networks[0].policy)
    #expect(policy.name == "lab-rules" && policy.kind == .text && policy.state == "active")
    #expect(policy.counters == (0..<Limits.measuredPolicyCounters).map { PolicyCounter(name: "c\($0)", value: 0) })
    #expect(networks[1].policy == nil)
  }

  @Test func anEndpointThatIsDownIsCountedAndHasNoPort() throws {
    let bench = try Bench()
    try bench.network("lab")
    try bench.sandbox("a")
    let endpoint = try bench.connect("lab", "a")
    // An engine's, that has not joined a sandbox yet.
    _ = try bench.controlPlane.createEndpoint(
      DriverEndpointRequest(
        network: try bench.controlPlane.network("lab").id, endpoint: String(repeating: "e", count: 64)))
    let lab = try bench.controlPlane.measurements().networks[0]
    #expect(lab.endpointsUp == 1 && lab.endpointsDown == 1)
    #expect(lab.ports.filter { $0.kind == "endpoint" }.map(\.name) == [endpoint.id])
  }
}
