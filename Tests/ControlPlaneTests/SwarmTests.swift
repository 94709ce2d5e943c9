import Cluster
import ControlModel
import Foundation
import Testing
import Wire

@testable import ControlPlane

/// Networks of a swarm: the order of calls is Docker's, as recorded from a manager and a worker.
@Suite struct SwarmTests {
  private static let ids = ["yt1bhbdjxt7l8wf5ih6siwbau", "ab0c1d2e3f4a5b6c7d8e9f0a1", "w37ojbyrztjv4llgeis41t8fx"]
  private static let vniKey = "com.docker.network.driver.overlay.vxlanid_list"

  /// An interface `eth0` with 192.0.2.1, which the swarm says is this host's.
  private func bench() throws -> Bench {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    try bench.controlPlane.nodeCame("192.0.2.1", isOwn: true)
    return bench
  }

  private func request(_ number: Int = 0, _ options: [String: String] = [:]) -> NetworkRequest {
    var request = NetworkRequest(name: "docker-" + Self.ids[number].prefix(12))
    (request.driver, request.options) = ("overlay", options)
    (request.subnets, request.gateways) = (["10.\(90 + number).0.0/24"], ["10.\(90 + number).0.1"])
    return request
  }

  private func allocate(
    _ bench: Bench, _ number: Int = 0, _ options: [String: String] = [:], isRepeated: Bool = false
  ) throws -> Int {
    try bench.controlPlane.allocateNetwork(
      id: Self.ids[number], request(number, options), isRepeated: isRepeated)
  }

  private func create(_ bench: Bench, _ number: Int = 0, vni: Int = 4096) throws {
    try bench.controlPlane.createNetwork(
      id: Self.ids[number], request(number, [Self.vniKey: "\(vni)", "port": "8472"]))
  }

  private func add(_ bench: Bench, _ number: Int) throws {
    _ = try bench.controlPlane.createEndpoint(
      DriverEndpointRequest(
        network: Self.ids[number], endpoint: EngineTests.endpointID(number), addresses: ["10.\(90 + number).0.2/24"]))
  }

  /// A container, which has its interface.
  private func connect(_ bench: Bench, _ number: Int = 0) throws {
    try add(bench, number)
    let join = try bench.controlPlane.join(
      network: Self.ids[number], endpoint: EngineTests.endpointID(number), sandbox: EngineTests.path)
    try EngineTests.move(bench, join)
    while try !bench.controlPlane.endpoint(EngineTests.endpointID(number)).interface.hasPrefix("eth") { usleep(5000) }
  }

  private func overlay(_ bench: Bench, _ number: Int = 0) throws -> Overlay? {
    try bench.controlPlane.network("docker-" + Self.ids[number].prefix(12)).overlay
  }

  // MARK: VNIs

  @Test func `VNIs are handed out once, kept through a restart, and come back`() throws {
    let bench = try bench()
    #expect(try allocate(bench) == 4096 && allocate(bench, 1) == 4097 && allocate(bench) == 4096)
    try bench.restart()
    #expect(try allocate(bench) == 4096 && allocate(bench, 2) == 4098)
    for _ in 1...2 { try bench.controlPlane.freeNetwork(id: Self.ids[0]) }
    try bench.controlPlane.freeNetwork(id: Self.ids[2])
    #expect(try allocate(bench, 2) == 4096)
    #expect(try allocate(bench, 0, [Self.vniKey: "5000"]) == 5000 && allocate(bench) == 5000)
    try bench.controlPlane.freeNetwork(id: "never-heard-of")
  }

  @Test func `a VNI that somebody has is not handed out`() throws {
    let bench = try bench()
    try bench.network("lab") {
      ($0.driver, $0.subnets, $0.options) = ("overlay", ["10.1.0.0/24"], ["vni": "4096", "local": "192.0.2.1"])
    }
    #expect(try allocate(bench) == 4097)
    let manual = refusal { _ = try allocate(bench, 1, [Self.vniKey: "4096"]) }
    #expect(manual?.code == .conflict && manual?.message.contains("network lab's") == true)
    let swarms = refusal { _ = try allocate(bench, 1, [Self.vniKey: "4097"]) }
    #expect(swarms?.code == .conflict && swarms?.message.contains("docker-yt1bhbdjxt7l's") == true)
    #expect(try allocate(bench, 1) == 4098)
  }

  /// The first network was removed while another host was the manager, which gave its number to the second.
  @Test func `what another manager handed out counts`() throws {
    let bench = try bench()
    #expect(try allocate(bench) == 4096)
    #expect(try allocate(bench, 1, [Self.vniKey: "4096"], isRepeated: true) == 4096)
    #expect(try allocate(bench, 1, [Self.vniKey: "4096"], isRepeated: true) == 4096)
    #expect(try allocate(bench, 2) == 4097)
  }

  @Test(arguments: [
    ([vniKey: "16777216"], "VNI 16777216"), ([vniKey: "1,2"], "one VNI"),
    (["encrypted": "please"], "neither true nor false"),
    (["parent": "eth1"], "not known to the driver overlay"), (["port": "0"], "port 0"),
  ])
  func `what no host could make is refused at the manager`(options: [String: String], reason: String) throws {
    let bench = try bench()
    let error = refusal { _ = try allocate(bench, 0, options) }
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    #expect(try allocate(bench, 1) == 4096)
  }

  @Test func `networks of one host are refused`() throws {
    let bench = try bench()
    var request = request()
    (request.driver, request.options) = ("bridge", [:])
    let error = refusal { _ = try bench.controlPlane.allocateNetwork(id: Self.ids[0], request, isRepeated: false) }
    #expect(error?.message.contains("are overlays") == true)
    let created = refusal { try bench.controlPlane.createNetwork(id: Self.ids[0], request) }
    #expect(created?.message.contains("are overlays") == true)
    for id in ["", "yt1bhbdjxt7l8wf5ih6siwbaU", String(repeating: "a", count: 24)] {
      #expect(refusal { try bench.controlPlane.createNetwork(id: id, self.request()) }?.code == .invalid)
    }
  }

  // MARK: Hosts

  @Test func `a host's network has the swarm's VNI, its own address, and the gateway of all hosts`() throws {
    let bench = try bench()
    let before = try bench.snapshot()
    try create(bench)
    try create(bench)
    let overlay = try #require(try overlay(bench))
    #expect(overlay.vni == 4096 && overlay.local == "192.0.2.1" && overlay.port == 8472 && overlay.state == "up")
    #expect(overlay.mtu == 1450)
    let network = try bench.controlPlane.network(Self.ids[0])
    #expect(network.subnets == [Subnet(subnet: "10.90.0.0/24", gateway: "10.90.0.1")])
    #expect(network.scope == "global")
    // What it floods stays here, and what asks for it is answered here.
    #expect(bench.dataPlane.state.ports.values.contains { $0.options.isAnycastGateway })
    #expect(bench.dataPlane.overlay.neighbours.values.first?.keys.map(\.description) == ["10.90.0.1"])
    for _ in 1...2 { try bench.controlPlane.deleteNetwork(id: Self.ids[0]) }
    #expect(try bench.snapshot() == before)
  }

  @Test func `without a word of the swarm's, the uplink's address`() throws {
    let bench = try Bench()
    #expect(refusal { try create(bench) }?.message.contains("set an uplink") == true)
    try bench.uplink()
    try create(bench)
    #expect(try overlay(bench)?.local == "192.0.2.1")
    // One that this host does not have is nobody's to send from.
    try bench.controlPlane.nodeCame("198.51.100.1", isOwn: true)
    try create(bench, 1, vni: 4097)
    #expect(try overlay(bench, 1)?.local == "192.0.2.1")
  }

  @Test func `the swarm's nodes are the peers of its networks, and of no others`() throws {
    let bench = try bench()
    try bench.network("lab") {
      ($0.driver, $0.subnets, $0.options) = ("overlay", ["10.1.0.0/24"], ["vni": "1", "local": "192.0.2.1"])
    }
    try bench.controlPlane.nodeCame("192.0.2.2", isOwn: false)
    try create(bench)
    #expect(try overlay(bench)?.peers == ["192.0.2.2"])
    for _ in 1...2 { try bench.controlPlane.nodeCame("192.0.2.3", isOwn: false) }
    #expect(try overlay(bench)?.peers == ["192.0.2.2", "192.0.2.3"])
    for _ in 1...2 { try bench.controlPlane.nodeWent("192.0.2.2") }
    #expect(try overlay(bench)?.peers == ["192.0.2.3"])
    // Of the other family, and this host's own end: neither can be a peer.
    try bench.controlPlane.nodeCame("2001:db8::9", isOwn: false)
    try bench.restart()
    try create(bench, 1, vni: 4097)
    #expect(try overlay(bench, 1)?.peers == ["192.0.2.3"])
    #expect(try bench.controlPlane.network("lab").overlay?.peers == [])
    #expect(refusal { try bench.controlPlane.nodeCame("node", isOwn: false) }?.code == .invalid)
  }

  @Test func `what an engine that was killed leaves goes when it begins anew`() throws {
    let bench = try bench()
    let before = try bench.snapshot()
    for number in 0...1 { try create(bench, number, vni: 4096 + number) }
    // Of two containers, one has got its interface.
    try add(bench, 0)
    try connect(bench, 1)
    try bench.controlPlane.nodeCame("192.0.2.1", isOwn: true)
    #expect(try bench.controlPlane.networks().map(\.id) == [Self.ids[1]])
    #expect(try bench.controlPlane.endpoints().map(\.id) == [EngineTests.endpointID(1)])
    bench.host.loseNamespace(EngineTests.path)
    try bench.controlPlane.nodeCame("192.0.2.1", isOwn: true)
    #expect(try bench.snapshot() == before)
  }

  @Test func `what an engine said in vain while martletd was away`() throws {
    let bench = try bench()
    for number in 0...1 { try create(bench, number, vni: 4096 + number) }
    try connect(bench, 1)
    try bench.restart()
    #expect(try bench.controlPlane.networks().map(\.id) == [Self.ids[1]])
    try bench.restart { bench.host.loseNamespace(EngineTests.path) }
    #expect(try bench.controlPlane.networks().isEmpty && bench.controlPlane.endpoints().isEmpty)
  }

  @Test func `a network whose VNI was given to another was left over`() throws {
    let bench = try bench()
    try create(bench)
    try create(bench, 1)
    #expect(try bench.controlPlane.networks().map(\.id) == [Self.ids[1]])
  }

  // MARK: Beside a cluster

  private func member(_ cluster: StandInCluster) throws -> Bench {
    let bench = try bench()
    bench.host.addUplink("eth1", index: 8, "198.51.100.1/24")
    try bench.controlPlane.join(cluster, vteps: [IPAddress("198.51.100.1")!])
    return bench
  }

  @Test func `VNIs are the cluster's`() throws {
    let cluster = StandInCluster()
    let bench = try member(cluster)
    #expect(try allocate(bench) == 5000 && allocate(bench) == 5000 && allocate(bench, 1, ["vni": "9"]) == 9)
    #expect(refusal { _ = try allocate(bench, 2, ["vni": "9"]) }?.code == .conflict)
    for _ in 1...2 { try bench.controlPlane.freeNetwork(id: Self.ids[1]) }
    #expect(cluster.state.vnis == [5000: Self.ids[0]])
    // Handed out before: its claim is there.
    cluster.edit { $0.status = .cutOff(since: Date(), reason: "etcd is away") }
    #expect(refusal { _ = try allocate(bench, 2) }?.code == .system)
    #expect(try allocate(bench, 2, ["vni": "77"], isRepeated: true) == 77)
  }

  @Test func `addresses and peers are the cluster's`() throws {
    let cluster = StandInCluster()
    let bench = try member(cluster)
    try bench.controlPlane.nodeCame("192.0.2.2", isOwn: false)
    cluster.addHost("h2", "198.51.100.2")
    try create(bench)
    try bench.controlPlane.nodeCame("192.0.2.3", isOwn: false)
    let overlay = try #require(try overlay(bench))
    #expect(overlay.local == "198.51.100.1" && overlay.peers == ["198.51.100.2"])
    try connect(bench)
    #expect(cluster.state.published.values.map(\.network) == [Self.ids[0]])
  }
}
