import ControlModel
import Datapath
import Testing
import Wire

@testable import ControlPlane

@Suite struct LANTests {
  static let hostMAC = MACAddress("02:00:00:00:00:77")!

  /// An interface `eth0` of the host, 192.0.2.1/24, and sandboxes a and b.
  private func bench() throws -> Bench {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24")
    bench.host.edit { $0.routed = [IPPrefix("192.0.2.0/24")!] }
    for name in ["a", "b"] { try bench.sandbox(name) }
    return bench
  }

  private func network(
    _ bench: Bench, _ driver: String, _ options: [String: String] = [:], subnet: String? = "192.0.2.0/24",
    name: String = "lan"
  ) throws {
    try bench.network(name) { request in
      request.driver = driver
      request.options = options.merging(["parent": "eth0"]) { given, _ in given }
      request.subnets = subnet.map { [$0] }
      request.gateways = subnet.map { [String($0.prefix { $0 != "/" }.dropLast()) + "254"] }
    }
  }

  private func wait(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
  }

  private func parent(_ bench: Bench) -> StandInHostNetwork.Parent? { bench.host.state.parents.values.first }

  @Test func macvlanEndpointsAreToldByMAC() throws {
    let bench = try bench()
    let empty = try bench.snapshot()
    try network(bench, "macvlan")
    let made = try bench.snapshot()
    let shown = try bench.controlPlane.network("lan")
    #expect(shown.driver == "macvlan" && shown.parent == "eth0" && shown.gatewayInterface == nil)
    #expect(shown.ports.map(\.interface) == ["eth0"] && shown.ports.map(\.state) == ["up"])
    let endpoint = try bench.connect("lan", "a")
    let mac = try #require(MACAddress(endpoint.mac))
    // Not the host's own 192.0.2.1.
    #expect(endpoint.addresses == ["192.0.2.2/24"])
    #expect(parent(bench)?.frames == .byMAC && parent(bench)?.endpoints == ParentEndpoints(macs: [mac]))
    #expect(bench.dataPlane.state.entries[mac] != nil && bench.dataPlane.state.addresses.isEmpty)
    #expect(bench.dataPlane.state.networks.values.map(\.forwarding) == [.endpointMACs])
    #expect(bench.dataPlane.state.ports.values.count { $0.options.isParent } == 1)
    #expect(try bench.controlPlane.sandbox("a").routes.map(\.gateway) == ["192.0.2.254"])
    #expect(bench.host.state.barriers.isEmpty)
    try bench.controlPlane.disconnect(network: "lan", sandbox: "a")
    var after = try bench.snapshot()
    // The sandbox got its name servers.
    (after.host.nameServers, after.sandboxes) = (made.host.nameServers, made.sandboxes)
    #expect(after == made)
    try bench.controlPlane.removeNetwork("lan")
    #expect(bench.host.state.parents.isEmpty && bench.host.heldDescriptors == 0)
    #expect(try bench.snapshot().dataPlaneNetworks == empty.dataPlaneNetworks)
  }

  @Test func ipvlanEndpointsShareTheParentsMAC() async throws {
    let bench = try bench()
    try bench.network("lan") { request in
      (request.driver, request.options) = ("ipvlan", ["parent": "eth0"])
      request.subnets = ["192.0.2.0/24", "2001:db8::/64"]
    }
    let endpoints = [try bench.connect("lan", "a"), try bench.connect("lan", "b")]
    #expect(endpoints.map(\.mac) == [Self.hostMAC.description, Self.hostMAC.description])
    #expect(bench.host.interface("eth0", in: "/named/a")?.settings?.mac == Self.hostMAC)
    #expect(bench.host.interface("eth0", in: "/named/a")?.isLinkLocalRandom == false)
    let told = try #require(parent(bench)?.endpoints)
    // Two of the subnets, and one of the link, for each.
    #expect(told.macs.isEmpty && told.addresses.count == 6)
    #expect(Set(bench.dataPlane.state.addresses.values.joined()) == told.addresses)
    let shown = Set(bench.host.interface("eth0", in: "/named/a")!.addresses.map(\.address))
    #expect(shown.count == 3 && shown.isSubset(of: told.addresses))
    #expect(bench.dataPlane.state.networks.values.map(\.sharedMAC) == [Self.hostMAC])
    // ip link set eth0 address
    let new = try #require(MACAddress("02:00:00:00:00:78"))
    bench.host.edit { $0.interfaces[1]!["eth0"]!.mac = new }
    try await wait { try bench.controlPlane.endpoint(endpoints[1].id).mac == new.description }
    try await wait { bench.host.interface("eth0", in: "/named/b")?.settings?.mac == new }
    #expect(bench.dataPlane.state.networks.values.map(\.sharedMAC) == [new])
    try bench.controlPlane.disconnect(network: "lan", sandbox: "a")
    #expect(parent(bench)?.endpoints.addresses.count == 3)
  }

  @Test(arguments: [
    ("macvlan", ["macvlan_mode": "private"], Forwarding.endpointMACs, true),
    ("macvlan", ["macvlan_mode": "vepa"], .reflected, false), ("ipvlan", ["ipvlan_mode": "l2"], .sharedMAC, false),
    ("ipvlan", ["ipvlan_flag": "private"], .sharedMAC, true),
    ("ipvlan", ["ipvlan_flag": "vepa"], .sharedMACReflected, false),
  ])
  func modes(driver: String, options: [String: String], forwarding: Forwarding, isPrivate: Bool) throws {
    let bench = try bench()
    try network(bench, driver, options)
    #expect(try bench.connect("lan", "a").isolated == isPrivate)
    #expect(bench.dataPlane.state.networks.values.map(\.forwarding) == [forwarding])
    if forwarding == .sharedMAC, !isPrivate {
      #expect(try bench.connect("lan", "b") { $0.isolated = true }.isolated)
    } else {
      #expect(refusal { try bench.connect("lan", "b") { $0.isolated = !isPrivate } }?.code == .invalid)
    }
  }

  @Test func passthruTakesTheParentAlone() throws {
    let bench = try bench()
    try network(bench, "macvlan", ["macvlan_mode": "passthru"])
    #expect(parent(bench)?.frames == .all && parent(bench)?.endpoints == ParentEndpoints())
    #expect(try bench.connect("lan", "a").mac == Self.hostMAC.description)
    #expect(parent(bench)?.endpoints == ParentEndpoints(macs: [Self.hostMAC]))
    #expect(refusal { try bench.connect("lan", "b") }?.message.contains("sandbox a") == true)
    #expect(refusal { try network(bench, "ipvlan", subnet: nil, name: "two") }?.message.contains("alone") == true)
    #expect(refusal { try bench.uplink() }?.code == .conflict)
    try bench.controlPlane.disconnect(network: "lan", sandbox: "a")
    try bench.controlPlane.removeNetwork("lan")
    try bench.uplink()
    #expect(refusal { try network(bench, "macvlan", ["macvlan_mode": "passthru"]) }?.message.contains("uplink") == true)
    try network(bench, "macvlan")
    try network(bench, "ipvlan", subnet: nil, name: "two")
    #expect(bench.host.state.parents.count == 2)
  }

  @Test func anInternalNetworkHasNoParent() throws {
    let bench = try bench()
    try bench.network("lan") { ($0.driver, $0.internal) = ("ipvlan", true) }
    let endpoint = try bench.connect("lan", "a")
    #expect(endpoint.mac == (try bench.connect("lan", "b").mac) && !endpoint.addresses.isEmpty)
    #expect(bench.host.state.parents.isEmpty && bench.host.state.defaultRoutes.isEmpty)
    #expect(try bench.controlPlane.network("lan").parent == nil)
    for mode in [["parent": "eth0"], ["macvlan_mode": "passthru"]] {
      let request: () throws -> Void = {
        try bench.network("x") { ($0.driver, $0.internal, $0.options) = ("macvlan", true, mode) }
      }
      #expect(refusal(request)?.code == .invalid)
    }
  }

  /// l3 is a routed network that can be reached from outside.
  @Test func layer3IsRoutedByTheUplink() throws {
    let bench = try bench()
    let l3 = ["ipvlan_mode": "l3"]
    #expect(refusal { try network(bench, "ipvlan", l3, subnet: "10.9.0.0/24") }?.message.contains("uplink") == true)
    try bench.uplink()
    try bench.network("lan") { ($0.driver, $0.options, $0.subnets) = ("ipvlan", l3, ["10.9.0.0/24"]) }
    let shown = try bench.controlPlane.network("lan")
    #expect(shown.gatewayMode == "routed" && shown.gatewayInterface != nil && shown.parent == nil)
    let gateway = try #require(bench.dataPlane.routing.gateways.values.first)
    #expect(gateway.isOpen && !gateway.translatesIPv4 && !gateway.translatesIPv6)
    try bench.connect("lan", "a")
    #expect(bench.dataPlane.routing.hosts.map(\.address) == [IPAddress("10.9.0.2")])
  }

  /// Addresses that DHCP gave, and none that somebody has.
  @Test func addressesOfOthersMakingAreFollowed() async throws {
    let bench = try bench()
    try network(bench, "ipvlan", subnet: nil)
    #expect(try bench.controlPlane.network("lan").subnets.isEmpty)
    let endpoints = [try bench.connect("lan", "a"), try bench.connect("lan", "b") { $0.noAddress = true }]
    #expect(endpoints.allSatisfy { $0.addresses.isEmpty })
    #expect(bench.host.interface("eth0", in: "/named/a")?.isLinkLocalRandom == true)
    func give(_ sandbox: String, _ addresses: String...) {
      bench.host.edit { state in
        state.interfaces[state.namespaces[sandbox]!]!["eth0"]!.addresses = addresses.map { IPPrefix($0)! }
      }
    }
    give("/named/a", "192.0.2.50/24")
    try await wait { parent(bench)?.endpoints.addresses == [IPAddress("192.0.2.50")!] }
    #expect(Set(bench.dataPlane.state.addresses.values) == [[], [IPAddress("192.0.2.50")!]])
    // The host's, and the other's.
    give("/named/b", "192.0.2.1/24", "192.0.2.50/24", "192.0.2.51/24")
    try await wait { parent(bench)?.endpoints.addresses.count == 2 }
    #expect(
      Set(bench.dataPlane.state.addresses.values.joined()) == Set(["192.0.2.50", "192.0.2.51"].map { IPAddress($0)! }))
    try bench.controlPlane.disconnect(network: "lan", sandbox: "a")
    #expect(parent(bench)?.endpoints.addresses == [IPAddress("192.0.2.51")!])
  }

  @Test func aParentThatGoesIsWaitedFor() async throws {
    let bench = try bench()
    try network(bench, "macvlan")
    let mac = MACAddress(try bench.connect("lan", "a").mac)!
    let interface = try #require(bench.host.interface("eth0", in: "/own"))
    bench.host.deleteInterface("eth0")
    try await wait { try bench.controlPlane.ports(network: "lan").map(\.state) == ["missing"] }
    try await wait { bench.host.state.parents.isEmpty && bench.dataPlane.state.ports.count == 1 }
    try bench.connect("lan", "b")
    // Not one that is somebody else's.
    bench.host.addInterface("eth0", index: 8) { ($0.master, $0.isUp) = (3, true) }
    try await wait { try bench.controlPlane.ports(network: "lan").first?.detail?.contains("port of") == true }
    bench.host.addInterface("eth0", index: 9) {
      $0 = interface; $0.index = 9
    }
    try await wait { parent(bench)?.endpoints.macs.count == 2 }
    #expect(parent(bench)?.endpoints.macs.contains(mac) == true)
    #expect(try bench.controlPlane.ports(network: "lan").map(\.state) == ["up"])
  }

  @Test(arguments: ["macvlan", "ipvlan"]) func aRestartFindsIt(driver: String) throws {
    let bench = try bench()
    try network(bench, driver)
    let endpoint = try bench.connect("lan", "a")
    let before = try bench.snapshot()
    try bench.restart()
    var after = try bench.snapshot()
    (after.ports, after.dataPlaneNetworks, after.routing) = (before.ports, before.dataPlaneNetworks, before.routing)
    #expect(after == before)
    #expect(try bench.controlPlane.endpoint(endpoint.id).state == "up")
    #expect(bench.dataPlane.state.ports.values.count { $0.options.isParent } == 1)
    #expect(bench.dataPlane.state.entries.count + bench.dataPlane.state.addresses.count == 1)
    // While its parent is away too.
    try bench.restart { bench.host.deleteInterface("eth0") }
    #expect(try bench.controlPlane.endpoint(endpoint.id).mac == endpoint.mac)
    #expect(try bench.controlPlane.ports(network: "lan").map(\.state) == ["missing"])
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    #expect(bench.host.state.parents.isEmpty && bench.host.heldDescriptors == 0)
  }

  struct Refusal: CustomTestStringConvertible {
    var testDescription: String
    var code: ControlError.Code
    var edit: @Sendable (inout NetworkRequest) -> Void

    init(_ name: String, _ code: ControlError.Code, _ edit: @escaping @Sendable (inout NetworkRequest) -> Void) {
      (testDescription, self.code, self.edit) = (name, code, edit)
    }
  }

  @Test(arguments: [
    Refusal("no such parent", .notFound) { $0.options = ["parent": "eth9"] },
    Refusal("loopback", .invalid) { $0.options = ["parent": "lo"] },
    Refusal("a port of a bridge", .conflict) { $0.options = ["parent": "slave"] },
    Refusal("no such mode", .invalid) { $0.options!["macvlan_mode"] = "hub" },
    Refusal("a mode of the other driver", .unsupported) { $0.options!["ipvlan_mode"] = "l2" },
    Refusal("an option of bridges", .unsupported) { $0.options!["com.docker.network.bridge.name"] = "br0" },
    Refusal("a parent of a bridge", .unsupported) { $0.driver = "bridge" },
    Refusal("flag of l3", .invalid) {
      ($0.driver, $0.options) = ("ipvlan", ["parent": "eth0", "ipvlan_mode": "l3s", "ipvlan_flag": "vepa"])
    },
    Refusal("gateway mode", .invalid) { $0.gatewayMode = "nat" },
    Refusal("ageing", .invalid) { $0.ageingSeconds = 3 },
    Refusal("MAC table", .invalid) { $0.fdbLimit = 3 },
    Refusal("MTU above the parent's", .conflict) { $0.mtu = 9000 },
    Refusal("gateway without subnet", .invalid) { $0.gateways = ["192.0.2.254"] },
    Refusal("IPv6 without subnet", .invalid) { $0.ipv6 = true },
    Refusal("another network's subnet", .conflict) { $0.subnets = ["10.1.0.0/24"] },
  ])
  func refusals(_ refused: Refusal) throws {
    let bench = try bench()
    try bench.network("web") { $0.subnets = ["10.1.0.0/16"] }
    bench.host.addInterface("lo", index: 1) { $0.isEthernet = false }
    bench.host.addInterface("slave", index: 11) { $0.master = 12 }
    let before = try bench.snapshot()
    let error = refusal {
      try bench.network("lan") { request in
        (request.driver, request.options) = ("macvlan", ["parent": "eth0"])
        refused.edit(&request)
      }
    }
    #expect(error?.code == refused.code, "\(error?.message ?? "")")
    #expect(try bench.snapshot() == before)
  }

  @Test func whatALivingNetworkRefuses() throws {
    let bench = try bench()
    try network(bench, "ipvlan")
    try network(bench, "macvlan", subnet: nil, name: "own")
    let endpoint = try bench.connect("lan", "a")
    bench.host.addInterface("veth0", index: 12)
    var ageing = NetworkChange()
    ageing.ageingSeconds = 3
    let refused: [(ControlError.Code, () throws -> Void)] = [
      (.invalid, { try bench.connect("lan", "b") { $0.mac = "02:00:00:00:00:01" } }),
      (.conflict, { try bench.connect("lan", "b") { $0.ip = "192.0.2.1" } }),
      (.conflict, { try bench.connect("own", "b") { $0.mac = Self.hostMAC.description } }),
      (.invalid, { try bench.publish(endpoint.id, "80") }),
      (.unsupported, { try bench.attach("lan", "veth0") }),
      (.conflict, { try bench.controlPlane.detachPort(network: "lan", interface: "eth0") }),
      (.invalid, { _ = try bench.controlPlane.changeNetwork("lan", ageing) }),
      (
        .unsupported,
        {
          let request = ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: endpoint.id)
          try bench.controlPlane.addForwardingEntry(network: "own", request)
        }
      ),
      (.conflict, { try network(bench, "macvlan", subnet: "192.0.2.128/25", name: "three") }),
    ]
    for (number, (code, body)) in refused.enumerated() {
      let error = refusal(body)
      #expect(error?.code == code, "\(number): \(error?.message ?? "")")
    }
  }
}
