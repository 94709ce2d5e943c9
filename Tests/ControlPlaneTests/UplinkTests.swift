import ControlModel
import Datapath
import Testing
import Wire

@testable import ControlPlane

@Suite struct UplinkTests {
  private func ip(_ text: String) -> IPAddress { IPAddress(text)! }
  private func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }

  /// Waits for what the control plane does on its own.
  private func wait(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
  }

  @Test func isSetShownAndUnset() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    bench.host.editUplink { $0.fleeting["eth0"] = [IPPrefix("192.0.2.200/24")!, IPPrefix("fe80::1/64")!] }
    let before = try bench.snapshot()
    #expect(refusal { _ = try bench.controlPlane.uplink() }?.code == .notFound)
    let uplink = try bench.uplink()
    #expect(uplink.state == "up" && uplink.detail == nil && uplink.mac == "02:00:00:00:00:77" && uplink.mtu == 1500)
    #expect(Set(uplink.addresses) == ["192.0.2.1", "2001:db8::1"] && uplink.chosenAddresses.isEmpty)
    #expect(uplink.ports == ["61000-65535"] && !uplink.ipv6NAT)
    #expect(try bench.controlPlane.uplink() == uplink)
    let told = try #require(bench.dataPlane.routing.uplink)
    #expect(told.ports == [61000...65535] && told.addresses.map(\.slot) == [0, 1])
    #expect(Set(bench.host.state.uplink.slots.values) == [ip("192.0.2.1"), ip("2001:db8::1")])
    #expect(bench.host.state.uplink.open == 7 && bench.host.heldDescriptors == 1)
    try bench.controlPlane.unsetUplink()
    try bench.controlPlane.unsetUplink()
    #expect(try bench.snapshot() == before)
  }

  @Test func chosenAddressesAndPorts() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "192.0.2.5/24", "2001:db8::1/64")
    let uplink = try bench.uplink {
      ($0.addresses, $0.ports, $0.ipv6NAT) = (["192.0.2.5"], ["20000-20999", "62000-62999"], true)
    }
    #expect(uplink.addresses == ["192.0.2.5"] && uplink.chosenAddresses == ["192.0.2.5"] && uplink.ipv6NAT)
    #expect(bench.dataPlane.routing.uplink?.ports == [20000...20999, 62000...62999])
    // Set again, all of it is as it is asked for now.
    let again = try bench.uplink()
    #expect(Set(again.addresses) == ["192.0.2.1", "192.0.2.5", "2001:db8::1"] && again.ports == ["61000-65535"])
    #expect(bench.dataPlane.routing.uplink?.addresses.first { $0.address == ip("192.0.2.5") }?.slot == 0)
    #expect(!again.ipv6NAT)
  }

  @Test func portsThatProgramsHaveAreLeftToThem() throws {
    let bench = try Bench()
    bench.host.editUplink { $0.users = [61000: "a", 61001: "b", 62000: "c", 65535: "d", 80: "e"] }
    #expect(try bench.uplink().ports == ["61000-65535"])
    #expect(bench.dataPlane.routing.uplink?.ports == [61002...61999, 62001...65534])
  }

  @Test func refusals() throws {
    let bench = try Bench()
    try bench.network("web")
    let gateway = try #require(try bench.controlPlane.network("web").gatewayInterface)
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24")
    bench.host.addInterface("lo", index: 1) { ($0.isEthernet, $0.mac) = (false, nil) }
    bench.host.addInterface("br0", index: 20)
    bench.host.addInterface("port0", index: 21) { $0.master = 20 }
    bench.host.addInterface("veth0", index: 22)
    try bench.attach("web", "veth0")
    let before = try bench.snapshot()
    let cases: [(String, ControlError.Code, String, (inout UplinkRequest) -> Void)] = [
      ("nothing0", .notFound, "no interface \"nothing0\"", { _ in }),
      ("", .notFound, "no interface \"\"", { _ in }),
      ("lo", .invalid, "no Ethernet", { _ in }),
      ("port0", .conflict, "a port of br0: make br0 the uplink", { _ in }),
      (gateway, .conflict, "Martlet's own", { _ in }),
      ("veth0", .conflict, "martlet port detach web veth0", { _ in }),
      ("eth0", .invalid, "\"x\" is no IP address", { $0.addresses = ["x"] }),
      ("eth0", .invalid, "192.0.2.9 is not on interface eth0", { $0.addresses = ["192.0.2.9"] }),
      ("eth0", .invalid, "127.0.0.1 means nothing outside", { $0.addresses = ["127.0.0.1"] }),
      ("eth0", .invalid, "fe80::1 means nothing outside", { $0.addresses = ["fe80::1"] }),
      ("eth0", .invalid, "at most 16", { $0.addresses = (0..<17).map { "10.0.0.\($0)" } }),
      ("eth0", .invalid, "no range such as", { $0.ports = ["5-"] }),
      ("eth0", .invalid, "from 1024 on", { $0.ports = ["80-2000"] }),
      ("eth0", .invalid, "overlap", { $0.ports = ["2000-3000", "3000-4000"] }),
      ("eth0", .conflict, "ports 40000-62000 overlap 32768-60999", { $0.ports = ["40000-62000"] }),
    ]
    for (interface, code, words, edit) in cases {
      var request = UplinkRequest(interface: interface)
      edit(&request)
      let error = refusal { _ = try bench.controlPlane.setUplink(request) }
      #expect(error?.code == code && error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    bench.host.editUplink { $0.localPorts = 1024...65535 }
    #expect(refusal { try bench.uplink() }?.message.contains("leaves none above") == true)
    bench.host.editUplink { $0.localPorts = 32768...60999 }
    #expect(try bench.snapshot() == before)
    try bench.uplink()
    #expect(refusal { try bench.attach("web", "eth0") }?.message.contains("is the uplink") == true)
  }

  @Test func movesToAnotherInterface() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.uplink()
    bench.host.addUplink("eth1", index: 8, "198.51.100.1/24")
    let uplink = try bench.uplink("eth1")
    #expect(uplink.interface == "eth1" && uplink.addresses == ["198.51.100.1"])
    #expect(bench.host.state.uplink.slots == [0: ip("198.51.100.1")] && bench.host.state.uplink.open == 8)
    #expect(bench.host.state.uplink.subnets == [prefix("172.17.0.0/16")])
    #expect(bench.dataPlane.routing.gateways.count == 1 && bench.host.heldDescriptors == 2)
  }

  @Test func gatewaysFollowModeAndOptions() throws {
    let bench = try Bench()
    try bench.network("before") { $0.ipv6 = true }
    try bench.uplink()
    try bench.network("open") { $0.gatewayMode = "nat-unprotected" }
    try bench.network("routed") { $0.gatewayMode = "routed" }
    try bench.network("bare") { $0.options = ["com.docker.network.bridge.enable_ip_masquerade": "false"] }
    try bench.network("six") { ($0.ipv6, $0.options) = (true, ["org.martlet.nat66": "true"]) }
    try bench.network("fixed") { $0.options = ["com.docker.network.host_ipv4": "192.0.2.1"] }
    try bench.network("mixed") {
      ($0.ipv6, $0.options) = (true, ["com.docker.network.bridge.gateway_mode_ipv4": "routed"])
    }
    for (name, edit) in [
      ("isolated", { $0.gatewayMode = "isolated" }), ("internal", { $0.internal = true }),
      ("plain", { $0.noGateway = true }),
    ] as [(String, (inout NetworkRequest) -> Void)] {
      try bench.network(name, edit)
    }
    let store = try Store(directory: bench.directory)
    func gateway(_ name: String) throws -> DataPlaneGateway? {
      let macs = try store.network(name).gatewayMac
      return bench.dataPlane.routing.gateways.values.first { $0.mac == macs }
    }
    let expected: [(String, Bool, Bool, Bool)] = [
      ("before", true, false, false), ("open", true, false, true), ("routed", false, false, false),
      ("bare", false, false, false), ("six", true, true, false), ("fixed", true, false, false),
      ("mixed", false, false, false),
    ]
    for (name, translatesIPv4, translatesIPv6, isOpen) in expected {
      let gateway = try #require(try gateway(name), "\(name)")
      #expect(gateway.translatesIPv4 == translatesIPv4 && gateway.translatesIPv6 == translatesIPv6, "\(name)")
      #expect(gateway.isOpen == isOpen && gateway.port != nil, "\(name)")
    }
    #expect(try gateway("fixed")?.outbound == [ip("192.0.2.1")])
    #expect(try gateway("before")?.addresses.count == 2)
    #expect(bench.dataPlane.routing.gateways.count == expected.count)
    let subnets = try expected.flatMap { name, _, _, _ in
      try store.subnets(ofNetwork: store.network(name).id).map(\.prefix)
    }
    #expect(Set(bench.host.state.uplink.subnets) == Set(subnets))

    var change = NetworkChange()
    change.gatewayMode = "nat-unprotected"
    _ = try bench.controlPlane.changeNetwork("before", change)
    #expect(try gateway("before")?.isOpen == true)
    change.gatewayMode = "isolated"
    _ = try bench.controlPlane.changeNetwork("before", change)
    #expect(try gateway("before") == nil)
    #expect(bench.dataPlane.routing.gateways.count == expected.count - 1)
    try bench.uplink { $0.ipv6NAT = true }
    #expect(try gateway("six")?.translatesIPv6 == true && gateway("open")?.translatesIPv6 == true)
    try bench.controlPlane.unsetUplink()
    #expect(bench.dataPlane.routing.gateways.isEmpty && bench.dataPlane.routing.routes.isEmpty)
    #expect(
      refusal {
        try bench.network("no") { $0.options = ["com.docker.network.host_ipv4": "x"] }
      }?.message.contains("no IPv4 address") == true)
    try bench.uplink()
    #expect(
      refusal {
        try bench.network("no") { $0.options = ["com.docker.network.host_ipv4": "192.0.2.77"] }
      }?.message.contains("no external address of uplink eth0, which has") == true)
  }

  @Test func hostsAreToldWithTheirPort() throws {
    let bench = try Bench()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a")
    #expect(
      bench.dataPlane.routing.hosts.map { "\($0.address)" } == endpoint.addresses.map { $0.split(separator: "/")[0] })
    #expect(bench.dataPlane.routing.hosts.allSatisfy { "\($0.mac)" == endpoint.mac })
    try bench.restart()
    #expect(bench.dataPlane.routing.hosts.count == 2)
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(bench.dataPlane.routing.hosts.isEmpty)
  }

  // MARK: What changes under it

  @Test func addressesComeAndGoAndKeepTheirSlots() async throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "192.0.2.2/24")
    try bench.uplink()
    bench.host.edit { $0.interfaces[1]!["eth0"]!.addresses = [IPPrefix("192.0.2.2/24")!, IPPrefix("192.0.2.3/24")!] }
    bench.host.tell(.configuration)
    let wanted = [
      ExternalAddress(slot: 1, address: ip("192.0.2.2")), ExternalAddress(slot: 2, address: ip("192.0.2.3")),
    ]
    try await wait { bench.dataPlane.routing.uplink?.addresses == wanted }
    #expect(bench.host.state.uplink.slots == [1: ip("192.0.2.2"), 2: ip("192.0.2.3")])
    bench.host.edit { $0.interfaces[1]!["eth0"]!.addresses = [] }
    bench.host.tell(.configuration)
    try await wait { bench.dataPlane.routing.uplink?.addresses.isEmpty == true }
    #expect(try bench.controlPlane.uplink().detail?.contains("no global address") == true)
  }

  @Test func anInterfaceThatGoesAndComesIsTakenUpAgain() async throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.uplink()
    bench.host.editUplink {
      $0.routes = [HostRoute(.unicast, IPPrefix("0.0.0.0/0")!, gateway: IPAddress("192.0.2.254"), link: 7)]
    }
    bench.host.deleteInterface("eth0")
    bench.dataPlane.lose(try #require(bench.dataPlane.routing.uplinkPort))
    try await wait { bench.dataPlane.routing.uplink == nil }
    #expect(try bench.controlPlane.uplink().state == "missing" && bench.host.state.uplink.open == nil)
    // Networks do not fall back to the host, which would send their packets on as they are.
    #expect(bench.dataPlane.routing.gateways.count == 1)
    #expect(bench.dataPlane.routing.routes.map(\.target) == [.unreachable])
    bench.host.addUplink("eth0", index: 9, "192.0.2.1/24")
    try await wait { bench.dataPlane.routing.uplink != nil }
    #expect(try bench.controlPlane.uplink().state == "up" && bench.host.state.uplink.open == 9)
    bench.host.edit { $0.interfaces[1]!["eth0"]!.isUp = false }
    #expect(try bench.controlPlane.uplink().detail == "the interface is down: ip link set eth0 up")
  }

  @Test func oneThatBecomesAPortSaysWhy() async throws {
    let bench = try Bench()
    try bench.uplink()
    bench.host.edit { $0.interfaces[1]!["eth0"]!.master = 99 }
    bench.host.tell(.configuration)
    try await wait { try bench.controlPlane.uplink().state == "down" }
    #expect(try bench.controlPlane.uplink().detail?.contains("is a port of another interface") == true)
    bench.host.edit { $0.interfaces[1]!["eth0"]!.master = nil }
    bench.host.tell(.configuration)
    try await wait { try bench.controlPlane.uplink().state == "up" }
  }

  @Test func neighboursAreLookedForAndFollowed() async throws {
    let bench = try Bench()
    try bench.uplink()
    let (router, mac) = (ip("192.0.2.254"), MACAddress("02:00:00:00:00:fe")!)
    // Nobody has asked for it.
    bench.host.tell(.neighbour(ip("192.0.2.9"), link: 7))
    bench.dataPlane.neededHandler.withLock { $0 }?(router)
    try await wait { bench.host.state.uplink.resolved == [router] }
    #expect(bench.dataPlane.routing.neighbours.isEmpty)
    bench.host.editUplink { $0.neighbours[router] = mac }
    bench.host.tell(.neighbour(router, link: 7))
    try await wait { bench.dataPlane.routing.neighbours == [router: mac] }
    bench.host.editUplink { $0.neighbours[router] = nil }
    bench.host.tell(.neighbour(router, link: 7))
    try await wait { bench.dataPlane.routing.neighbours.isEmpty }
  }

  @Test func comesBackAfterARestart() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.uplink { $0.addresses = ["192.0.2.1"] }
    let before = bench.dataPlane.routing
    try bench.restart()
    let after = bench.dataPlane.routing
    #expect(after.uplink == before.uplink && after.gateways.count == 1 && after.routes == before.routes)
    #expect(bench.host.state.uplink.slots == [0: ip("192.0.2.1")])
    #expect(bench.host.state.uplink.subnets == [prefix("172.17.0.0/16")])
    try bench.restart { bench.host.deleteInterface("eth0") }
    #expect(try bench.controlPlane.uplink().state == "missing" && bench.dataPlane.routing.gateways.count == 1)
  }
}

@Suite struct RoutePlanTests {
  private func plan(_ routes: HostRoute..., uplink: Int32? = 7) -> [String: DataPlaneRoute.Target] {
    let planned = RoutePlan.routes(routes, uplink: uplink, gateways: [50])
    return Dictionary(uniqueKeysWithValues: planned.map { ($0.destination.description, $0.target) })
  }

  private let everything = IPPrefix("0.0.0.0/0")!
  private let router = IPAddress("192.0.2.254")!

  @Test func targets() {
    let targets = plan(
      HostRoute(.unicast, everything, gateway: router, link: 7),
      HostRoute(.unicast, IPPrefix("192.0.2.0/24")!, link: 7),
      HostRoute(.local, IPPrefix("192.0.2.1/32")!, link: 7), HostRoute(.unicast, IPPrefix("10.0.0.0/8")!, link: 8),
      HostRoute(.unreachable, IPPrefix("198.51.100.0/24")!, link: nil),
      HostRoute(.unicast, IPPrefix("172.17.0.0/16")!, link: 50),
      HostRoute(.local, IPPrefix("172.17.0.1/32")!, link: 50),
      HostRoute(.multicast, IPPrefix("ff00::/8")!, link: 7), HostRoute(.unicast, IPPrefix("fe80::/64")!, link: 7))
    #expect(
      targets == [
        "0.0.0.0/0": .uplink(gateway: router), "192.0.2.0/24": .uplink(gateway: nil), "192.0.2.1/32": .host,
        "10.0.0.0/8": .unreachable, "198.51.100.0/24": .unreachable,
      ])
  }

  @Test func theLowestMetricIsTaken() {
    let low = HostRoute(.unicast, everything, gateway: router, link: 7, metric: 100)
    let high = HostRoute(.unicast, everything, link: 8, metric: 600)
    #expect(plan(low, high) == plan(high, low) && plan(low, high) == ["0.0.0.0/0": .uplink(gateway: router)])
    let local = HostRoute(.local, everything, link: 1, metric: 1024)
    #expect(plan(low, local) == ["0.0.0.0/0": .host] && plan(local, low) == ["0.0.0.0/0": .host])
  }

  @Test func withoutAnUplinkOnlyTheHostIsReached() {
    let targets = plan(
      HostRoute(.unicast, everything, gateway: router, link: nil),
      HostRoute(.local, IPPrefix("192.0.2.1/32")!, link: 7),
      uplink: nil)
    #expect(targets == ["0.0.0.0/0": .unreachable, "192.0.2.1/32": .host])
  }
}

@Suite struct SlotTests {
  private func assign(_ old: [(Int, String)], _ addresses: [String]) -> [String] {
    old.map { ExternalAddress(slot: $0.0, address: IPAddress($0.1)!) }
      .assigned(to: addresses.map { IPAddress($0)! }).map { "\($0.slot) \($0.address)" }
  }

  @Test func slotsAreKept() {
    #expect(assign([], ["10.0.0.1", "10.0.0.2"]) == ["0 10.0.0.1", "1 10.0.0.2"])
    #expect(assign([(0, "10.0.0.1"), (1, "10.0.0.2")], ["10.0.0.2"]) == ["1 10.0.0.2"])
    // The slot that becomes free stands for nobody else in the same step.
    #expect(assign([(0, "10.0.0.1")], ["10.0.0.2"]) == ["1 10.0.0.2"])
    #expect(assign([(1, "10.0.0.2")], ["10.0.0.3", "10.0.0.2"]) == ["0 10.0.0.3", "1 10.0.0.2"])
    #expect(assign([], (0..<20).map { "10.0.0.\($0)" }).count == 16)
  }
}
