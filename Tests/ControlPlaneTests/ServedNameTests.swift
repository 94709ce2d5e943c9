import ControlModel
import DNS
import Testing
import Wire

@testable import ControlPlane

/// What the name server is told, where it serves, and where sandboxes ask.
@Suite struct ServedNameTests {
  private func asked(_ bench: Bench, _ sandbox: String) -> [String]? {
    bench.host.state.nameServers["/named/" + sandbox]
  }

  @Test func `sandboxes ask at their gateway, and are known by name and alias`() throws {
    let bench = try Bench(names: StandInNameService())
    let names = bench.names!
    let id = try bench.network("web") { $0.ipv6 = true }
    #expect(names.state.networks == [id: "web"])
    #expect(names.state.served.values.allSatisfy { $0 == .network(id) } && names.state.served.count == 2)
    try bench.sandbox("a")
    try bench.uplink()
    let endpoint = try bench.connect("web", "a") { ($0.aliases, $0.publish) = (["www"], ["8080:80", "53:53/udp"]) }
    let gateways = try bench.controlPlane.network("web").subnets.compactMap(\.gateway)
    #expect(asked(bench, "a") == gateways && endpoint.nameServers == gateways)
    let told = try #require(names.state.endpoints[endpoint.id])
    #expect(
      told.names == ["a", "www"]
        && told.addresses.map { $0.description + ($0.isIPv6 ? "/64" : "/16") } == endpoint.addresses)
    #expect(told.services == [.init(port: 80), .init(port: 53, transport: .udp)])
    try bench.unpublish(endpoint.id, "8080:80")
    #expect(names.state.endpoints[endpoint.id]?.services == [.init(port: 53, transport: .udp)])
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(names.state.endpoints.isEmpty && asked(bench, "a") == ["192.0.2.53"])
    try bench.controlPlane.removeNetwork("web")
    #expect(names.state.networks.isEmpty && names.state.served.isEmpty)
  }

  @Test func `without a gateway they ask in their own namespace`() throws {
    let bench = try Bench(names: StandInNameService())
    let names = bench.names!
    try bench.network("flat") { $0.noGateway = true }
    try bench.network("web")
    for name in ["a", "b"] {
      try bench.sandbox(name)
      try bench.connect("flat", name)
    }
    #expect(asked(bench, "a") == ["127.0.0.11"] && asked(bench, "b") == ["127.0.0.11"])
    let own = names.state.served.values.filter { if case .sandbox = $0 { true } else { false } }
    #expect(Set(own).count == 2)
    // A gateway serves for all of a sandbox's networks.
    try bench.connect("web", "a")
    #expect(try asked(bench, "a") == bench.controlPlane.network("web").subnets.compactMap(\.gateway))
    #expect(names.state.served.count == 2)
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    #expect(asked(bench, "a") == ["127.0.0.11"] && names.state.served.count == 3)
    for name in ["a", "b"] { try bench.controlPlane.disconnect(network: "flat", sandbox: name) }
    #expect(names.state.served.count == 1, "what serves in a namespace would keep it alive")
  }

  @Test(arguments: [
    ("default", [:], false), ("default", ["org.martlet.names": "true"], true), ("web", [:], true),
    ("web", ["org.martlet.names": "false"], false),
  ])
  func `the default network has names by option only`(name: String, options: [String: String], has: Bool) throws {
    let bench = try Bench(names: StandInNameService())
    try bench.network(name) { $0.options = options }
    try bench.sandbox("a")
    let endpoint = try bench.connect(name, "a")
    #expect((bench.names!.state.endpoints[endpoint.id] != nil) == has && bench.names!.state.served.isEmpty == !has)
    #expect((asked(bench, "a") == ["192.0.2.53"]) == !has)
  }

  @Test func `a port that a program has is no obstacle, and is tried for again`() async throws {
    let bench = try Bench(names: StandInNameService())
    bench.host.edit { $0.nameTakers = [IPAddress("172.17.0.1")!] }
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    #expect(asked(bench, "a") == ["127.0.0.11"])
    bench.host.edit { $0.nameTakers = [] }
    while asked(bench, "a") != ["172.17.0.1"] { try await Task.sleep(for: .milliseconds(5)) }
    #expect(bench.names!.state.served.count == 1)
  }

  @Test func `in a sandbox too, and at one gateway of two`() async throws {
    let bench = try Bench(names: StandInNameService())
    let own = IPAddress("127.0.0.11")!
    try bench.network("flat") { $0.noGateway = true }
    try bench.sandbox("a")
    bench.host.edit { $0.nameTakers = [own] }
    try bench.connect("flat", "a")
    #expect(asked(bench, "a") == ["192.0.2.53"])
    bench.host.edit { $0.nameTakers = [IPAddress("172.18.0.1")!] }
    try bench.network("web") { ($0.subnets, $0.ipv6) = (["172.18.0.0/16"], true) }
    while asked(bench, "a") != ["127.0.0.11"] { try await Task.sleep(for: .milliseconds(5)) }
    #expect(bench.names!.state.served.count == 2)
    bench.host.edit { $0.nameTakers = [] }
    while bench.names!.state.served.count < 3 { try await Task.sleep(for: .milliseconds(5)) }
  }

  @Test func `a restart serves as before`() throws {
    let bench = try Bench(names: StandInNameService())
    try bench.network("web")
    try bench.network("flat") { $0.noGateway = true }
    for (name, network) in [("a", "web"), ("b", "flat")] {
      try bench.sandbox(name)
      try bench.connect(network, name) { $0.aliases = ["x"] }
    }
    let (before, files) = (bench.names!.state, bench.host.state.nameServers)
    try bench.restart()
    let after = bench.names!.state
    #expect(after.networks == before.networks && after.endpoints == before.endpoints)
    #expect(Set(after.served.values) == Set(before.served.values) && bench.host.state.nameServers == files)
  }
}
