import ControlModel
import Support
import Synchronization
import Wire

@testable import CNI

/// A plugin between a runtime and a daemon that keep their part of the bargain, and a place to look at both.
final class PluginBench: Sendable {
  static let namespace = "/run/netns/cnic"
  static let container = "ctr1"
  /// Where names are served; elsewhere they are not.
  static let namedNetwork = "named"
  static let mac = "02:00:00:00:00:55"

  let service: StandInService
  let namespaces = StandInNamespaces()
  let manager = StandInAddressManager()
  private let world: World

  /// What the daemon has made. Its service is told before each call is answered.
  final class World: Sendable {
    private let known = Mutex<StandInService?>(nil)
    var service: StandInService? {
      get { known.withLock { $0 } }
      set { known.withLock { $0 = newValue } }
    }

    func note(_ call: StandInService.Call) {
      guard let service, service.refusal == nil, service.refuses(call) == nil else { return }
      switch call {
      case .createNetwork(let request): service.shownNetworks.append(Self.network(request))
      case .connect(let network, let request):
        let endpoint = Self.endpoint(request, network: network, number: service.calls.count)
        service.shownEndpoints.append(endpoint)
        service.shownSandboxes = [
          Sandbox(
            id: "5a", name: "netns-1", netns: request.sandbox, inode: 1, sharedWith: [], origin: "adopted",
            endpoints: service.shownEndpoints, routes: Self.routes(request), dns: NameServers(), created: "")
        ]
      default: break
      }
    }

    private static func network(_ request: NetworkRequest) -> Network {
      let subnets = (request.subnets ?? ["10.1.0.0/24"]).map { text in
        let family = IPPrefix(text)!.isIPv6
        let first = IPPrefix(text)!.first
        let asked = request.gateways?.first { IPAddress($0)!.isIPv6 == family }
        let gateway = asked ?? first.sameFamily(bits: first.bits + 1).description
        return Subnet(subnet: text, gateway: request.noGateway == true ? nil : gateway)
      }
      return Network(
        id: "id-of-\(request.name)", name: request.name, driver: request.driver ?? "bridge", subnets: subnets,
        internal: request.internal ?? false, mtu: request.mtu ?? 1500, ageingSeconds: 300, fdbLimit: 1,
        gatewayMode: "nat", gatewayInterface: "mg", labels: request.labels ?? [:], options: request.options ?? [:],
        created: "", endpoints: [], ports: [])
    }

    private static func endpoint(_ request: ConnectRequest, network: String, number: Int) -> Endpoint {
      let addresses = [request.ip ?? "10.1.0.2", request.ip6].compactMap { $0 }.map {
        $0 + ($0.contains(":") ? "/64" : "/24")
      }
      return Endpoint(
        id: "endpoint-\(number)", network: network, sandbox: "netns-1", netns: request.sandbox,
        interface: request.interface ?? "eth0", mac: request.mac ?? PluginBench.mac, addresses: addresses,
        aliases: request.aliases ?? [], labels: request.labels ?? [:],
        nameServers: network == "id-of-\(PluginBench.namedNetwork)" ? ["10.1.0.1"] : [], published: [], isolated: false,
        guard: false,
        macLimit: 0, mtu: request.mtu ?? 1500, state: "up", counters: Counters())
    }

    private static func routes(_ request: ConnectRequest) -> [ControlModel.Route] {
      let interface = request.interface ?? "eth0"
      let subnet =
        request.ip.map { String($0.prefix { $0 != "/" }.split(separator: ".").prefix(3).joined(separator: ".")) }
        ?? "10.1.0"
      var routes = [ControlModel.Route(destination: subnet + ".0/24", gateway: nil, interface: interface)]
      if request.noDefaultRoute != true {
        routes.append(ControlModel.Route(destination: "default", gateway: subnet + ".1", interface: interface))
      }
      return routes
        + (request.routes ?? []).map {
          ControlModel.Route(destination: $0.destination, gateway: $0.gateway ?? subnet + ".1", interface: interface)
        }
    }
  }

  init() {
    let world = World()
    self.world = world
    service = StandInService { world.note($0) }
    service.shownNetworks = []
    service.shownEndpoints = []
    service.shownSandboxes = []
    world.service = service
    namespaces.contents = [:]
  }

  deinit { world.service = nil }

  /// What a runtime sets for one container.
  static let environment = [
    "CNI_CONTAINERID": container, "CNI_NETNS": namespace, "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
    "CNI_ARGS": "",
  ]

  struct Answer {
    var status: Int32
    var output: JSONValue?

    subscript(_ key: String) -> JSONValue? {
      if case .object(let fields) = output { fields[key] } else { nil }
    }
    var code: Int? { if case .integer(let code) = self["code"] { Int(code) } else { nil } }
    var message: String { if case .string(let text) = self["msg"] { text } else { "" } }
  }

  func run(environment: [String: String], input: [UInt8]) -> Answer {
    let service = service
    let plugin = Plugin(namespaces: namespaces, addressManager: manager) { _ in service }
    let outcome = plugin.run(environment: environment, input: input)
    return Answer(status: outcome.status, output: outcome.output.isEmpty ? nil : JSONValue(outcome.output))
  }

  /// - Parameters:
  ///   - configuration: further fields, as JSON without the braces.
  ///   - environment: what is other than usual.
  @discardableResult
  func run(
    _ command: String, _ configuration: String = "", version: String = "1.1.0", name: String = "lan",
    _ environment: [String: String] = [:]
  ) -> Answer {
    let fields = #""cniVersion": "\#(version)", "name": "\#(name)", "type": "martlet""#
    let text = "{\(fields)\(configuration.isEmpty ? "" : ", ")\(configuration)}"
    var all = Self.environment.merging(environment) { $1 }
    all["CNI_COMMAND"] = command
    return run(environment: all, input: Array(text.utf8))
  }

  var connects: [ConnectRequest] {
    service.calls.compactMap { if case .connect(_, let request) = $0 { request } else { nil } }
  }
  var removals: [String] {
    service.calls.compactMap { if case .removeEndpoint(let id) = $0 { id } else { nil } }
  }
}

final class StandInNamespaces: NamespaceReader {
  private let known = Mutex<[String: NamespaceContents]>([:])
  static let own = "/proc/self/ns/net"

  var contents: [String: NamespaceContents] {
    get { known.withLock { $0 } }
    set { known.withLock { $0 = newValue } }
  }
  func contents(at path: String) throws(CNIError) -> NamespaceContents? { contents[path] }
  func isOwn(_ path: String) -> Bool { path == Self.own }
}

/// Answers as host-local does.
final class StandInAddressManager: AddressManager {
  private struct State {
    var runs: [String] = []
    var answer = #"{"ips": [{"address": "10.97.0.2/24", "gateway": "10.97.0.1"}]}"#
    var refusal: [String: CNIError] = [:]
  }
  private let state = Mutex(State())

  /// `PLUGIN COMMAND`.
  var runs: [String] { state.withLock { $0.runs } }
  var answer: String {
    get { state.withLock { $0.answer } }
    set { state.withLock { $0.answer = newValue } }
  }
  /// By command.
  var refusal: [String: CNIError] {
    get { state.withLock { $0.refusal } }
    set { state.withLock { $0.refusal = newValue } }
  }

  func run(_ plugin: String, _ invocation: Invocation, input: [UInt8]) throws(CNIError) -> [UInt8] {
    let word = invocation.command.rawValue
    let (answer, refusal) = state.withLock { state in
      state.runs.append("\(plugin) \(word)")
      return (state.answer, state.refusal[word])
    }
    if let refusal { throw refusal }
    return Array(answer.utf8)
  }
}
