import ControlModel
import Testing
import Wire

@testable import ControlPlane

/// What is refused, in one line that names what was given, and leaves everything as it was.
@Suite struct BadInputTests {
  struct NetworkCase: Sendable, CustomTestStringConvertible {
    var word: String
    var code: ControlError.Code
    var edit: @Sendable (inout NetworkRequest) -> Void
    init(
      _ word: String, _ code: ControlError.Code = .invalid, _ edit: @escaping @Sendable (inout NetworkRequest) -> Void
    ) {
      (self.word, self.code, self.edit) = (word, code, edit)
    }
    var testDescription: String { word }
  }

  static let networks: [NetworkCase] = [
    NetworkCase("allowed are letters") { $0.name = "no spaces" },
    NetworkCase("web exists", .conflict) { $0.name = "web" },
    NetworkCase("give -o local=IP, or set an uplink") { $0.driver = "overlay" },
    NetworkCase("is not known to the driver bridge", .unsupported) { $0.options = ["vni": "42"] },
    NetworkCase("macvlan", .invalid) { $0.driver = "macvlan" },
    NetworkCase("ipvlan", .invalid) { $0.driver = "ipvlan" },
    NetworkCase("no driver \"bridg\"") { $0.driver = "bridg" },
    NetworkCase("\"10.0.0.0\" is no CIDR") { $0.subnets = ["10.0.0.0"] },
    NetworkCase("write 10.9.0.0/16") { $0.subnets = ["10.9.0.1/16"] },
    NetworkCase("at most one of each") { $0.subnets = ["10.9.0.0/16", "10.10.0.0/16"] },
    NetworkCase("network web", .conflict) { $0.subnets = ["172.17.128.0/24"] },
    NetworkCase("network web", .conflict) { $0.subnets = ["172.16.0.0/12"] },
    NetworkCase("a route of the host", .conflict) { $0.subnets = ["192.0.2.0/25"] },
    NetworkCase("no IP address") { ($0.subnets, $0.gateways) = (["10.9.0.0/16"], ["10.9.0"]) },
    NetworkCase("not in the network's subnet") { ($0.subnets, $0.gateways) = (["10.9.0.0/16"], ["10.8.0.1"]) },
    NetworkCase("broadcast") { ($0.subnets, $0.gateways) = (["10.9.0.0/16"], ["10.9.255.255"]) },
    NetworkCase("has one already") { ($0.subnets, $0.gateways) = (["10.9.0.0/16"], ["10.9.0.1", "10.9.0.2"]) },
    NetworkCase("contradict") { ($0.subnets, $0.gateways, $0.noGateway) = (["10.9.0.0/16"], ["10.9.0.1"], true) },
    NetworkCase("needs the --subnet") { $0.gateways = ["172.18.0.1"] },
    NetworkCase("room for the gateway only") { $0.subnets = ["10.9.0.1/32"] },
    NetworkCase("ip-range") { ($0.subnets, $0.ipRanges) = (["10.9.0.0/16"], ["10.8.0.0/24"]) },
    NetworkCase("larger than the subnet") { ($0.subnets, $0.ipRanges) = (["10.8.0.0/16"], ["10.8.0.0/15"]) },
    NetworkCase("aux-address") { ($0.subnets, $0.auxiliaryAddresses) = (["10.9.0.0/16"], ["x": "10.8.0.1"]) },
    NetworkCase("gateway", .conflict) { ($0.subnets, $0.auxiliaryAddresses) = (["10.9.0.0/16"], ["x": "10.9.0.1"]) },
    NetworkCase("auxiliary address", .conflict) {
      ($0.subnets, $0.auxiliaryAddresses) = (["10.9.0.0/16"], ["x": "10.9.0.5", "y": "10.9.0.5"])
    },
    NetworkCase("68 to 9000") { $0.mtu = 67 },
    NetworkCase("68 to 9000") { $0.mtu = 9001 },
    NetworkCase("1280") { ($0.mtu, $0.ipv6) = (1279, true) },
    NetworkCase("contradict") { ($0.mtu, $0.options) = (1400, ["com.docker.network.driver.mtu": "1500"]) },
    NetworkCase("is no number") { $0.options = ["com.docker.network.driver.mtu": "big"] },
    NetworkCase("neither true nor false") { $0.options = ["com.docker.network.bridge.inhibit_ipv4": "maybe"] },
    NetworkCase("is not known", .unsupported) {
      $0.options = ["com.docker.network.bridge.trusted_host_interfaces": "eth0"]
    },
    NetworkCase("interface name") { $0.options = ["com.docker.network.bridge.name": "much-too-long-a-name"] },
    NetworkCase("interface eth7 exists", .conflict) { $0.options = ["com.docker.network.bridge.name": "eth7"] },
    NetworkCase("without a gateway") { ($0.noGateway, $0.options) = (true, ["com.docker.network.bridge.name": "br1"]) },
    NetworkCase("more than 11") { $0.options = ["com.docker.network.container_iface_prefix": "twelve-bytes"] },
    NetworkCase("1 to 1000000") { $0.ageingSeconds = 0 },
    NetworkCase("1 to 1000000") { $0.fdbLimit = 1_000_001 },
    NetworkCase("gateway mode") { $0.gatewayMode = "open" },
    NetworkCase("label") { $0.labels = ["": "x"] },
    NetworkCase("takes no subnets") { ($0.driver, $0.subnets) = ("none", ["10.9.0.0/16"]) },
    NetworkCase("takes no MTU") { ($0.driver, $0.mtu) = ("host", 1400) },
  ]

  @Test(arguments: networks) func network(_ test: NetworkCase) throws {
    let bench = try Bench()
    bench.host.edit {
      $0.routed = [IPPrefix("192.0.2.0/24")!]
      $0.interfaces[1]!["eth7"] = .init()
    }
    try bench.network("web")
    let before = try bench.snapshot()
    let error = refusal { try bench.network("new", test.edit) }
    #expect(error?.code == test.code && error?.message.contains(test.word) == true, "\(error?.message ?? "")")
    #expect(try bench.snapshot() == before)
  }

  struct ConnectCase: Sendable, CustomTestStringConvertible {
    var word: String
    var code: ControlError.Code
    var edit: @Sendable (inout ConnectRequest) -> Void
    init(
      _ word: String, _ code: ControlError.Code = .invalid, _ edit: @escaping @Sendable (inout ConnectRequest) -> Void
    ) {
      (self.word, self.code, self.edit) = (word, code, edit)
    }
    var testDescription: String { word }
  }

  static let connections: [ConnectCase] = [
    ConnectCase("no sandbox \"nobody\"", .notFound) { $0.sandbox = "nobody" },
    ConnectCase("nothing at /named/nobody", .notFound) { $0.sandbox = "/named/nobody" },
    ConnectCase("is no namespace") { $0.sandbox = "/file" },
    ConnectCase("a is connected", .conflict) { $0.sandbox = "a" },
    ConnectCase("is gone", .conflict) { $0.sandbox = "gone" },
    ConnectCase("no IPv4 address") { $0.ip = "172.17.0.256" },
    ConnectCase("no IPv4 address") { $0.ip = "fd00::1" },
    ConnectCase("not in the network's subnet") { $0.ip = "10.0.0.5" },
    ConnectCase("network address") { $0.ip = "172.17.0.0" },
    ConnectCase("broadcast address") { $0.ip = "172.17.255.255" },
    ConnectCase("gateway", .conflict) { $0.ip = "172.17.0.1" },
    ConnectCase("taken by another endpoint", .conflict) { $0.ip = "172.17.0.2" },
    ConnectCase("has no IPv6 subnet") { $0.ip6 = "fd00::5" },
    ConnectCase("contradict") { ($0.ip, $0.noAddress) = ("172.17.0.9", true) },
    ConnectCase("no address such as") { $0.mac = "02:42:ac:11:00" },
    ConnectCase("group address") { $0.mac = "01:00:5e:00:00:01" },
    ConnectCase("zero") { $0.mac = "00:00:00:00:00:00" },
    ConnectCase("is taken on network web", .conflict) { $0.mac = "02:00:00:00:00:0a" },
    ConnectCase("interface name") { $0.interface = "a/b" },
    ConnectCase("interface name") { $0.interface = "lo" },
    ConnectCase("has an interface net0 already", .conflict) { $0.interface = "net0" },
    ConnectCase("68 to 1500") { $0.mtu = 1501 },
    ConnectCase("alias") { $0.aliases = ["no spaces"] },
    ConnectCase("at most 32") { $0.aliases = (0...32).map { "a\($0)" } },
    ConnectCase("publishing needs an uplink: martlet uplink set INTERFACE", .conflict) { $0.publish = ["8080:80"] },
    ConnectCase("no port specified") { $0.publish = ["8080:"] },
    ConnectCase("guard is not built", .unsupported) { $0.guard = true },
    ConnectCase("option \"x\"", .unsupported) { $0.options = ["x": "y"] },
  ]

  @Test(arguments: connections) func connect(_ test: ConnectCase) throws {
    let bench = try Bench()
    try bench.network("web")
    for name in ["a", "b", "gone"] { try bench.sandbox(name) }
    try bench.connect("web", "a") { $0.mac = "02:00:00:00:00:0a" }
    bench.host.edit {
      $0.namespaces["/named/gone"] = nil
      $0.namespaces["/file"] = 0
      $0.interfaces[$0.namespaces["/named/b"]!]!["net0"] = .init()
    }
    let before = try bench.snapshot()
    let error = refusal { try bench.connect("web", "b", test.edit) }
    #expect(error?.code == test.code && error?.message.contains(test.word) == true, "\(error?.message ?? "")")
    #expect(try bench.snapshot() == before)
  }

  @Test func unknownNamesEverywhere() throws {
    let bench = try Bench()
    try bench.network("web")
    let plane = bench.controlPlane!
    let before = try bench.snapshot()
    let calls: [() throws -> Void] = [
      { _ = try plane.network("x") }, { try plane.removeNetwork("x") },
      { _ = try plane.changeNetwork("x", NetworkChange()) }, { _ = try plane.sandbox("x") },
      { _ = try plane.sandbox("/x") }, { try plane.removeSandbox("x") }, { try plane.removeSandbox("/x") },
      { _ = try plane.connect(network: "x", ConnectRequest(sandbox: "y")) },
      { try plane.disconnect(network: "x", sandbox: "y") }, { try plane.disconnect(network: "web", sandbox: "y") },
      { _ = try plane.endpoint("0123abcd") }, { _ = try plane.changeEndpoint("x", EndpointChange()) },
      { _ = try plane.forwardingEntries(network: "x") }, { _ = try plane.statistics(network: "x") },
      { try plane.flushForwardingEntries(network: "web", port: "0123abcd") },
    ]
    for call in calls { #expect(refusal(call)?.code == .notFound) }
    #expect(try bench.snapshot() == before)
  }

  @Test(
    arguments: [
      ("", nil, nil), ("a b", nil, nil), ("new", "relative", nil), ("new", "/file", nil), ("new", "/nothing", nil),
      ("new", nil, "nobody"), ("new", "/named/a", "a"), ("a", nil, nil), ("new", "/named/a", nil), ("taken", nil, nil),
    ] as [(String, String?, String?)])
  func sandbox(name: String, netns: String?, share: String?) throws {
    let bench = try Bench()
    try bench.sandbox("a")
    bench.host.edit {
      $0.namespaces["/file"] = 0
      $0.namespaces["/named/taken"] = 0
    }
    let before = try bench.snapshot()
    #expect(refusal { try bench.sandbox(name, netns: netns, share: share) } != nil)
    #expect(try bench.snapshot() == before)
  }
}
