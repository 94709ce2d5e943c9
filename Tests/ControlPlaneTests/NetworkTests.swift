import ControlModel
import Testing
import Wire

@testable import ControlPlane

@Suite struct NetworkTests {
  @Test func makesANetworkWithDefaults() throws {
    let bench = try Bench()
    let id = try bench.network("web")
    let network = try bench.controlPlane.network("web")
    #expect(network.id == id && network.driver == "bridge" && network.mtu == 1500 && network.ageingSeconds == 300)
    #expect(network.fdbLimit == 8192 && network.gatewayMode == "nat" && network.endpoints.isEmpty)
    #expect(network.subnets == [Subnet(subnet: "172.17.0.0/16", gateway: "172.17.0.1")])
    let interface = try #require(network.gatewayInterface)
    #expect(interface == "mt-" + id.prefix(11))
    let link = try #require(bench.host.interface(interface, in: "/own"))
    #expect(link.isUp && link.ipv6 == false && link.addresses.map(\.description) == ["172.17.0.1/16"])
    #expect(link.alias == "martlet gateway \(id)" && link.settings?.mac?.isLocallyAdministered == true)
    #expect(bench.host.state.barriers[interface]?.isInternal == false)
    #expect(bench.dataPlane.state.ports.count == 1)
  }

  @Test func findsByNameIdAndUniquePrefix() throws {
    let bench = try Bench()
    let id = try bench.network("web")
    for name in ["web", id, String(id.prefix(4)), String(id.prefix(12))] {
      #expect(try bench.controlPlane.network(name).id == id)
    }
    #expect(refusal { _ = try bench.controlPlane.network(String(id.prefix(3))) }?.code == .notFound)
    #expect(refusal { _ = try bench.controlPlane.network("nothing") }?.code == .notFound)
  }

  @Test func takesTheNextPoolPastHostRoutesAndNetworks() throws {
    let bench = try Bench()
    bench.host.edit { $0.routed = [IPPrefix("172.18.9.0/24")!] }
    try bench.network("one")
    try bench.network("two")
    #expect(try bench.controlPlane.network("one").subnets[0].subnet == "172.17.0.0/16")
    #expect(try bench.controlPlane.network("two").subnets[0].subnet == "172.19.0.0/16")
  }

  @Test func allPoolsFull() throws {
    let bench = try Bench()
    for number in SubnetAllocator.ipv4Pools.indices { try bench.network("n\(number)") { $0.noGateway = true } }
    let before = try bench.snapshot()
    #expect(refusal { try bench.network("more") }?.code == .exhausted)
    #expect(try bench.snapshot() == before)
  }

  @Test func ipv6AddsALocalSubnetAndAnIPv6SubnetAloneIsAlone() throws {
    let bench = try Bench()
    try bench.network("both") { $0.ipv6 = true }
    let both = try bench.controlPlane.network("both")
    #expect(
      both.subnets.count == 2 && both.subnets[1].subnet.hasPrefix("fd") && both.subnets[1].subnet.hasSuffix("/64"))
    try bench.network("six") { $0.subnets = ["fd00:1::/64"] }
    let six = try bench.controlPlane.network("six")
    #expect(six.subnets == [Subnet(subnet: "fd00:1::/64", gateway: "fd00:1::1")])
    #expect(bench.host.interface(six.gatewayInterface!, in: "/own")?.ipv6 == true)
    try bench.network("again") { $0.ipv6 = true }
    let again = try bench.controlPlane.network("again")
    // One /48 for all networks of a store (RFC 4193, 3.2).
    #expect(again.subnets[1].subnet.split(separator: ":")[..<3] == both.subnets[1].subnet.split(separator: ":")[..<3])
  }

  @Test func honoursRequestsAndOptions() throws {
    let bench = try Bench()
    try bench.network("web") {
      $0.subnets = ["10.1.0.0/16"]
      $0.gateways = ["10.1.0.254"]
      $0.ipRanges = ["10.1.2.0/24"]
      $0.auxiliaryAddresses = ["router": "10.1.2.1"]
      $0.internal = true
      $0.ageingSeconds = 30
      $0.fdbLimit = 100
      $0.labels = ["team": "net"]
      $0.options = [
        "com.docker.network.driver.mtu": "9000", "com.docker.network.bridge.name": "br-web",
        "com.docker.network.bridge.inhibit_ipv4": "true",
      ]
    }
    let network = try bench.controlPlane.network("web")
    #expect(
      network.subnets == [
        Subnet(
          subnet: "10.1.0.0/16", gateway: "10.1.0.254", ipRange: "10.1.2.0/24",
          auxiliaryAddresses: ["router": "10.1.2.1"])
      ])
    #expect(network.internal && network.mtu == 9000 && network.gatewayInterface == "br-web")
    #expect(bench.host.interface("br-web", in: "/own")?.addresses.isEmpty == true)
    #expect(bench.host.state.barriers["br-web"]?.isInternal == true)
    let options = DataPlaneNetworkOptions(mtu: 9000, ageingSeconds: 30, fdbLimit: 100)
    #expect(bench.dataPlane.state.networks.values.contains(options))
  }

  @Test func aPlainSwitchHasNoGateway() throws {
    let bench = try Bench()
    try bench.network("plain") { $0.noGateway = true }
    let network = try bench.controlPlane.network("plain")
    #expect(network.gatewayInterface == nil && network.subnets[0].gateway == nil)
    #expect(bench.host.state.interfaces[1]!.isEmpty && bench.host.state.barriers.isEmpty)
    try bench.sandbox("a")
    #expect(try bench.connect("plain", "a").addresses == ["172.17.0.1/16"])
    #expect(bench.host.state.defaultRoutes.isEmpty)
  }

  @Test func removesWhatNobodyUses() throws {
    let bench = try Bench()
    let before = try bench.snapshot()
    try bench.network("web")
    try bench.network("idle")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    let error = refusal { try bench.controlPlane.removeNetwork("web") }
    #expect(error?.code == .conflict && error?.message.contains("sandbox a") == true)
    #expect(try bench.controlPlane.pruneNetworks() == ["idle"])
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    try bench.controlPlane.removeNetwork("web")
    try bench.controlPlane.removeSandbox("a")
    #expect(try bench.snapshot() == before)
  }

  @Test func changesALivingNetwork() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.sandbox("b")
    try bench.connect("web", "a")
    try bench.connect("web", "b") { $0.mtu = 1400 }
    var change = NetworkChange()
    (change.mtu, change.ageingSeconds, change.fdbLimit) = (1450, 60, 50)
    let network = try bench.controlPlane.changeNetwork("web", change)
    #expect(network.mtu == 1450 && network.ageingSeconds == 60 && network.fdbLimit == 50)
    #expect(bench.host.interface(network.gatewayInterface!, in: "/own")?.settings?.mtu == 1450)
    #expect(bench.host.interface("eth0", in: "/named/a")?.settings?.mtu == 1450)
    #expect(bench.host.interface("eth0", in: "/named/b")?.settings?.mtu == 1400)
    change.mtu = 1300
    let error = refusal { _ = try bench.controlPlane.changeNetwork("web", change) }
    #expect(error?.code == .conflict && error?.message.contains("1400") == true)
  }

  @Test func isolationTakesTheGatewayAndItsRoutesAway() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.network("other")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    try bench.connect("other", "a")
    let inode = bench.host.state.namespaces["/named/a"]!
    #expect(bench.host.state.defaultRoutes[inode] == [IPAddress("172.17.0.1")!: "eth0"])
    var change = NetworkChange()
    change.gatewayMode = "isolated"
    #expect(try bench.controlPlane.changeNetwork("web", change).gatewayInterface == nil)
    #expect(bench.host.state.defaultRoutes[inode] == [IPAddress("172.18.0.1")!: "eth1"])
    #expect(bench.host.state.interfaces[1]!.count == 1 && bench.host.state.barriers.count == 1)
    change.gatewayMode = "routed"
    #expect(try bench.controlPlane.changeNetwork("web", change).gatewayInterface != nil)
    #expect(bench.host.state.interfaces[1]!.count == 2 && bench.host.state.barriers.count == 2)
  }

  @Test func noneAndHostAreOneEach() throws {
    let bench = try Bench()
    for driver in ["none", "host"] {
      try bench.network(driver) { $0.driver = driver }
      #expect(refusal { try bench.network("more") { $0.driver = driver } }?.code == .conflict)
      #expect(refusal { _ = try bench.controlPlane.forwardingEntries(network: driver) }?.code == .unsupported)
    }
    #expect(bench.dataPlane.state.networks.isEmpty)
  }
}
