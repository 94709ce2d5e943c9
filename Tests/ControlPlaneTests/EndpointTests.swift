import ControlModel
import Testing
import Wire

@testable import ControlPlane

@Suite struct EndpointTests {
  @Test func connects() throws {
    let bench = try Bench()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a") { $0.aliases = ["db"] }
    #expect(
      endpoint.network == "web" && endpoint.sandbox == "a" && endpoint.interface == "eth0" && endpoint.state == "up")
    #expect(endpoint.addresses.count == 2 && endpoint.addresses[0] == "172.17.0.2/16" && endpoint.aliases == ["db"])
    #expect(endpoint.netns == "/named/a" && endpoint.mtu == 1500)
    let network = try bench.controlPlane.network("web")
    #expect(try network.endpoints == [endpoint] && bench.controlPlane.bareNetwork("web") == network.bare)
    let link = try #require(bench.host.interface("eth0", in: "/named/a"))
    #expect(link.alias == "martlet endpoint \(endpoint.id)" && link.isUp && link.ipv6 == true)
    #expect(link.settings?.mac?.description == endpoint.mac && link.addresses.map(\.description) == endpoint.addresses)
    let inode = bench.host.state.namespaces["/named/a"]!
    #expect(bench.host.state.defaultRoutes[inode]?.count == 2)
    #expect(bench.host.state.nameServers.keys.elementsEqual(["/named/a"]))
    #expect(bench.host.state.interfaces[1]?.count == 1, "nothing but the gateway is left in the daemon's namespace")
    // A gratuitous ARP and an unsolicited neighbour advertisement, from the endpoint's MAC.
    let frames = bench.dataPlane.state.injected
    #expect(frames.count == 2 && frames.allSatisfy { MACAddress(bytes: $0[6..<12])?.description == endpoint.mac })
  }

  @Test func announcesThreeTimes() async throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    while bench.dataPlane.state.injected.count < 3 { try await Task.sleep(for: .milliseconds(20)) }
    try bench.sandbox("b")
    try bench.connect("web", "b") { $0.noAnnounce = true }
    #expect(bench.dataPlane.state.injected.count == 3)
  }

  @Test func doesNothingOnItsOwnOnceStopped() async throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    bench.controlPlane.stop()
    // Longer than the next announcement would have taken.
    try await Task.sleep(for: .milliseconds(ControlPlane.announcementIntervalMilliseconds * 5 / 4))
    #expect(bench.dataPlane.state.injected.count == 1)
  }

  @Test func honoursWhatIsAskedFor() throws {
    let bench = try Bench()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    let ula = try #require(IPPrefix(bench.controlPlane.network("web").subnets[1].subnet))
    let ip6 = ula.first.sameFamily(bits: ula.first.bits + 77)
    let endpoint = try bench.connect("web", "a") {
      $0.ip = "172.17.0.77"
      $0.ip6 = ip6.description
      $0.mac = "02-00-00-00-00-07"
      $0.interface = "net7"
      $0.mtu = 1400
      $0.isolated = true
    }
    #expect(endpoint.addresses == ["172.17.0.77/16", "\(ip6)/64"] && endpoint.mac == "02:00:00:00:00:07")
    #expect(endpoint.interface == "net7" && endpoint.mtu == 1400 && endpoint.isolated)
    #expect(bench.dataPlane.state.ports.values.contains { $0.options.isolated })
  }

  @Test func routes() throws {
    let bench = try Bench()
    try bench.network("web") { $0.subnets = ["10.1.0.0/24"] }
    try bench.network("other")
    try bench.sandbox("a")
    try bench.connect("web", "a") {
      $0.routes = [
        RouteRequest(destination: "10.2.0.0/16", gateway: "10.1.0.9"), RouteRequest(destination: "10.3.0.0/16"),
      ]
      $0.noDefaultRoute = true
    }
    let link = try #require(bench.host.interface("eth0", in: "/named/a"))
    #expect(link.routes == ["10.2.0.0/16 via 10.1.0.9", "10.3.0.0/16 via 10.1.0.1"])
    #expect(bench.host.state.defaultRoutes.isEmpty)
    try bench.connect("other", "a")
    #expect(bench.host.state.defaultRoutes.values.map { $0.values.sorted() } == [["eth1"]])
    // Nor does it later, where it is the one that is left.
    try bench.restart()
    try bench.controlPlane.disconnect(network: "other", sandbox: "a")
    #expect(bench.host.state.defaultRoutes.isEmpty)
  }

  @Test(arguments: [
    RouteRequest(destination: "10.2.0.0"), RouteRequest(destination: "10.2.0.1/16"),
    RouteRequest(destination: "0.0.0.0/0"), RouteRequest(destination: "fd09::/64"),
    RouteRequest(destination: "10.2.0.0/16", gateway: "10.2.0.1"),
    RouteRequest(destination: "10.2.0.0/16", gateway: "fd00::1"), RouteRequest(destination: "10.4.0.0/16"),
  ])
  func refusedRoutes(route: RouteRequest) throws {
    let bench = try Bench()
    try bench.network("web") { $0.subnets = ["10.1.0.0/24"] }
    try bench.sandbox("a")
    let before = try bench.snapshot()
    let refused = refusal {
      try bench.connect("web", "a") { $0.routes = [RouteRequest(destination: "10.4.0.0/16"), route] }
    }
    #expect(refused?.code == .invalid && refused?.message.contains(route.destination) == true)
    #expect(try bench.snapshot() == before)
  }

  @Test func withoutAddressTheInterfaceIsTheUsers() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a") { $0.noAddress = true }
    #expect(
      endpoint.addresses.isEmpty && bench.dataPlane.state.injected.isEmpty && bench.host.state.defaultRoutes.isEmpty)
    #expect(bench.host.interface("eth0", in: "/named/a")?.ipv6 == nil)
  }

  @Test func icc() throws {
    let bench = try Bench()
    try bench.network("web") { $0.options = ["com.docker.network.bridge.enable_icc": "false"] }
    try bench.sandbox("a")
    #expect(try bench.connect("web", "a").isolated)
  }

  @Test func disconnectTakesAllAlongAndOnceMoreIsNoError() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let before = try bench.snapshot()
    let endpoint = try bench.connect("web", "a")
    try bench.controlPlane.addForwardingEntry(
      network: "web", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: endpoint.id))
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    var after = try bench.snapshot()
    // The sandbox keeps its resolv.conf.
    #expect(after.sandboxes[0].hasNameServers && after.host.nameServers == ["/named/a": ["192.0.2.53"]])
    (after.sandboxes[0].hasNameServers, after.host.nameServers) = (false, [:])
    #expect(after == before)
    #expect(bench.host.state.forgotten == [IPAddress("172.17.0.2")!])
    #expect(bench.dataPlane.state.entries.isEmpty)
    #expect(try bench.controlPlane.forwardingEntries(network: "web").isEmpty)
  }

  @Test func anAddressIsNotHandedOutAgainAtOnce() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    #expect(try bench.connect("web", "a").addresses == ["172.17.0.2/16"])
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(try bench.connect("web", "a").addresses == ["172.17.0.3/16"])
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    try bench.restart()
    #expect(try bench.connect("web", "a") { $0.ip = "172.17.0.4" }.addresses == ["172.17.0.4/16"])
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(try bench.connect("web", "a").addresses == ["172.17.0.5/16"])
  }

  @Test func aFullPoolIsRefused() throws {
    let bench = try Bench()
    try bench.network("small") { $0.subnets = ["10.0.0.0/30"] }
    try bench.sandbox("a")
    try bench.sandbox("b")
    try bench.connect("small", "a")
    let before = try bench.snapshot()
    let error = refusal { try bench.connect("small", "b") }
    #expect(error?.code == .exhausted && error?.message.contains("10.0.0.0/30") == true)
    #expect(try bench.snapshot() == before)
  }

  @Test func theNextEndpointGivesTheDefaultRoute() throws {
    let bench = try Bench()
    for name in ["inner", "one", "two"] { try bench.network(name) { $0.internal = name == "inner" } }
    try bench.sandbox("a")
    for name in ["inner", "one", "two"] { try bench.connect(name, "a") }
    let inode = bench.host.state.namespaces["/named/a"]!
    #expect(bench.host.state.defaultRoutes[inode] == [IPAddress("172.18.0.1")!: "eth1"])
    try bench.controlPlane.disconnect(network: "one", sandbox: "a")
    #expect(bench.host.state.defaultRoutes[inode] == [IPAddress("172.19.0.1")!: "eth2"])
    try bench.controlPlane.disconnect(network: "two", sandbox: "a")
    #expect(bench.host.state.defaultRoutes[inode] == nil)
    // eth1 is free again.
    #expect(try bench.connect("one", "a").interface == "eth1")
  }

  @Test func adoptsANamespaceByPathForAsLongAsItIsConnected() throws {
    let bench = try Bench()
    try bench.network("one")
    try bench.network("two")
    let inode = bench.host.addNamespace("/proc/77/ns/net")
    _ = bench.host.addNamespace("/named/web")
    let before = try bench.snapshot()
    try bench.connect("one", "/proc/77/ns/net")
    try bench.connect("two", "/proc/77/ns/net")
    #expect(try bench.connect("one", "/named/web").sandbox == "web")
    let sandbox = try bench.controlPlane.sandbox("/proc/77/ns/net")
    #expect(sandbox.name == "netns-\(inode)" && sandbox.inode == inode && sandbox.origin == "adopted")
    #expect(sandbox.endpoints.count == 2)
    for network in ["one", "two"] {
      try bench.controlPlane.disconnect(network: network, sandbox: "/proc/77/ns/net")
      try bench.controlPlane.disconnect(network: network, sandbox: "/proc/77/ns/net")
    }
    try bench.controlPlane.disconnect(network: "one", sandbox: "/named/web")
    #expect(try bench.snapshot() == before)
  }

  @Test func aPathThatLeadsElsewhereIsAnotherSandbox() throws {
    let bench = try Bench()
    try bench.network("web")
    _ = bench.host.addNamespace("/proc/7/ns/net")
    let first = try bench.connect("web", "/proc/7/ns/net")
    bench.host.loseNamespace("/proc/7/ns/net")
    _ = bench.host.addNamespace("/proc/7/ns/net")
    let second = try bench.connect("web", "/proc/7/ns/net")
    #expect(try bench.controlPlane.endpoints().map(\.id) == [second.id] && first.id != second.id)
    #expect(try bench.controlPlane.sandboxes().count == 1)
  }

  @Test func changesAnEndpoint() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a")
    var change = EndpointChange()
    (change.isolated, change.macLimit, change.rateIn, change.rateOut) = (true, 5, 1_000_000, 8_000)
    let changed = try bench.controlPlane.changeEndpoint(String(endpoint.id.prefix(8)), change)
    #expect(changed.isolated && changed.macLimit == 5 && changed.rateIn == 1_000_000 && changed.rateOut == 8_000)
    let options = DataPlanePortOptions(isolated: true, macLimit: 5, rateIn: 1_000_000, rateOut: 8_000)
    #expect(bench.dataPlane.state.ports.values.contains { $0.options == options })
    for rate in [1, UInt64.max] {
      change.rateIn = rate
      #expect(refusal { _ = try bench.controlPlane.changeEndpoint(endpoint.id, change) }?.code == .invalid)
    }
    try bench.restart()
    #expect(bench.dataPlane.state.ports.values.contains { $0.options == options })
  }

  @Test func noneAndHost() throws {
    let bench = try Bench()
    try bench.network("none") { $0.driver = "none" }
    try bench.network("host") { $0.driver = "host" }
    try bench.network("web")
    try bench.sandbox("a")
    try bench.sandbox("self", netns: "/own")
    #expect(refusal { try bench.connect("host", "a") }?.code == .invalid)
    #expect(refusal { try bench.connect("web", "self") }?.code == .invalid)
    let host = try bench.connect("host", "self")
    #expect(host.interface.isEmpty && host.mac.isEmpty && host.addresses.isEmpty && host.state == "up")
    try bench.connect("none", "a")
    #expect(refusal { try bench.connect("web", "a") }?.code == .conflict)
    try bench.restart()
    #expect(try bench.controlPlane.endpoints().map(\.state) == ["up", "up"])
    try bench.controlPlane.disconnect(network: "none", sandbox: "a")
    try bench.connect("web", "a")
    #expect(refusal { try bench.connect("none", "a") }?.code == .conflict)
  }

  @Test func statisticsNameThePorts() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a")
    let network = try #require(bench.controlPlane.statistics(network: nil).networks.first)
    #expect(network.name == "web" && network.ports.map(\.kind) == ["gateway", "endpoint"])
    #expect(network.ports[1].name == endpoint.id && network.ports[1].sandbox == "a")
  }

  @Test func staticEntries() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a")
    let add = { (mac: String, port: String) in
      try bench.controlPlane.addForwardingEntry(network: "web", ForwardingEntryRequest(mac: mac, port: port))
    }
    try add("02:00:00:00:00:01", endpoint.id)
    try add("02:00:00:00:00:02", "gateway")
    try bench.restart()
    let entries = try bench.controlPlane.forwardingEntries(network: "web").sorted { $0.mac < $1.mac }
    #expect(entries.map(\.port.kind) == ["endpoint", "gateway"] && entries.allSatisfy(\.static))
    #expect(entries[0].port.endpoint == endpoint.id)
    try bench.controlPlane.removeForwardingEntry(network: "web", mac: "02:00:00:00:00:01")
    #expect(
      refusal { try bench.controlPlane.removeForwardingEntry(network: "web", mac: "02:00:00:00:00:01") }?.code
        == .notFound)
    #expect(refusal { try add("01:00:5e:00:00:01", "gateway") }?.code == .invalid)
    #expect(refusal { try add("02:00:00:00:00:03", "0123456789ab") }?.code == .notFound)
    try bench.controlPlane.flushForwardingEntries(network: "web", port: "gateway")
  }
}
