import ControlModel
import Datapath
import Testing

@testable import ControlPlane

@Suite struct InterfacePortTests {
  /// A network `web` of its own, and an interface `veth0` that is down.
  private func bench() throws -> Bench {
    let bench = try Bench()
    try bench.network("web") { $0.noGateway = true }
    bench.host.addInterface("veth0", index: 7)
    return bench
  }

  private func states(_ bench: Bench) throws -> [String] { try bench.controlPlane.ports(network: nil).map(\.state) }

  /// Waits for what the control plane does on its own.
  private func wait(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
  }

  @Test func attachesAndDetaches() throws {
    let bench = try bench()
    let before = try bench.snapshot()
    let port = try bench.attach("web", "veth0")
    #expect(port.network == "web" && port.interface == "veth0" && port.state == "up" && port.detail == nil)
    #expect(bench.host.interface("veth0", in: "/own")?.isUp == true)
    #expect(bench.dataPlane.state.ports.count == 1 && bench.host.heldDescriptors == 1)
    #expect(try bench.controlPlane.ports(network: "web").map(\.interface) == ["veth0"])
    #expect(try bench.controlPlane.network("web").ports.map(\.interface) == ["veth0"])
    try bench.controlPlane.detachPort(network: "web", interface: "veth0")
    #expect(try bench.snapshot() == before)
  }

  @Test func anInterfaceThatWasUpStaysUp() throws {
    let bench = try bench()
    bench.host.addInterface("veth1", index: 8) { $0.isUp = true }
    try bench.attach("web", "veth1")
    try bench.controlPlane.detachPort(network: "web", interface: "veth1")
    #expect(bench.host.interface("veth1", in: "/own")?.isUp == true)
  }

  @Test func theDataPlaneIsToldWhatTheDeviceTakes() async throws {
    let bench = try bench()
    let some = SegmentationOffloads(kinds: [.tcp4], frameBytesMax: 65535, takesTagged: false)
    bench.host.addInterface("nic0", index: 9) { $0.offloads = some }
    try bench.attach("web", "nic0")
    #expect(bench.dataPlane.state.ports.values.map(\.options.offloads) == [some])
    // ethtool -K nic0 tso off
    let none = SegmentationOffloads(kinds: [], frameBytesMax: 65535, takesTagged: false)
    bench.host.edit { $0.interfaces[1]!["nic0"]!.offloads = none }
    try await wait { bench.dataPlane.state.ports.values.map(\.options.offloads) == [none] }
  }

  @Test func refusals() throws {
    let bench = try bench()
    try bench.network("plain") { $0.driver = "none" }
    try bench.network("gated")
    bench.host.addInterface("lo", index: 1) { $0.isEthernet = false }
    bench.host.addInterface("br0", index: 20)
    bench.host.addInterface("port0", index: 21) { $0.master = 20 }
    bench.host.addInterface("small0", index: 22) { $0.mtu = 1400 }
    try bench.attach("web", "veth0")
    let gateway = try #require(try bench.controlPlane.network("gated").gatewayInterface)
    let before = try bench.snapshot()
    let cases: [(network: String, interface: String, code: ControlError.Code, words: String)] = [
      ("web", "nothing0", .notFound, "no interface \"nothing0\""),
      ("nowhere", "br0", .notFound, "no network"),
      ("web", "lo", .invalid, "no Ethernet"),
      ("web", "port0", .conflict, "a port of br0: ip link set port0 nomaster"),
      ("web", gateway, .conflict, "Martlet's own"),
      ("web", "veth0", .conflict, "on network web already"),
      ("gated", "veth0", .conflict, "on network web already"),
      ("plain", "br0", .unsupported, "driver none"),
      ("web", "small0", .conflict, "ip link set small0 mtu 1500, or martlet network set web --mtu 1400"),
    ]
    for (network, interface, code, words) in cases {
      let error = refusal { try bench.attach(network, interface) }
      #expect(error?.code == code && error?.message.contains(words) == true, "\(interface): \(error?.message ?? "")")
    }
    for (network, interface) in [("web", "br0"), ("gated", "veth0"), ("web", "")] {
      let error = refusal { try bench.controlPlane.detachPort(network: network, interface: interface) }
      #expect(error?.code == .notFound)
    }
    #expect(try bench.snapshot() == before)
  }

  @Test func aNetworkInUseStays() throws {
    let bench = try bench()
    try bench.attach("web", "veth0")
    let error = refusal { try bench.controlPlane.removeNetwork("web") }
    #expect(error?.code == .conflict && error?.message.contains("martlet port detach web veth0") == true)
    #expect(try bench.controlPlane.pruneNetworks().isEmpty)
    var change = NetworkChange()
    change.mtu = 9000
    let larger = refusal { _ = try bench.controlPlane.changeNetwork("web", change) }
    #expect(larger?.code == .conflict && larger?.message.contains("ip link set veth0 mtu 9000") == true)
  }

  @Test func anInterfaceThatGoesAndComesIsTakenUpAgain() async throws {
    let bench = try bench()
    try bench.attach("web", "veth0")
    try bench.controlPlane.addForwardingEntry(
      network: "web", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "veth0"))
    let first = try #require(bench.dataPlane.state.ports.keys.first)
    bench.host.deleteInterface("veth0")
    bench.dataPlane.lose(first)
    try await wait { bench.dataPlane.state.ports.isEmpty }
    #expect(try states(bench) == ["missing"])
    #expect(
      refusal {
        try bench.controlPlane.flushForwardingEntries(network: "web", port: "veth0")
      }?.code == .conflict)
    // This one is up: it stays so when it is detached.
    bench.host.addInterface("veth0", index: 8) { $0.isUp = true }
    try await wait { bench.dataPlane.state.ports.count == 1 }
    #expect(try states(bench) == ["up"])
    #expect(
      try bench.controlPlane.forwardingEntries(network: "web").map(\.port) == [
        ForwardingPort(kind: "interface", interface: "veth0")
      ])
    try bench.controlPlane.detachPort(network: "web", interface: "veth0")
    #expect(bench.host.interface("veth0", in: "/own")?.isUp == true)
    #expect(try bench.controlPlane.forwardingEntries(network: "web").isEmpty)
  }

  /// Another interface of the same name between two looks.
  @Test func anInterfaceThatWasReplacedIsNotTakenForTheFirst() async throws {
    let bench = try bench()
    try bench.attach("web", "veth0")
    let first = try #require(bench.dataPlane.state.ports.keys.first)
    bench.host.addInterface("veth0", index: 8)
    try await wait { bench.dataPlane.state.ports.count == 1 && bench.dataPlane.state.ports[first] == nil }
    #expect(bench.host.heldDescriptors == 1 && bench.host.interface("veth0", in: "/own")?.isUp == true)
  }

  @Test func oneThatCannotBeTakenUpAgainSaysWhy() async throws {
    let bench = try bench()
    try bench.attach("web", "veth0")
    bench.host.addInterface("veth0", index: 8) { $0.mtu = 1000 }
    try await wait { try bench.controlPlane.ports(network: nil)[0].detail?.contains("MTU 1000") == true }
    #expect(try states(bench) == ["down"] && bench.dataPlane.state.ports.isEmpty)
    bench.host.edit { $0.interfaces[1]!["veth0"]!.mtu = 1500 }
    try await wait { try states(bench) == ["up"] }
  }

  @Test func downIsTheUsersBusiness() throws {
    let bench = try bench()
    try bench.attach("web", "veth0")
    bench.host.edit { $0.interfaces[1]!["veth0"]!.isUp = false }
    bench.dataPlane.lose(bench.dataPlane.state.ports.keys.first!)
    let port = try bench.controlPlane.ports(network: nil)[0]
    #expect(port.state == "down" && port.detail == "the interface is down: ip link set veth0 up")
    #expect(bench.dataPlane.state.ports.count == 1)
  }

  @Test func comesBackAfterARestart() throws {
    let bench = try bench()
    bench.host.addInterface("veth1", index: 8)
    for name in ["veth0", "veth1"] { try bench.attach("web", name) }
    try bench.controlPlane.addForwardingEntry(
      network: "web", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "veth0"))
    try bench.restart { bench.host.deleteInterface("veth1") }
    #expect(try states(bench) == ["up", "missing"])
    #expect(bench.dataPlane.state.ports.count == 1 && bench.dataPlane.state.entries.count == 1)
    try bench.controlPlane.detachPort(network: "web", interface: "veth0")
    #expect(bench.host.interface("veth0", in: "/own")?.isUp == false)
    try bench.controlPlane.detachPort(network: "web", interface: "veth1")
  }

  @Test(arguments: [RecordState.creating, .removing]) func intentsAreRolledBack(state: RecordState) throws {
    let bench = try bench()
    let before = try bench.snapshot()
    try bench.attach("web", "veth0")
    try bench.restart {
      let store = try Store(directory: bench.directory)
      try store.database.write {
        try $0.execute(sql: "UPDATE interface_ports SET state = ?", arguments: [state.rawValue])
      }
    }
    #expect(try bench.snapshot().interfacePorts.isEmpty)
    #expect(try bench.snapshot().host == before.host && bench.dataPlane.state.ports.isEmpty)
  }

  @Test func purgeDetaches() throws {
    let bench = try Bench()
    bench.host.addInterface("veth0", index: 7)
    let before = try bench.snapshot()
    try bench.network("web")
    try bench.attach("web", "veth0")
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    #expect(try bench.snapshot() == before)
  }

  @Test func countersAndTablesNameTheInterface() throws {
    let bench = try bench()
    try bench.attach("web", "veth0")
    let ports = try bench.controlPlane.statistics(network: "web").networks[0].ports
    #expect(ports.map(\.kind) == ["interface"] && ports.map(\.name) == ["veth0"])
    try bench.controlPlane.addForwardingEntry(
      network: "web", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "veth0"))
    #expect(
      try bench.controlPlane.forwardingEntries(network: "web").map(\.port) == [
        ForwardingPort(kind: "interface", interface: "veth0")
      ])
    try bench.controlPlane.flushForwardingEntries(network: "web", port: "veth0")
  }
}
