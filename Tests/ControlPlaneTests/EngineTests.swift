import ControlModel
import Testing
import Wire

@testable import ControlPlane

/// Networks and endpoints of an engine that keeps its sandboxes to itself: the order of calls is Docker's.
@Suite struct EngineTests {
  static let networkID = String(repeating: "a1", count: 32)
  static let path = "/var/run/docker/netns/5b0e2c"

  static func endpointID(_ number: Int) -> String { String(repeating: "e\(number)", count: 32) }

  static func make(_ bench: Bench, _ edit: (inout NetworkRequest) -> Void = { _ in }) throws {
    var request = NetworkRequest(name: "docker-a1a1a1a1a1a1")
    (request.subnets, request.gateways) = (["172.18.0.0/16"], ["172.18.0.1"])
    edit(&request)
    try bench.controlPlane.createNetwork(id: networkID, request)
  }

  @discardableResult
  static func add(
    _ bench: Bench, _ number: Int = 1, _ address: String = "172.18.0.2/16", mac: String? = nil
  ) throws -> String {
    try bench.controlPlane.createEndpoint(
      DriverEndpointRequest(network: networkID, endpoint: endpointID(number), addresses: [address], mac: mac)
    ).mac
  }

  static func join(_ bench: Bench, _ number: Int = 1, _ path: String = path) throws -> DriverJoin {
    try bench.controlPlane.join(network: networkID, endpoint: endpointID(number), sandbox: path)
  }

  /// As the engine does after a join.
  static func move(_ bench: Bench, _ join: DriverJoin, to path: String = path, as name: String = "eth0") throws {
    if bench.host.state.namespaces[path] == nil { _ = bench.host.addNamespace(path) }
    let namespace = try bench.host.namespace(at: path)
    try bench.host.move(join.interface, to: namespace, as: name)
    try bench.host.setUp(name, ipv6: nil, in: namespace)
  }

  private func received(_ bench: Bench, _ number: Int = 1) async throws -> Endpoint {
    while true {
      let endpoint = try bench.controlPlane.endpoint(Self.endpointID(number))
      if endpoint.interface.hasPrefix("eth") { return endpoint }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  @Test func `a container's life`() async throws {
    let bench = try Bench()
    let before = try bench.snapshot()
    try Self.make(bench)
    let mac = try Self.add(bench)
    #expect(MACAddress(mac)?.isValidSource == true)
    let join = try Self.join(bench)
    #expect(join.interfacePrefix == "eth" && join.gateway == "172.18.0.1" && join.gateway6 == nil)
    let link = try #require(bench.host.interface(join.interface, in: "/own"))
    #expect(link.alias == "martlet endpoint " + Self.endpointID(1))
    try Self.move(bench, join)
    let endpoint = try await received(bench)
    #expect(endpoint.interface == "eth0" && endpoint.mac == mac && endpoint.addresses == ["172.18.0.2/16"])
    #expect(endpoint.netns == Self.path && endpoint.sandbox == "5b0e2c" && endpoint.state == "up")
    #expect(!bench.dataPlane.state.injected.isEmpty, "its neighbours were told")
    try bench.controlPlane.leave(network: Self.networkID, endpoint: Self.endpointID(1))
    try bench.controlPlane.deleteEndpoint(network: Self.networkID, endpoint: Self.endpointID(1))
    try bench.controlPlane.deleteNetwork(id: Self.networkID)
    bench.host.loseNamespace(Self.path)
    #expect(try bench.snapshot() == before)
  }

  @Test func `calls that come twice change nothing`() throws {
    let bench = try Bench()
    try Self.make(bench)
    let mac = try Self.add(bench)
    let join = try Self.join(bench)
    try bench.uplink()
    let plane = bench.controlPlane!
    let (network, endpoint) = (Self.networkID, Self.endpointID(1))
    try plane.publish(network: network, endpoint: endpoint, ports: ["8080:80/tcp"])
    let before = try bench.snapshot()
    try Self.make(bench)
    #expect(try Self.add(bench) == mac)
    #expect(try Self.join(bench) == join)
    try plane.publish(network: network, endpoint: endpoint, ports: ["8080:80/tcp"])
    #expect(try bench.snapshot() == before)
    for _ in 0..<2 {
      try plane.unpublish(network: network, endpoint: endpoint)
      try plane.leave(network: network, endpoint: endpoint)
      try plane.deleteEndpoint(network: network, endpoint: endpoint)
    }
    for _ in 0..<2 { try plane.deleteNetwork(id: network) }
    #expect(try plane.networks().isEmpty && plane.sandboxes().isEmpty && plane.publications().isEmpty)
  }

  @Test func `ports that are revoked may be another endpoint's, and stay so when the first goes`() throws {
    let bench = try Bench()
    try Self.make(bench)
    try bench.uplink()
    func published() -> [String] { bench.dataPlane.routing.publications.map(\.address.description) }
    for number in 1...2 {
      try Self.add(bench, number, "172.18.0.\(number + 1)/16")
      _ = try Self.join(bench, number, Self.path + "\(number)")
    }
    let (plane, network) = (bench.controlPlane!, Self.networkID)
    try plane.publish(network: network, endpoint: Self.endpointID(1), ports: ["8080:80/tcp"])
    #expect(published() == ["172.18.0.2"])
    try plane.unpublish(network: network, endpoint: Self.endpointID(1))
    #expect(published().isEmpty)
    try plane.publish(network: network, endpoint: Self.endpointID(2), ports: ["8080:80/tcp"])
    try plane.deleteEndpoint(network: network, endpoint: Self.endpointID(1))
    #expect(published() == ["172.18.0.3"])
  }

  @Test func `what an engine never knew is refused in words`() throws {
    let bench = try Bench()
    #expect(refusal { try Self.add(bench) }?.code == .notFound)
    try Self.make(bench)
    #expect(refusal { _ = try Self.join(bench) }?.code == .notFound)
    #expect(refusal { try bench.controlPlane.createNetwork(id: "x", NetworkRequest(name: "n")) }?.code == .invalid)
    for address in ["172.18.0.2", "10.0.0.2/16", "172.18.0.1/16", "172.18.255.255/16", "fd00::2/64"] {
      #expect(refusal { try Self.add(bench, 1, address) } != nil)
    }
    try Self.add(bench)
    for path in ["", "relative", "/a\0b"] { #expect(refusal { _ = try Self.join(bench, 1, path) }?.code == .invalid) }
    #expect(
      refusal {
        try bench.controlPlane.publish(network: Self.networkID, endpoint: Self.endpointID(1), ports: ["80:80/sctp"])
      }?.message.contains("sctp is not supported") == true)
  }

  @Test func `several networks, one sandbox`() throws {
    let bench = try Bench()
    try Self.make(bench)
    var second = NetworkRequest(name: "docker-b")
    (second.subnets, second.gateways, second.internal) = (["172.19.0.0/16"], ["172.19.0.1"], true)
    let id = String(repeating: "b2", count: 32)
    try bench.controlPlane.createNetwork(id: id, second)
    try Self.add(bench)
    _ = try Self.join(bench)
    _ = try bench.controlPlane.createEndpoint(
      DriverEndpointRequest(network: id, endpoint: Self.endpointID(2), addresses: ["172.19.0.2/16"]))
    let join = try bench.controlPlane.join(network: id, endpoint: Self.endpointID(2), sandbox: Self.path)
    #expect(join.gateway == nil, "an internal network has no way out")
    #expect(try bench.controlPlane.sandboxes().map(\.endpoints.count) == [2])
    try bench.controlPlane.deleteEndpoint(network: Self.networkID, endpoint: Self.endpointID(1))
    #expect(try bench.controlPlane.sandboxes().map(\.endpoints.count) == [1])
    try bench.controlPlane.deleteEndpoint(network: id, endpoint: Self.endpointID(2))
    #expect(try bench.controlPlane.sandboxes().isEmpty)
  }

  @Test func `a step of a join that fails leaves nothing`() throws {
    for shared in [false, true] {
      let bench = try Bench()
      try Self.make(bench)
      if shared {
        var second = NetworkRequest(name: "docker-b")
        second.subnets = ["172.19.0.0/16"]
        let id = String(repeating: "b2", count: 32)
        try bench.controlPlane.createNetwork(id: id, second)
        _ = try bench.controlPlane.createEndpoint(
          DriverEndpointRequest(network: id, endpoint: Self.endpointID(2), addresses: ["172.19.0.2/16"]))
        _ = try bench.controlPlane.join(network: id, endpoint: Self.endpointID(2), sandbox: Self.path)
      }
      try Self.add(bench)
      let before = try bench.snapshot()
      for step in 0... {
        bench.faults.arm(step)
        let failure = Result { try Self.join(bench) }
        let failed = bench.faults.failed
        bench.faults.arm(nil)
        if failed == nil {
          _ = try failure.get()
          #expect(step >= 3)
          break
        }
        #expect(try bench.snapshot() == before, "after \(failed!)")
      }
    }
  }

  @Test func `an engine that was killed gives addresses away that it never gave back`() throws {
    let bench = try Bench()
    try Self.make(bench)
    try Self.add(bench, 1, mac: "02:42:ac:12:00:02")
    let join = try Self.join(bench)
    try Self.move(bench, join)
    bench.host.loseNamespace(Self.path)
    try Self.add(bench, 2, mac: "02:42:ac:12:00:02")
    #expect(try bench.controlPlane.endpoints().map(\.id) == [Self.endpointID(2)])
    // One that a user connected is no leftover.
    try bench.sandbox("a")
    try bench.connect("docker-a1a1a1a1a1a1", "a") { $0.ip = "172.18.0.9" }
    #expect(refusal { try Self.add(bench, 3, "172.18.0.9/16") }?.code == .conflict)
  }

  @Test func `a MAC address is that of the IPv4 address, as neighbours remember it`() throws {
    let bench = try Bench()
    try Self.make(bench)
    #expect(try Self.add(bench) == "02:42:ac:12:00:02")
    try bench.controlPlane.deleteEndpoint(network: Self.networkID, endpoint: Self.endpointID(1))
    #expect(try Self.add(bench, 2, "172.18.0.3/16", mac: "02:42:ac:12:00:02") == "02:42:ac:12:00:02")
    #expect(try Self.add(bench, 3) != "02:42:ac:12:00:02", "which is taken")
  }

  @Test func `what an engine that ended has left half connected is taken away when the next begins`() async throws {
    let bench = try Bench()
    try Self.make(bench)
    for number in 1...3 { try Self.add(bench, number, "172.18.0.\(number + 1)/16") }
    // One has only been made, one has joined, one is connected.
    let joined = try Self.join(bench, 2, Self.path + "2")
    try Self.move(bench, Self.join(bench, 3))
    _ = try await received(bench, 3)
    try bench.controlPlane.engineStarted()
    #expect(try bench.controlPlane.network("docker-a1a1a1a1a1a1").endpoints.map(\.id) == [Self.endpointID(3)])
    #expect(bench.host.interface(joined.interface, in: "/own") == nil)
    #expect(try bench.controlPlane.sandboxes().map(\.netns) == [Self.path])
  }

  @Test func `a network whose removal was never told makes way for the next`() throws {
    let bench = try Bench()
    try Self.make(bench)
    try Self.add(bench)
    var next = NetworkRequest(name: "docker-next")
    next.subnets = ["172.18.0.0/24"]
    try bench.controlPlane.createNetwork(id: String(repeating: "c3", count: 32), next)
    #expect(try bench.controlPlane.networks().map(\.name) == ["docker-next"])
    try bench.network("mine") { $0.subnets = ["10.9.0.0/24"] }
    next.subnets = ["10.9.0.0/24"]
    #expect(
      refusal { try bench.controlPlane.createNetwork(id: String(repeating: "d4", count: 32), next) }?.code == .conflict)
  }

  @Test func `a restart takes up what joined, what is on its way and what has not joined`() async throws {
    let bench = try Bench()
    try Self.make(bench)
    for number in 1...3 { try Self.add(bench, number, "172.18.0.\(number + 1)/16") }
    let first = try Self.join(bench, 1)
    try Self.move(bench, first)
    _ = try await received(bench)
    let second = try Self.join(bench, 2, "/var/run/docker/netns/second")
    try bench.restart()
    let states = try bench.controlPlane.endpoints().map(\.state)
    #expect(states == ["up", "up", "down"])
    try Self.move(bench, second, to: "/var/run/docker/netns/second")
    #expect(try await received(bench, 2).interface == "eth0")
    let third = try Self.join(bench, 3, "/var/run/docker/netns/third")
    #expect(bench.host.interface(third.interface, in: "/own") != nil)
  }

  @Test func `a sandbox that vanishes takes its endpoints along`() async throws {
    let bench = try Bench()
    try Self.make(bench)
    try Self.add(bench)
    try Self.move(bench, try Self.join(bench))
    _ = try await received(bench)
    bench.host.loseNamespace(Self.path)
    while try !bench.controlPlane.endpoints().isEmpty { try await Task.sleep(for: .milliseconds(5)) }
    try bench.controlPlane.leave(network: Self.networkID, endpoint: Self.endpointID(1))
    try bench.controlPlane.deleteEndpoint(network: Self.networkID, endpoint: Self.endpointID(1))
  }

  // MARK: Address pools

  @Test func `pools are handed out once, and their addresses too`() throws {
    let bench = try Bench()
    let pool = try handOut(bench, bench.controlPlane)
    try bench.restart()
    #expect(try bench.controlPlane.requestAddress(pool: pool, address: nil, isGateway: false) == "172.18.0.3/16")
    for _ in 0..<2 { try bench.controlPlane.releasePool(id: pool) }
    #expect(
      refusal { _ = try bench.controlPlane.requestAddress(pool: pool, address: nil, isGateway: false) }?.code
        == .notFound)
  }

  @Test func `addresses whose endpoints never came are free when the engine or the daemon begins anew`() throws {
    let bench = try Bench()
    let pool = try bench.controlPlane.requestPool(DriverPoolRequest(pool: "172.18.0.0/16")).id
    func request(_ address: String?) throws -> String {
      try bench.controlPlane.requestAddress(pool: pool, address: address, isGateway: false)
    }
    // The gateway, before there is a network: not ours to judge.
    _ = try request("172.18.0.1")
    try bench.controlPlane.engineStarted()
    #expect(refusal { _ = try request("172.18.0.1") }?.code == .conflict)
    try Self.make(bench)
    for begin in [{ try bench.controlPlane.engineStarted() }, { try bench.restart() }] {
      for address in ["172.18.0.2", "172.18.0.9"] { _ = try request(address) }
      try Self.add(bench)
      try begin()
      #expect(try request("172.18.0.9") == "172.18.0.9/16")
      #expect(refusal { _ = try request("172.18.0.1") }?.code == .conflict, "the gateway's")
      try bench.controlPlane.deleteEndpoint(network: Self.networkID, endpoint: Self.endpointID(1))
      for address in ["172.18.0.2", "172.18.0.9"] {
        try bench.controlPlane.releaseAddress(pool: pool, address: address)
      }
    }
    // One that comes after all has its address though it is promised no more.
    _ = try request("172.18.0.2")
    try bench.restart()
    try Self.add(bench)
    #expect(refusal { _ = try request("172.18.0.2") }?.code == .conflict)
    // One whose end was not told goes when its address is given back.
    try bench.controlPlane.releaseAddress(pool: pool, address: "172.18.0.2")
    #expect(try bench.controlPlane.endpoints().isEmpty)
    #expect(try request("172.18.0.2") == "172.18.0.2/16")
  }

  private func handOut(_ bench: Bench, _ plane: ControlPlane) throws -> String {
    let first = try plane.requestPool(DriverPoolRequest())
    let second = try plane.requestPool(DriverPoolRequest())
    #expect(first.pool == "172.17.0.0/16" && second.pool == "172.18.0.0/16")
    #expect(try plane.requestPool(DriverPoolRequest(isIPv6: true)).pool.hasSuffix("::/64"))
    #expect(refusal { _ = try plane.requestPool(DriverPoolRequest(pool: "172.18.3.0/24")) }?.code == .conflict)
    #expect(refusal { try bench.network("n") { $0.subnets = ["172.18.3.0/24"] } }?.code == .conflict)
    try Self.make(bench)
    #expect(try plane.requestAddress(pool: second.id, address: nil, isGateway: true) == "172.18.0.1/16")
    #expect(try plane.requestAddress(pool: second.id, address: nil, isGateway: false) == "172.18.0.2/16")
    #expect(try plane.requestAddress(pool: second.id, address: "172.18.0.9", isGateway: false) == "172.18.0.9/16")
    #expect(
      refusal { _ = try plane.requestAddress(pool: second.id, address: "172.18.0.9", isGateway: false) }?.code
        == .conflict)
    try plane.releaseAddress(pool: second.id, address: "172.18.0.9")
    try plane.releaseAddress(pool: second.id, address: "172.18.0.9")
    #expect(try plane.requestAddress(pool: second.id, address: "172.18.0.9", isGateway: false) == "172.18.0.9/16")
    return second.id
  }

  @Test func `a pool hands out of its range`() throws {
    let bench = try Bench()
    let request = DriverPoolRequest(pool: "10.5.0.0/24", range: "10.5.0.252/30")
    let pool = try bench.controlPlane.requestPool(request)
    var given: [String] = []
    for _ in 0..<3 {
      given.append(try bench.controlPlane.requestAddress(pool: pool.id, address: nil, isGateway: given.isEmpty))
    }
    #expect(given == ["10.5.0.252/24", "10.5.0.253/24", "10.5.0.254/24"])
    #expect(
      refusal { _ = try bench.controlPlane.requestAddress(pool: pool.id, address: nil, isGateway: false) }?.code
        == .exhausted)
    #expect(
      refusal { _ = try bench.controlPlane.requestPool(DriverPoolRequest(pool: "10.6.0.0/24", range: "10.7.0.0/30")) }?
        .code == .invalid)
  }
}
