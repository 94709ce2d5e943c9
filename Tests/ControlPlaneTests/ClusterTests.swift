import Cluster
import ControlModel
import Testing
import Wire

@testable import ControlPlane

@Suite struct ClusterTests {
  let names = StandInNameService()
  let cluster = StandInCluster()

  /// A host of a cluster, whose tunnels end at its uplink's 192.0.2.1; on network `net` of the cluster it has nothing yet.
  private func bench() throws -> Bench {
    let bench = try Bench(names: names)
    try bench.uplink()
    try bench.controlPlane.join(cluster, vteps: [])
    try makeNetwork(bench)
    for name in ["a", "b"] { try bench.sandbox(name) }
    return bench
  }

  private func makeNetwork(_ bench: Bench) throws {
    try bench.network("net") { ($0.driver, $0.subnets) = ("overlay", ["10.42.0.0/24"]) }
  }

  private func ip(_ text: String) -> IPAddress { IPAddress(text)! }

  private func remote(_ id: String, _ last: Int, host: String, vtep: String, on network: String) -> ClusterEndpoint {
    ClusterEndpoint(
      id: id, network: network, mac: MACAddress("02:00:00:00:00:0\(last)")!, addresses: [ip("10.42.0.\(last)")],
      name: "web-\(id)", aliases: ["www"], services: [.init(port: 80, transport: "tcp")], host: host, vtep: ip(vtep))
  }

  /// The VTEP to which frames for a MAC address go.
  private func place(_ bench: Bench, _ mac: String) -> IPAddress? {
    bench.dataPlane.state.entries[MACAddress(mac)!].flatMap { bench.dataPlane.overlay.remotes[$0]?.remote.remote }
  }

  private func neighbours(_ bench: Bench) -> [IPAddress: MACAddress] {
    bench.dataPlane.overlay.neighbours.values.reduce(into: [:]) { $0.merge($1) { a, _ in a } }
  }

  @Test func aNetworkIsMadeForAll() throws {
    let bench = try bench()
    let network = try bench.controlPlane.network("net")
    let shared = try #require(cluster.networks.first)
    #expect(network.scope == "global" && shared.id == network.id && shared.vni.map(Int.init) == network.overlay?.vni)
    #expect(
      cluster.state.vnis == [shared.vni!: network.id] && cluster.state.vteps == [ip("192.0.2.1"), ip("2001:db8::1")])
    #expect(shared.subnets == [.init(IPPrefix("10.42.0.0/24")!, gateway: ip("10.42.0.1"))])
    // It is answered for at each host, and by none of the others.
    let gateway = bench.dataPlane.state.ports.values.first { $0.options.isAnycastGateway }
    #expect(gateway != nil && Array(neighbours(bench).keys) == [ip("10.42.0.1")])
    #expect(refusal { try bench.overlay("net") }?.code == .unsupported)
    #expect(refusal { try bench.controlPlane.unsetOverlay(network: "net") }?.code == .unsupported)
    var change = NetworkChange()
    change.mtu = 1400
    #expect(refusal { _ = try bench.controlPlane.changeNetwork("net", change) }?.message.contains("all hosts") == true)
    try bench.controlPlane.removeNetwork("net")
    #expect(cluster.networks.isEmpty && cluster.state.vnis.isEmpty && bench.dataPlane.state.networks.isEmpty)
  }

  @Test func scopes() throws {
    let bench = try bench()
    try bench.network("own") { ($0.driver, $0.scope) = ("overlay", "local") }
    #expect(try bench.controlPlane.network("own").scope == "local" && cluster.networks.count == 1)
    for (driver, scope, words) in [("overlay", "wide", "local, global"), ("bridge", "global", "driver overlay")] {
      let refused = refusal { try bench.network("other") { ($0.driver, $0.scope) = (driver, scope) } }
      #expect(refused?.message.contains(words) == true)
    }
    let alone = try Bench()
    let refused = refusal { try alone.network("net") { ($0.driver, $0.scope) = ("overlay", "global") } }
    #expect(refused?.code == .unsupported && refused?.message.contains("in no cluster") == true)
    #expect(refusal { _ = try alone.controlPlane.clusterView() }?.code == .notFound)
    let placed = refusal {
      try bench.network("other") { ($0.driver, $0.options) = ("overlay", ["local": "192.0.2.1"]) }
    }
    #expect(placed?.message.contains("its own") == true && cluster.state.vnis.count == 1)
  }

  @Test func anotherHostsNetworkIsMadeHere() throws {
    let first = try bench()
    try first.network("more") {
      ($0.driver, $0.ipv6, $0.internal, $0.options) = ("overlay", true, true, ["vni": "77", "tos": "8"])
    }
    let (shared, original) = (cluster.networks, try first.controlPlane.network("more"))
    let (second, other) = (try Bench(), StandInCluster())
    try second.uplink()
    try second.network("mine") { $0.subnets = ["10.42.0.0/16"] }
    try second.controlPlane.join(other, vteps: [ip("192.0.2.1")])
    other.edit { $0.networks = Dictionary(uniqueKeysWithValues: shared.map { ($0.id, $0) }) }
    other.tell(.network(.added(shared[0])))
    let made = try second.controlPlane.network("more")
    #expect(made.id == original.id && made.subnets == original.subnets && made.internal && made.mtu == original.mtu)
    #expect(made.overlay?.vni == 77 && made.overlay?.tos == .value(8) && made.scope == "global")
    // One that does not fit is tried again, and what stands in the way is said.
    let view = try second.controlPlane.clusterView()
    #expect(view.networks.first { $0.name == "net" }?.detail?.contains("overlaps 10.42.0.0/16 of network mine") == true)
    #expect(view.networks.first { $0.name == "more" }?.detail == nil)
    try second.controlPlane.removeNetwork("mine")
    other.tellStatus()
    #expect(try second.controlPlane.network("net").id == first.controlPlane.network("net").id)
    #expect(try second.controlPlane.clusterView().networks.allSatisfy { $0.detail == nil })
    // What the cluster has no more goes, once nothing is on it.
    try second.sandbox("a")
    try second.connect("net", "a")
    other.edit { $0.networks = [:] }
    other.tellStatus()
    #expect(try second.controlPlane.networks().map(\.name) == ["net"])
    try second.controlPlane.disconnect(network: "net", sandbox: "a")
    other.tellStatus()
    #expect(try second.controlPlane.networks().isEmpty)
  }

  @Test func etcdThatIsAwayTakesNothing() throws {
    let bench = try bench()
    cluster.edit { ($0.status, $0.networks) = (.cutOff(since: .now, reason: "gone"), [:]) }
    cluster.tellStatus()
    #expect(try bench.controlPlane.networks().count == 1 && bench.controlPlane.clusterView().state == "cut off")
  }

  @Test func hostsThatPlanAtTheSameTime() throws {
    let bench = try bench()
    cluster.edit { $0.rivals = 2 }
    try bench.network("more") { $0.driver = "overlay" }
    #expect(cluster.networks.count == 2 && cluster.state.vnis.count == 2)
    cluster.edit { $0.rivals = 10 }
    #expect(refusal { try bench.network("yet") { $0.driver = "overlay" } }?.code == .conflict)
    #expect(cluster.state.vnis.count == 2)
    cluster.edit { $0.rivals = 0 }
    // One that this host alone has, and one that no host here has.
    let other = try #require(cluster.networks.first { $0.name == "more" })
    cluster.edit { $0.networks["far"] = ClusterNetwork(id: "far", name: "far", vni: 9, subnets: other.subnets) }
    #expect(refusal { try bench.network("far") { $0.driver = "overlay" } }?.message.contains("in the cluster") == true)
    let overlapping = refusal {
      try bench.network("yet") { ($0.driver, $0.subnets) = ("overlay", [other.subnets[0].subnet.description]) }
    }
    #expect(overlapping?.code == .conflict)
  }

  @Test func addressesAreTheClusters() throws {
    let bench = try bench()
    let a = try bench.connect("net", "a")
    #expect(a.addresses == ["10.42.0.2/24"] && cluster.state.addresses == [ip("10.42.0.2"): a.id])
    let published = try #require(cluster.state.published[a.id])
    #expect(published.name == "a" && published.mac?.description == a.mac && published.vtep == ip("192.0.2.1"))
    cluster.edit { $0.addresses[ip("10.42.0.3")] = "another's" }
    #expect(refusal { try bench.connect("net", "b") { $0.ip = "10.42.0.3" } }?.code == .conflict)
    for (address, code) in [
      ("10.42.0.1", ControlError.Code.conflict), ("10.43.0.1", .invalid), ("10.42.0.255", .invalid),
    ] {
      #expect(refusal { try bench.connect("net", "b") { $0.ip = address } }?.code == code)
    }
    // A failure gives back what it has claimed.
    let count = cluster.state.addresses.count
    bench.faults.arm(4)
    #expect(refusal { try bench.connect("net", "b") } != nil && cluster.state.addresses.count == count)
    bench.faults.arm(nil)
    let b = try bench.connect("net", "b")
    #expect(b.addresses == ["10.42.0.4/24"])
    try bench.publish(b.id, "8080:80")
    #expect(cluster.state.published[b.id]?.services == [.init(port: 80, transport: "tcp")])
    #expect(refusal { try bench.controlPlane.removeNetwork("net") }?.message.contains("sandbox a, b") == true)
    #expect(try bench.controlPlane.pruneNetworks() == [])
    // A daemon that starts again has them still.
    try bench.restart()
    let again = StandInCluster()
    again.edit { $0.networks = cluster.state.networks }
    try bench.controlPlane.join(again, vteps: [])
    #expect(again.state.started == [a.id, b.id] && Set(again.state.published.keys) == [a.id, b.id])
    try bench.controlPlane.disconnect(network: "net", sandbox: "b")
    #expect(Set(again.state.published.keys) == [a.id])
  }

  @Test func otherHostsEndpoints() throws {
    let bench = try bench()
    let network = try bench.controlPlane.network("net").id
    let before = neighbours(bench)
    // An endpoint may be known before its host is.
    let e1 = remote("e1", 5, host: "h2", vtep: "192.0.2.2", on: network)
    cluster.tell(.added(e1))
    #expect(place(bench, "02:00:00:00:00:05") == nil && neighbours(bench)[ip("10.42.0.5")] == e1.mac)
    cluster.addHost("h2", "192.0.2.2")
    cluster.addHost("h3", "192.0.2.3")
    cluster.addHost("h1", "192.0.2.1")
    #expect(bench.dataPlane.remotes.map(\.remote) == [ip("192.0.2.2"), ip("192.0.2.3")])
    #expect(place(bench, "02:00:00:00:00:05") == ip("192.0.2.2"))
    #expect(names.state.endpoints["e1"]?.names == ["web-e1", "www"])
    #expect(refusal { try bench.connect("net", "a") { $0.mac = "02:00:00:00:00:05" } }?.code == .conflict)
    // It moves, with its id or without.
    let moved = remote("e1", 5, host: "h3", vtep: "192.0.2.3", on: network)
    cluster.tell(.changed(moved, from: e1))
    #expect(place(bench, "02:00:00:00:00:05") == ip("192.0.2.3"))
    let successor = remote("e2", 5, host: "h2", vtep: "192.0.2.2", on: network)
    cluster.tell(.changed(successor, from: moved))
    #expect(place(bench, "02:00:00:00:00:05") == ip("192.0.2.2") && Set(names.state.endpoints.keys) == ["e2"])
    // It comes here.
    var own = successor
    own.host = "h1"
    cluster.tell(.changed(own, from: successor))
    #expect(place(bench, "02:00:00:00:00:05") == nil && neighbours(bench) == before)
    cluster.tell(.changed(successor, from: own))
    // What was given by hand stays.
    try bench.controlPlane.addForwardingEntry(
      network: "net", ForwardingEntryRequest(mac: "02:00:00:00:00:05", port: "vtep=192.0.2.3"))
    cluster.tell(.gone(successor))
    #expect(place(bench, "02:00:00:00:00:05") == ip("192.0.2.3"))
    #expect(names.state.endpoints.isEmpty && neighbours(bench) == before)
    let peer = refusal { try bench.controlPlane.removeOverlayPeer(network: "net", address: "192.0.2.3") }
    #expect(peer?.message.contains("host of the cluster") == true)
    cluster.tell(.host(.gone(cluster.hosts[1])))
    #expect(bench.dataPlane.remotes.map(\.remote) == [ip("192.0.2.2")])
  }

  @Test func servicesAreTheClusters() throws {
    let bench = try bench()
    let network = try bench.controlPlane.network("net").id
    let a = try bench.connect("net", "a")
    cluster.addHost("h2", "192.0.2.2")
    let e1 = remote("e1", 9, host: "h2", vtep: "192.0.2.2", on: network)
    cluster.tell(.added(e1))
    var request = ServiceRequest(name: "web", network: "net")
    (request.published, request.endpoints) = (["8080:80"], ["a"])
    _ = try bench.controlPlane.createService(request)
    let service = try bench.controlPlane.service("web")
    let shared = try #require(cluster.services.first)
    #expect(shared.addresses.map(\.description) == service.virtualAddresses && shared.network == network)
    #expect(shared.ports == ["tcp/8080"])
    #expect(cluster.state.addresses[shared.addresses[0]] == "web")
    // By which members elsewhere answer.
    let mesh = try #require(cluster.state.published["mesh-h1"])
    #expect(mesh.mac != nil && cluster.state.addresses[mesh.addresses[0]] == "mesh-h1" && mesh.vtep == ip("192.0.2.1"))
    var change = ServiceChange()
    // By its sandbox, its address or its id.
    change.addedEndpoints = ["web-e1", "10.42.0.9", "e1"]
    #expect(try bench.controlPlane.changeService("web", change).members.map(\.endpoint) == [a.id, "e1"])
    let known = try #require(cluster.services.first)
    // Another host has it as well.
    let (second, other) = (try Bench(), StandInCluster())
    try second.uplink()
    try second.controlPlane.join(other, vteps: [ip("192.0.2.1")])
    other.edit { ($0.networks, $0.services) = (cluster.state.networks, ["web": known]) }
    other.tellStatus()
    let same = try second.controlPlane.service("web")
    #expect(same.id == service.id && same.virtualAddresses == service.virtualAddresses && same.members.count == 2)
    #expect(other.state.published["mesh-h1"] != nil)
    // What another host changes and removes.
    other.edit { $0.services = ["web": shared] }
    other.tellStatus()
    #expect(try second.controlPlane.service("web").members.count == 1)
    other.edit { $0.services = [:] }
    other.tellStatus()
    #expect(
      try second.controlPlane.services().isEmpty && other.state.published.isEmpty && other.state.addresses.isEmpty)
    let inUse = refusal { try bench.controlPlane.removeNetwork("net") }
    #expect(inUse?.message.contains("service web") == true)
    try bench.controlPlane.removeService("web")
    cluster.tellStatus()
    #expect(try bench.controlPlane.services().isEmpty && cluster.services.isEmpty)
    #expect(Set(cluster.state.published.keys) == [a.id] && Array(cluster.state.addresses.values) == [a.id])
    // A name that is taken, and a failure amid: nothing is left.
    cluster.edit { $0.services["web"] = shared }
    #expect(refusal { _ = try bench.controlPlane.createService(request) }?.code == .conflict)
    #expect(Array(cluster.state.addresses.values) == [a.id])
  }

  @Test func theHostsOwnAddressChanges() throws {
    let bench = try bench()
    let a = try bench.connect("net", "a")
    bench.host.addUplink("eth1", index: 8, "192.0.2.9/24")
    try bench.uplink("eth1")
    cluster.tellStatus()
    #expect(cluster.state.vteps == [ip("192.0.2.9")] && cluster.state.published[a.id]?.vtep == ip("192.0.2.9"))
    #expect(try bench.controlPlane.overlay(network: "net").local == "192.0.2.9")
  }

  @Test func everythingIsTakenAway() throws {
    let bench = try bench()
    try bench.connect("net", "a")
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    cluster.tellStatus()
    bench.controlPlane.stop()
    #expect(
      cluster.state.published.isEmpty && cluster.state.addresses.isEmpty && bench.dataPlane.state.networks.isEmpty)
    #expect(cluster.networks.count == 1, "other hosts have it still")
  }
}
