import ControlModel
import FoundationEssentials
import Support
import Testing

@testable import ControlAPI

/// docs/openapi.yaml and the code say the same. The file is read by its lines: its layout is ours.
@Suite struct OpenAPITests {
  private let lines: [Substring]

  init() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/openapi.yaml"), encoding: .utf8)
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// The lines below `key`, up to the next one that is indented as little.
  private func block(_ key: String, indent: Int, in lines: [Substring]) -> [Substring] {
    let head = String(repeating: " ", count: indent) + key + ":"
    guard let start = lines.firstIndex(where: { $0 == head }) else { return [] }
    return Array(lines[(start + 1)...].prefix { line in line.prefix { $0 == " " }.count > indent })
  }

  /// The keys that stand right below, at `indent`.
  private func keys(at indent: Int, in lines: [Substring]) -> [String] {
    lines.filter { line in line.prefix { $0 == " " }.count == indent }
      .compactMap { line in line.dropFirst(indent).split(separator: ":", maxSplits: 1).first.map(String.init) }
  }

  @Test func everyRouteIsDescribed() {
    let methods: Set = ["get", "put", "post", "patch", "delete", "head", "options", "trace"]
    var described: Set<String> = []
    let paths = block("paths", indent: 0, in: lines)
    for path in keys(at: 2, in: paths) {
      for method in keys(at: 4, in: block(path, indent: 2, in: paths)) where methods.contains(method) {
        described.insert("\(method.uppercased()) \(path)")
      }
    }
    let routed = Set(Router.v1.routes.map { "\($0.method.rawValue) \($0.template)" })
    #expect(described == routed)
    #expect(routed.count == Router.v1.routes.count)
  }

  private func fields(_ value: some Encodable) throws -> Set<String> {
    let object = try JSONDecoder().decode([String: Ignored].self, from: JSONEncoder().encode(value))
    return Set(object.keys)
  }

  private struct Ignored: Decodable {}

  private func described(_ schema: String) -> Set<String> {
    let schemas = block("schemas", indent: 2, in: block("components", indent: 0, in: lines))
    return Set(keys(at: 8, in: block("properties", indent: 6, in: block(schema, indent: 4, in: schemas))))
  }

  @Test func everyFieldIsDescribed() throws {
    let network = Sample.networks[0]
    #expect(try fields(network) == described("Network"))
    #expect(try fields(network.subnets[0]) == described("Subnet"))
    #expect(try fields(Sample.endpoint) == described("Endpoint"))
    #expect(try fields(Sample.endpoint.counters) == described("Counters"))
    #expect(try fields(Sample.publications[1].published) == described("PublishedPort"))
    #expect(try fields(Sample.publications[1]) == described("Publication"))
    #expect(try fields(Sample.services[0]) == described("Service"))
    #expect(try fields(Sample.services[0].members[0]) == described("ServiceMember"))
    #expect(try fields(Sample.uplink) == described("Uplink"))
    #expect(try fields(Sample.overlay) == described("Overlay"))
    #expect(try fields(Sample.overlayPeers[0]) == described("OverlayPeer"))
    #expect(try fields(CapturedFrames(frames: [], lost: 0)) == described("CapturedFrames"))
    #expect(try fields(Sample.switchedFrames[1]) == described("SwitchedFrame"))
    #expect(try fields(Sample.mirror) == described("PortMirror"))
    #expect(try fields(Sample.cluster) == described("ClusterView"))
    #expect(try fields(Sample.cluster.hosts[0]) == described("ClusterHost"))
    #expect(try fields(Sample.cluster.networks[0]) == described("ClusterNetwork"))
    #expect(try fields(Sample.sessions[0]) == described("Session"))
    #expect(try fields(Sample.timeouts) == described("SessionTimeouts"))
    #expect(try fields(Sample.translation) == described("Translation"))
    #expect(try fields(Sample.sandboxes[0]) == described("Sandbox"))
    #expect(try fields(Sample.sandboxes[0].routes[0]) == described("Route"))
    #expect(try fields(Sample.sandboxes[0].dns) == described("NameServers"))
    #expect(try fields(Sample.forwardingEntries[0]) == described("ForwardingEntry"))
    #expect(try fields(Sample.statistics) == described("Statistics"))
    #expect(try fields(Sample.statistics.networks[0]) == described("NetworkStatistics"))
    #expect(try fields(Sample.statistics.networks[0].ports[0]) == described("PortStatistics"))
    #expect(
      try fields(ForwardingPort(kind: "", endpoint: "", address: "", interface: "")) == described("ForwardingPort"))
    #expect(try fields(ForwardingEntryRequest(mac: "", port: "")) == described("ForwardingEntryRequest"))
    #expect(try fields(ForwardingFlush(port: "")) == described("ForwardingFlush"))
    #expect(try fields(ErrorBody(error: ControlError(.invalid, ""))) == described("ErrorBody"))
    #expect(try fields(ControlError(.invalid, "")) == described("ControlError"))
    #expect(try fields(Created(id: "")) == described("Created"))
    #expect(try fields(Pruned(removed: [])) == described("Pruned"))
    #expect(try fields(Version.current) == described("Version"))
    #expect(try fields(ShutdownRequest(purge: true)) == described("ShutdownRequest"))
    #expect(try fields(Sample.ports[0]) == described("InterfacePort"))
    #expect(try fields(InterfacePortRequest(interface: "")) == described("InterfacePortRequest"))
    #expect(try fields(DisconnectRequest(sandbox: "")) == described("DisconnectRequest"))
  }

  @Test func everyRequestFieldIsDescribed() throws {
    var network = NetworkRequest(name: "")
    (network.driver, network.subnets, network.gateways, network.ipRanges) = ("", [], [], [])
    (network.auxiliaryAddresses, network.internal, network.ipv6, network.mtu) = ([:], true, true, 1)
    (network.ageingSeconds, network.fdbLimit, network.gatewayMode, network.noGateway) = (1, 1, "", true)
    (network.scope, network.labels, network.options) = ("", [:], [:])
    #expect(try fields(network) == described("NetworkRequest"))
    var change = NetworkChange()
    (change.ageingSeconds, change.fdbLimit, change.gatewayMode, change.mtu) = (1, 1, "", 1)
    #expect(try fields(change) == described("NetworkChange"))
    var sandbox = SandboxRequest(name: "")
    (sandbox.netns, sandbox.share) = ("", "")
    #expect(try fields(sandbox) == described("SandboxRequest"))
    var connect = ConnectRequest(sandbox: "")
    (connect.ip, connect.ip6, connect.mac, connect.interface, connect.mtu) = ("", "", "", "", 1)
    (connect.aliases, connect.publish, connect.noAddress, connect.noAnnounce) = ([], [], true, true)
    (connect.isolated, connect.guard, connect.labels, connect.options) = (true, true, [:], [:])
    (connect.routes, connect.noDefaultRoute) = ([], true)
    #expect(try fields(connect) == described("ConnectRequest"))
    #expect(try fields(RouteRequest(destination: "", gateway: "")) == described("RouteRequest"))
    #expect(try fields(PublishRequest(ports: [])) == described("PublishRequest"))
    let capture = CaptureRequest(port: "", direction: .in, filter: "", drops: true, snaplen: 1)
    #expect(try fields(capture) == described("CaptureRequest"))
    #expect(try fields(MirrorRequest(from: "", to: "", direction: .in)) == described("MirrorRequest"))
    var service = ServiceRequest(name: "", network: "")
    (service.published, service.mode, service.endpoints, service.virtualAddresses) = ([], "", [], [])
    #expect(try fields(service) == described("ServiceRequest"))
    var serviceChange = ServiceChange()
    (serviceChange.addedEndpoints, serviceChange.removedEndpoints, serviceChange.mode) = ([], [], "")
    #expect(try fields(serviceChange) == described("ServiceChange"))
    var uplink = UplinkRequest(interface: "")
    (uplink.addresses, uplink.ports, uplink.ipv6NAT) = ([], [], true)
    #expect(try fields(uplink) == described("UplinkRequest"))
    var overlay = OverlayRequest(vni: 1, local: "")
    (overlay.port, overlay.ageingSeconds, overlay.ttl, overlay.tos) = (1, 1, .inherit, .inherit)
    (overlay.learning, overlay.encrypted, overlay.innerVLAN) = (true, true, true)
    #expect(try fields(overlay) == described("OverlayRequest"))
    #expect(try fields(OverlayPeerRequest(address: "")) == described("OverlayPeerRequest"))
    var timeouts = SessionTimeoutsChange()
    (timeouts.udp, timeouts.udpStream, timeouts.tcpEstablished) = (1, 1, 1)
    (timeouts.tcpTransitory, timeouts.icmp) = (1, 1)
    #expect(try fields(timeouts) == described("SessionTimeoutsChange"))
    #expect(try fields(TranslationChange(mapping: "", filtering: "")) == described("TranslationChange"))
    var endpoint = EndpointChange()
    (endpoint.isolated, endpoint.guard, endpoint.macLimit, endpoint.rateIn, endpoint.rateOut) = (true, true, 1, 1, 1)
    #expect(try fields(endpoint) == described("EndpointChange"))
  }
}
