import CNI
import ControlModel
import Foundation
import Support
import Synchronization
import Testing

@testable import Netavark

/// The plugin over a stand-in, which has what it made.
final class DriverBench: Sendable {
  static let namespace = "/run/netns/netns-1"
  static let id = String(repeating: "7", count: 64)

  let service: StandInService

  init() {
    let holder = Holder()
    service = StandInService { holder.note($0) }
    service.shownNetworks = []
    service.shownEndpoints = []
    holder.set(service)
    // As the daemon has it.
    service.refuses = { [weak service] call in
      guard case .removeNetwork = call, service?.shownEndpoints.isEmpty == false else { return nil }
      return ControlError(.conflict, "the network has endpoints")
    }
  }

  private final class Holder: Sendable {
    private let service = Mutex<StandInService?>(nil)
    func set(_ service: StandInService) { self.service.withLock { $0 = service } }

    func note(_ call: StandInService.Call) {
      guard let service = service.withLock({ $0 }), service.refuses(call) == nil else { return }
      switch call {
      case .createNetwork(let request):
        let subnets = zip(request.subnets ?? [], request.gateways ?? []).map { Subnet(subnet: $0, gateway: $1) }
        service.shownNetworks.append(
          Network(
            id: "id-of-\(request.name)", name: request.name, driver: "bridge", subnets: subnets,
            internal: request.internal ?? false, mtu: 1500, ageingSeconds: 300, fdbLimit: 1, gatewayMode: "nat",
            gatewayInterface: nil, labels: request.labels ?? [:], options: request.options ?? [:], created: "",
            endpoints: [], ports: []))
      case .connect(let network, let request):
        service.shownEndpoints.append(
          Endpoint(
            id: "endpoint-\(service.calls.count)", network: network, sandbox: "s", netns: request.sandbox,
            interface: request.interface ?? "eth0", mac: request.mac ?? "02:00:00:00:00:99",
            addresses: [request.ip.map { $0 + "/24" }, request.ip6.map { $0 + "/64" }].compactMap { $0 },
            aliases: request.aliases ?? [], labels: request.labels ?? [:], published: [], isolated: false,
            guard: false, macLimit: 0, mtu: 1500, state: "up", counters: Counters()))
      case .removeNetwork(let id): service.shownNetworks.removeAll { $0.id == id }
      default: break
      }
    }
  }

  struct Answer {
    var status: Int32
    var output: JSONValue?
    var error: String {
      if case .object(let fields) = output, case .string(let text) = fields["error"] { text } else { "" }
    }
  }

  func run(_ words: [String], input: [UInt8]) -> Answer {
    let outcome = Driver(service: service).run(words, input: input)
    return Answer(status: outcome.status, output: outcome.output.isEmpty ? nil : JSONValue(outcome.output))
  }

  @discardableResult
  func run(_ words: String..., input: String) -> Answer { run(words, input: Array(input.utf8)) }

  /// What Podman sends for a container, behind further fields. Of two of one name the first counts.
  static func attachment(_ container: String = "c1", network: String = "", options: String = "", more: String = "")
    -> String
  {
    #"""
    {\#(more) "container_id": "\#(container)", "container_name": "web",
     "network": {\#(network) "name": "vn1", "id": "\#(id)", "driver": "martlet",
       "subnets": [{"subnet": "10.94.0.0/24", "gateway": "10.94.0.1"}]},
     "network_options": {\#(options) "aliases": ["c1c1"], "interface_name": "eth0", "static_ips": ["10.94.0.2"]}}
    """#
  }

  var connects: [ConnectRequest] {
    service.calls.compactMap { if case .connect(_, let request) = $0 { request } else { nil } }
  }
}

@Suite struct DriverTests {
  @Test func information() {
    let answer = DriverBench().run("info", input: "")
    #expect(answer.status == 0)
    #expect(answer.output == .object(["version": .string(Version.current.version), "api_version": "1.0.0"]))
  }

  @Test func createChecksAndChangesNothing() {
    let bench = DriverBench()
    let network =
      #"{"name":"vn1","id":"\#(DriverBench.id)","driver":"martlet","options":{"mtu":"1400"},"new":[1,null]}"#
    let answer = bench.run("create", input: network)
    #expect(answer.status == 0 && answer.output == JSONValue(Array(network.utf8)) && bench.service.calls.isEmpty)
  }

  @Test func setupAndTeardown() throws {
    let bench = DriverBench()
    let attachment = DriverBench.attachment(
      network: #"""
        "internal": false, "options": {"mtu": 1400}, "network_interface": "sw0",
        "routes": [{"destination": "10.9.0.0/16", "gateway": "10.94.0.9", "metric": null}],
        """#, options: #""static_mac": "02:00:00:00:00:31","#,
      more: #"""
        "port_mappings": [
          {"container_port": 80, "host_ip": "", "host_port": 8080, "protocol": "tcp", "range": 3},
          {"container_port": 53, "host_ip": "127.0.0.1", "host_port": 5353, "protocol": "udp,tcp", "range": 1}],
        """#)
    let answer = bench.run("setup", DriverBench.namespace, input: attachment)
    #expect(answer.status == 0)
    #expect(
      answer.output?.text
        == #"{"dns_search_domains":[],"dns_server_ips":[],"interfaces":{"eth0":{"mac_address":"02:00:00:00:00:31","subnets":[{"gateway":"10.94.0.1","ipnet":"10.94.0.2/24"}]}}}"#
    )
    var network = NetworkRequest(name: "vn1")
    (network.internal, network.mtu, network.labels) = (false, 1400, ["org.martlet.podman.network": DriverBench.id])
    (network.subnets, network.gateways) = (["10.94.0.0/24"], ["10.94.0.1"])
    network.options = ["com.docker.network.bridge.name": "sw0"]
    #expect(bench.service.calls.contains(.createNetwork(network)))
    let request = try #require(bench.connects.first)
    #expect(request.publish == ["8080-8082:80-82/tcp", "127.0.0.1:5353:53/tcp", "127.0.0.1:5353:53/udp"])
    #expect(
      request.aliases == ["web", "c1c1"] && request.sandbox == DriverBench.namespace && request.ip == "10.94.0.2")
    #expect(request.routes == [RouteRequest(destination: "10.9.0.0/16", gateway: "10.94.0.9")])

    bench.run("setup", "/run/netns/other", input: DriverBench.attachment("c2"))
    #expect(bench.service.shownEndpoints.count == 2 && bench.service.shownNetworks.count == 1)
    let down = bench.run("teardown", DriverBench.namespace, input: attachment)
    #expect(down.status == 0 && down.output == nil && bench.service.shownEndpoints.count == 1)
    #expect(bench.service.shownNetworks.count == 1)
    #expect(bench.run("teardown", DriverBench.namespace, input: attachment).status == 0, "once more is no error")
  }

  @Test(arguments: [
    ("", true), (#""subnets": [{"subnet": "10.94.0.0/24"}],"#, true), (#""subnets": [{"subnet": "fd94::/64"}],"#, nil),
  ])
  func ipv6ThatPodmanChoseNoSubnetFor(subnets: String, ipv6: Bool?) {
    let bench = DriverBench()
    let network = #"{\#(subnets) "name": "vn1", "id": "\#(DriverBench.id)", "ipv6_enabled": true}"#
    let options = #"{"interface_name": "eth0", "static_ips": null}"#
    let input = #"{"container_id": "c1", "network": \#(network), "network_options": \#(options)}"#
    #expect(bench.run("setup", DriverBench.namespace, input: input).status == 0)
    let requests = bench.service.calls.compactMap { if case .createNetwork(let request) = $0 { request } else { nil } }
    #expect(requests.map(\.ipv6) == [ipv6])
  }

  @Test func theNetworkGoesWithItsLastContainer() {
    let bench = DriverBench()
    bench.run("setup", DriverBench.namespace, input: DriverBench.attachment())
    // As the daemon says it of one that has endpoints.
    bench.service.refuses = { if case .removeNetwork = $0 { ControlError(.conflict, "has endpoints") } else { nil } }
    #expect(bench.run("teardown", DriverBench.namespace, input: DriverBench.attachment()).status == 0)
    #expect(bench.service.shownNetworks.count == 1)
    bench.service.refuses = { _ in nil }
    #expect(bench.run("teardown", DriverBench.namespace, input: DriverBench.attachment()).status == 0)
    #expect(bench.service.shownNetworks.isEmpty)
  }

  @Test func aUsersNetworkStays() throws {
    let bench = DriverBench()
    var request = NetworkRequest(name: "vn1")
    (request.subnets, request.gateways) = (["10.94.0.0/24"], ["10.94.0.1"])
    _ = try bench.service.createNetwork(request)
    #expect(bench.run("setup", DriverBench.namespace, input: DriverBench.attachment()).status == 0)
    #expect(bench.run("teardown", DriverBench.namespace, input: DriverBench.attachment()).status == 0)
    #expect(bench.service.shownNetworks.count == 1 && bench.service.shownEndpoints.isEmpty)
  }

  @Test func aNetworkThatGoesInBetweenIsMadeAgain() {
    let bench = DriverBench()
    let service = bench.service
    service.refuses = { call in
      guard case .connect = call else { return nil }
      service.refuses = { _ in nil }
      service.shownNetworks = []
      return ControlError(.notFound, "no network vn1")
    }
    #expect(bench.run("setup", DriverBench.namespace, input: DriverBench.attachment()).status == 0)
    #expect(service.shownNetworks.count == 1 && service.shownEndpoints.count == 1)
    service.refuses = { if case .connect = $0 { ControlError(.notFound, "no namespace") } else { nil } }
    #expect(bench.run("setup", "/gone", input: DriverBench.attachment("c2")).error == "no namespace")
  }

  @Test func whatCannotBeAnsweredIsTakenBack() {
    let bench = DriverBench()
    bench.service.refuses = { if case .endpoint = $0 { ControlError(.system, "no memory") } else { nil } }
    let answer = bench.run("setup", DriverBench.namespace, input: DriverBench.attachment())
    #expect(answer.status == 1 && answer.error == "no memory" && bench.service.shownEndpoints.isEmpty)
    #expect(bench.service.shownNetworks.isEmpty)
  }

  @Test(arguments: [
    ("", "", #""port_mappings": [{"container_port": 80}],"#), (#""options": {"vlan": "7"},"#, "", ""),
    (#""options": {"mtu": "much"},"#, "", ""), (#""subnets": [{"subnet": "x"}],"#, "", ""),
    (#""routes": [{"destination": "10.9.0.0/16", "metric": 7}],"#, "", ""), (#""routes": [{}],"#, "", ""),
    ("", #""options": {"a": "b"},"#, ""), ("", #""static_ips": ["x"],"#, ""), ("", #""static_ips": 7,"#, ""),
    ("", #""static_ips": ["10.94.0.2", "10.94.0.3"],"#, ""), ("", #""aliases": "web","#, ""),
    ("", "", #""port_mappings": 7,"#), ("", "", #""port_mappings": [{"container_port": 80, "host_port": 70000}],"#),
    ("", "", #""port_mappings": [{"container_port": 65535, "host_port": 80, "range": 2}],"#),
    ("", "", #""container_id": "","#), (#""id": null,"#, "", ""), (#""internal": "no","#, "", ""),
  ])
  func refusals(network: String, options: String, more: String) {
    let bench = DriverBench()
    let fields = DriverBench.attachment(network: network, options: options, more: more)
    let answer = bench.run("setup", DriverBench.namespace, input: fields)
    #expect(answer.status == 1 && !answer.error.isEmpty && bench.service.calls.isEmpty, "\(answer)")
  }

  @Test(arguments: [
    [], ["frob"], ["setup"], ["setup", "a", "b"], ["teardown"], ["create", "x"], ["setup", "relative"],
  ]) func commands(words: [String]) {
    let answer = DriverBench().run(words, input: Array(DriverBench.attachment().utf8))
    #expect(answer.status == 1 && !answer.error.isEmpty)
  }

  @Test(arguments: ["", "{", "[]", "7", "\u{0}", "{}", #"{"network": 7}"#]) func input(text: String) {
    for words in [["create"], ["setup", "/a"], ["teardown", "/a"]] {
      let answer = DriverBench().run(words, input: Array(text.utf8))
      #expect(answer.status == 1 && !answer.error.isEmpty)
    }
    let huge = [UInt8](repeating: UInt8(ascii: " "), count: Driver.inputBytesMax + 1)
    #expect(DriverBench().run(["create"], input: huge).status == 1)
  }
}
