import ControlModel
import Glibc
import Testing
import Wire

@testable import ControlPlane

@Suite struct ServiceTests {
  /// A network `web` of both families, an uplink, and endpoints of sandboxes `a` and `b`.
  private func bench(_ edit: (inout NetworkRequest) -> Void = { _ in }) throws -> (Bench, [Endpoint]) {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web") { request in
      (request.subnets, request.ipv6) = (["10.9.0.0/24", "fd00:9::/64"], true)
      edit(&request)
    }
    for name in ["a", "b"] { try bench.sandbox(name) }
    return (bench, [try bench.connect("web", "a"), try bench.connect("web", "b")])
  }

  private func members(_ bench: Bench, at virtual: String?) -> Set<String>? {
    bench.dataPlane.routing.services.values.first { $0.virtualAddress?.description == virtual }
      .map { Set($0.members.map(\.description)) }
  }

  private func entries(_ bench: Bench) -> Set<String> {
    Set(
      bench.dataPlane.routing.publications.filter { $0.service != nil }.map {
        "\($0.protocol == .tcp ? "tcp" : "udp") \($0.hostAddress?.description ?? "*") \($0.hostPorts) \($0.address) \($0.firstPort)"
      })
  }

  @Test func madeAndRemoved() throws {
    let (bench, _) = try bench()
    let before = try bench.snapshot()
    let service = try bench.service("front", "web", ["a", "b"]) { $0.published = ["8080:80", "53/udp"] }
    #expect(service.virtualAddresses == ["10.9.0.5", "fd00:9::5"] && service.state == "up" && service.detail == nil)
    #expect(
      service.members.map(\.sandbox) == ["a", "b"] && service.members.allSatisfy { $0.state == "up" && $0.local })
    #expect(members(bench, at: "10.9.0.5") == ["10.9.0.2", "10.9.0.3"])
    #expect(members(bench, at: "fd00:9::5") == ["fd00:9::2", "fd00:9::3"])
    #expect(
      entries(bench) == [
        "tcp * 8080...8080 0.0.0.0 80", "tcp * 8080...8080 :: 80", "tcp 10.9.0.5 8080...8080 0.0.0.0 80",
        "tcp fd00:9::5 8080...8080 :: 80", "udp * 53...53 0.0.0.0 53", "udp * 53...53 :: 53",
        "udp 10.9.0.5 53...53 0.0.0.0 53", "udp fd00:9::5 53...53 :: 53",
      ])
    let gateway = try #require(bench.dataPlane.routing.gateways.values.first)
    #expect(Set(gateway.meshAddresses.map(\.description)) == ["10.9.0.4", "fd00:9::4"])
    #expect(bench.dataPlane.routing.ownAddresses.keys.sorted { $0.bits < $1.bits }.first?.description == "10.9.0.4")
    #expect(bench.host.state.uplink.held.count == 4)
    // What services have is nobody else's.
    try bench.sandbox("c")
    #expect(try bench.connect("web", "c").addresses.first == "10.9.0.6/24")
    #expect(refusal { try bench.connect("web", "d") { $0.ip = "10.9.0.5" } } != nil)
    try bench.controlPlane.disconnect(network: "web", sandbox: "c")
    try bench.controlPlane.removeSandbox("c")
    try bench.controlPlane.removeService("front")
    #expect(try bench.snapshot() == before)
  }

  @Test func membersComeAndGo() throws {
    let (bench, endpoints) = try bench()
    try bench.service("front", "web", [String(endpoints[0].id.prefix(8))]) { $0.published = ["8080:80"] }
    let virtual = "10.9.0.5"
    #expect(members(bench, at: virtual) == ["10.9.0.2"])
    var change = ServiceChange()
    change.addedEndpoints = ["b", endpoints[0].id]
    let changed = try bench.controlPlane.changeService("front", change)
    #expect(changed.members.count == 2 && members(bench, at: virtual) == ["10.9.0.2", "10.9.0.3"])
    (change.addedEndpoints, change.removedEndpoints) = (nil, ["a"])
    _ = try bench.controlPlane.changeService("front", change)
    #expect(members(bench, at: virtual) == ["10.9.0.3"])
    #expect(refusal { _ = try bench.controlPlane.changeService("front", change) }?.code == .notFound)
    try bench.controlPlane.disconnect(network: "web", sandbox: "b")
    #expect(members(bench, at: virtual) == [])
    let service = try bench.controlPlane.service("front")
    #expect(service.members.isEmpty && service.state == "down" && service.detail == "it has no member")
    // The published ports stay Martlet's: who comes is refused, and who is there goes on.
    #expect(entries(bench).contains("tcp * 8080...8080 0.0.0.0 80"))
    #expect(Set(bench.host.state.uplink.held.map(\.target.description)) == ["10.9.0.4", "fd00:9::4"])
  }

  @Test func ofTheHostAlone() throws {
    let (bench, _) = try bench()
    try bench.overlay("web")
    try bench.peer("web", "192.0.2.9")
    try bench.service("front", "web", ["a", "10.9.0.200"]) { ($0.published, $0.mode) = (["8080:80"], "host") }
    let sets = bench.dataPlane.routing.services.values
    #expect(sets.count == 4 && sets.contains { $0.virtualAddress == nil && $0.members == [IPAddress("10.9.0.2")!] })
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(entries(bench).allSatisfy { !$0.hasPrefix("tcp *") } && bench.host.state.uplink.held.isEmpty)
    var change = ServiceChange()
    (change.mode, change.addedEndpoints) = ("ingress", ["b"])
    #expect(try bench.controlPlane.changeService("front", change).mode == "ingress")
    #expect(entries(bench).contains("tcp * 8080...8080 0.0.0.0 80"))
  }

  @Test func onOtherHosts() throws {
    let (bench, _) = try bench()
    try bench.overlay("web")
    try bench.peer("web", "192.0.2.9")
    let far = "10.9.0.200"
    let (mac, service) = (MACAddress("02:00:00:00:00:77")!, try bench.service("front", "web", [far, "a"]))
    #expect(service.members.map(\.state) == ["down", "up"] && members(bench, at: "10.9.0.5") == ["10.9.0.2"])
    #expect(bench.host.state.uplink.resolved.contains(IPAddress(far)!))
    // The kernel knows it, and the switch where it is.
    bench.host.editUplink { $0.neighbours[IPAddress(far)!] = mac }
    let port = try #require(bench.dataPlane.overlay.remotes.keys.first)
    bench.dataPlane.edit { $0.entries[mac] = port }
    try eventually { members(bench, at: "10.9.0.5") == ["10.9.0.2", far] }
    #expect(
      bench.dataPlane.routing.hosts.contains(
        DataPlaneHost(address: IPAddress(far)!, mac: mac, port: port, isElsewhere: true)))
    // No longer heard of: no new flows, and those that are there go on.
    bench.host.editUplink { $0.neighbours = [:] }
    try eventually { members(bench, at: "10.9.0.5") == ["10.9.0.2"] }
    #expect(bench.dataPlane.routing.hosts.contains { $0.isElsewhere })
    try bench.controlPlane.removeService("front")
    #expect(!bench.dataPlane.routing.hosts.contains { $0.isElsewhere })
  }

  @Test func refused() throws {
    let (bench, _) = try bench()
    try bench.network("inner") { $0.internal = true }
    try bench.network("routed") { $0.gatewayMode = "routed" }
    try bench.service("front", "web", ["a"]) { $0.published = ["8080-8089:80-89"] }
    bench.host.editUplink { $0.users[443] = "nginx (pid 123)" }
    let before = try bench.snapshot()
    func refusedFor(_ words: String, _ network: String = "web", _ edit: (inout ServiceRequest) -> Void) throws {
      let error = refusal { try bench.service("other", network, [], edit) }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
      #expect(try bench.snapshot() == before)
    }
    try refusedFor("exists already") { $0.name = "front" }
    try refusedFor("network inner is internal", "inner") { _ in }
    try refusedFor("is routed", "routed") { $0.published = ["80"] }
    try refusedFor("port 8085/tcp is already in use by service front") { $0.published = ["7000:70", "8085:80"] }
    try refusedFor("port 443/tcp is already in use by nginx (pid 123)") { $0.published = ["7000:70", "443"] }
    try refusedFor("192.0.2.77 is no address of the host") { $0.published = ["192.0.2.77:80:80"] }
    try refusedFor("the same on all hosts") { $0.published = ["9000-9003:80"] }
    try refusedFor("mode \"fast\" is not known: there are ingress and host") { $0.mode = "fast" }
    try refusedFor("10.8.0.9 is in no subnet") { $0.virtualAddresses = ["10.8.0.9"] }
    try refusedFor("address 10.9.0.2 is taken") { $0.virtualAddresses = ["10.9.0.2"] }
    try refusedFor("at most one a family") { $0.virtualAddresses = ["10.9.0.8", "10.9.0.9"] }
    try refusedFor("no endpoint \"nobody\"") { $0.endpoints = ["nobody"] }
    try refusedFor("no address of network web that a member can have") { $0.endpoints = ["10.9.0.1"] }
    // Nor is anything taken from it.
    #expect(refusal { try bench.connect("web", "a") { $0.publish = ["8081:81"] } } != nil)
    let endpoint = try bench.controlPlane.endpoints()[0]
    #expect(refusal { try bench.publish(endpoint.id, "8081:81") }?.message.contains("service front") == true)
    for name in ["a", "b"] { try bench.controlPlane.disconnect(network: "web", sandbox: name) }
    #expect(refusal { try bench.controlPlane.removeNetwork("web") }?.message.contains("service rm front") == true)
    let kept = try bench.controlPlane.pruneNetworks()
    #expect(!kept.contains("web"))
    var change = NetworkChange()
    change.gatewayMode = "isolated"
    #expect(refusal { _ = try bench.controlPlane.changeNetwork("web", change) }?.code == .conflict)
    let alone = try Bench()
    try alone.network("web")
    #expect(refusal { try alone.service("front", "web", []) }?.message.contains("uplink set") == true)
  }

  @Test func restored() throws {
    let (bench, _) = try bench()
    let service = try bench.service("front", "web", ["a", "b"]) { $0.published = ["8080:80"] }
    let (told, held) = (entries(bench), bench.host.state.uplink.held)
    let own = bench.dataPlane.routing.ownAddresses
    try bench.restart()
    #expect(try bench.controlPlane.services() == [service])
    #expect(entries(bench) == told && bench.host.state.uplink.held == held)
    #expect(bench.dataPlane.routing.ownAddresses == own)
    #expect(members(bench, at: "10.9.0.5") == ["10.9.0.2", "10.9.0.3"])
    // One that was cut short goes, with what it had.
    let store = try Store(directory: bench.directory)
    try store.setService(service.id, state: .creating)
    try bench.restart()
    #expect(try bench.controlPlane.services().isEmpty && entries(bench).isEmpty)
    #expect(bench.dataPlane.routing.gateways.values.allSatisfy { $0.meshAddresses.isEmpty })
  }

  @Test func withoutTheUplink() throws {
    let (bench, _) = try bench()
    try bench.service("front", "web", ["a"]) { $0.published = ["8080:80"] }
    let told = entries(bench)
    try bench.controlPlane.unsetUplink()
    #expect(try bench.controlPlane.service("front").detail?.contains("no uplink") == true)
    #expect(entries(bench) == ["tcp 10.9.0.5 8080...8080 0.0.0.0 80", "tcp fd00:9::5 8080...8080 :: 80"])
    try bench.uplink()
    #expect(entries(bench) == told)
  }

  @Test func itsNameStandsForIt() throws {
    let names = StandInNameService()
    let bench = try Bench(names: names)
    try bench.uplink()
    try bench.network("web") { $0.subnets = ["10.9.0.0/24"] }
    let service = try bench.service("front", "web", []) { $0.published = ["8080:80"] }
    let known = try #require(names.state.endpoints[service.id])
    #expect(known.names == ["front"] && known.addresses.map(\.description) == service.virtualAddresses)
    try bench.controlPlane.removeService("front")
    #expect(names.state.endpoints[service.id] == nil)
  }

  /// The sweep comes every two seconds.
  private func eventually(_ isSo: () -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while !isSo() {
      guard ContinuousClock.now < deadline else { throw ControlError(.system, "it did not come to be so") }
      usleep(1000)
    }
  }
}

extension Bench {
  @discardableResult
  func service(
    _ name: String, _ network: String, _ endpoints: [String], _ edit: (inout ServiceRequest) -> Void = { _ in }
  ) throws(ControlError) -> Service {
    var request = ServiceRequest(name: name, network: network)
    request.endpoints = endpoints
    edit(&request)
    return try controlPlane.service(try controlPlane.createService(request).id)
  }
}
