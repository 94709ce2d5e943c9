import ControlClient
import ControlModel
import Support
import Testing

@testable import ControlAPI

/// Every route, through the real client: what arrives is what was asked, what comes back is what the service gave.
@Suite struct RouteTests {
  private let fixture: ServerFixture
  private var client: ControlClient { fixture.client }
  private var service: StandInService { fixture.service }

  init() throws { fixture = try ServerFixture() }

  @Test func networks() throws {
    var request = NetworkRequest(name: "lab")
    request.driver = "bridge"
    request.subnets = ["10.0.0.0/24", "fd00::/64"]
    request.gateways = ["10.0.0.1"]
    request.ipRanges = ["10.0.0.128/25"]
    request.auxiliaryAddresses = ["printer": "10.0.0.9"]
    request.internal = true
    request.ipv6 = true
    request.mtu = 9000
    request.ageingSeconds = 60
    request.fdbLimit = 1_000_000
    request.gatewayMode = "routed"
    request.noGateway = false
    request.labels = ["a/b": "ü\"\\\n"]
    request.options = ["k": ""]
    var change = NetworkChange()
    change.mtu = 1400
    #expect(try client.createNetwork(request) == Created(id: Sample.networks[0].id))
    #expect(try client.networks() == Sample.networks)
    #expect(try client.network("lab") == Sample.networks[0])
    #expect(try client.bareNetwork("lab") == Sample.networks[0].bare)
    #expect(try client.changeNetwork("lab", change) == Sample.networks[0])
    try client.removeNetwork("lab")
    #expect(try client.pruneNetworks() == ["plain"])
    #expect(
      service.calls == [
        .createNetwork(request), .networks, .network("lab"), .network("lab"), .changeNetwork("lab", change),
        .removeNetwork("lab"),
        .pruneNetworks,
      ])
  }

  @Test func sandboxes() throws {
    var request = SandboxRequest(name: "db")
    request.netns = "/proc/42/ns/net"
    #expect(try client.createSandbox(request) == Created(id: Sample.sandboxes[0].id))
    #expect(try client.sandboxes() == Sample.sandboxes)
    #expect(try client.sandbox("/proc/42/ns/net") == Sample.sandboxes[1])
    try client.removeSandbox("db")
    #expect(
      service.calls == [.createSandbox(request), .sandboxes, .sandbox("/proc/42/ns/net"), .removeSandbox("db")])
  }

  @Test func endpoints() throws {
    var request = ConnectRequest(sandbox: "/run/netns/web")
    request.interface = "eth1"
    request.publish = ["8080:80"]
    request.guard = true
    request.routes = [
      RouteRequest(destination: "10.9.0.0/16", gateway: "10.0.0.9"), RouteRequest(destination: "fd09::/64"),
    ]
    request.noDefaultRoute = true
    var change = EndpointChange()
    change.rateIn = UInt64.max
    change.isolated = false
    #expect(try client.connect(network: "lab", request) == Created(id: Sample.endpoint.id))
    try client.disconnect(network: "lab", sandbox: "web")
    #expect(try client.endpoints() == [Sample.endpoint])
    let filter = EndpointFilter(network: "a b", label: "tier=back & front")
    #expect(try client.endpoints(filter) == [])
    try client.removeEndpoint("e1d0")
    #expect(try client.endpoint(Sample.endpoint.id) == Sample.endpoint)
    #expect(try client.changeEndpoint("e1d0", change) == Sample.endpoint)
    #expect(
      service.calls == [
        .connect("lab", request), .disconnect("lab", "web"), .endpoints(EndpointFilter()), .endpoints(filter),
        .removeEndpoint("e1d0"), .endpoint(Sample.endpoint.id),
        .changeEndpoint("e1d0", change),
      ])
  }

  @Test func ports() throws {
    let request = InterfacePortRequest(interface: "veth0")
    #expect(try client.attachPort(network: "lab", request) == Sample.ports[0])
    try client.detachPort(network: "lab", interface: "eth0.5@x")
    #expect(try client.ports(network: nil) == Sample.ports)
    #expect(try client.ports(network: "a b") == Sample.ports)
    #expect(
      service.calls == [
        .attachPort("lab", request), .detachPort("lab", "eth0.5@x"), .ports(nil), .ports("a b"),
      ])
  }

  @Test func capturesAndMirrors() throws {
    let request = CaptureRequest(port: "a b", direction: .in, filter: "icmp", drops: true, snaplen: 64)
    #expect(try client.startCapture(network: "a b", request) == Created(id: Sample.captureID))
    let captured = CapturedFrames(frames: Sample.switchedFrames, lost: 3)
    #expect(try client.capturedFrames("c", waits: true) == captured)
    #expect(try client.capturedFrames("c", waits: false) == captured)
    try client.endCapture("c")
    let mirror = MirrorRequest(from: "a", to: "vtep=2001:db8::1", direction: .out)
    #expect(try client.addMirror(network: "lab", mirror) == Sample.mirror)
    #expect(try client.mirrors(network: nil) == [Sample.mirror])
    #expect(try client.mirrors(network: "a b") == [Sample.mirror])
    try client.removeMirror(network: "lab", from: "a b", to: "vtep=2001:db8::1")
    #expect(
      service.calls == [
        .startCapture("a b", request), .capturedFrames("c", true), .capturedFrames("c", false), .endCapture("c"),
        .addMirror("lab", mirror), .mirrors(nil), .mirrors("a b"), .removeMirror("lab", "a b", "vtep=2001:db8::1"),
      ])
  }

  @Test func services() throws {
    var request = ServiceRequest(name: "web", network: "lab")
    (request.published, request.mode, request.virtualAddresses) = (["8080:80"], "host", ["none"])
    var change = ServiceChange()
    (change.addedEndpoints, change.removedEndpoints) = (["a"], ["10.0.0.9"])
    #expect(try client.createService(request).id == Sample.services[0].id)
    #expect(try client.services() == Sample.services)
    #expect(try client.service("a b") == Sample.services[0])
    #expect(try client.changeService("web", change) == Sample.services[0])
    try client.removeService("web")
    #expect(
      service.calls == [
        .createService(request), .services, .service("a b"), .changeService("web", change), .removeService("web"),
      ])
  }

  @Test func overlays() throws {
    var request = OverlayRequest(vni: 42, local: "2001:db8::1")
    (request.port, request.ageingSeconds, request.ttl, request.tos) = (8472, 60, .inherit, .value(8))
    (request.learning, request.encrypted, request.innerVLAN) = (false, true, false)
    let peer = OverlayPeerRequest(address: "2001:db8::9")
    #expect(try client.setOverlay(network: "a b", request) == Sample.overlay)
    #expect(try client.overlay(network: "lab") == Sample.overlay)
    #expect(try client.overlays() == [Sample.overlay, Sample.waitingOverlay])
    try client.addOverlayPeer(network: "lab", peer)
    try client.removeOverlayPeer(network: "lab", address: "2001:db8::9")
    #expect(try client.overlayPeers(network: "lab") == Sample.overlayPeers)
    try client.unsetOverlay(network: "lab")
    #expect(
      service.calls == [
        .setOverlay("a b", request), .overlay("lab"), .overlays, .addOverlayPeer("lab", peer),
        .removeOverlayPeer("lab", "2001:db8::9"), .overlayPeers("lab"), .unsetOverlay("lab"),
      ])
  }

  @Test func cluster() throws {
    #expect(try client.clusterView() == Sample.cluster)
    try client.forgetHost("beta")
    #expect(service.calls == [.clusterView, .forgetHost("beta")])
  }

  /// A field of the outer header is a number or a word.
  @Test(arguments: [
    (#""ttl": 9"#, OuterField.value(9)), (#""ttl": "inherit""#, .inherit), (#""ttl": "9""#, nil), (#""ttl": 1.5"#, nil),
    (#""ttl": true"#, nil),
  ])
  func outerField(_ field: String, value: OuterField?) throws {
    let body = #"{"vni": 1, "local": "192.0.2.1", \#(field)}"#
    let raw = try RawClient(fixture.socketPath)
    let head = "PUT /v1/networks/lab/overlay HTTP/1.1\r\nConnection: close\r\nContent-Length: \(body.utf8.count)"
    raw.send("\(head)\r\n\r\n\(body)")
    let answer = try #require(raw.readToEnd())
    guard let value else {
      #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("ttl") && service.calls.isEmpty)
      return
    }
    var request = OverlayRequest(vni: 1, local: "192.0.2.1")
    request.ttl = value
    #expect(answer.hasPrefix("HTTP/1.1 200 ") && service.calls == [.setOverlay("lab", request)])
    #expect(answer.contains(#""tos":"inherit""#) && answer.contains(#""ttl":64"#))
  }

  @Test func publications() throws {
    let request = PublishRequest(ports: ["127.0.0.1:8080:80", "53/udp"])
    #expect(try client.publish(endpoint: "e1d0", request) == Sample.publications)
    try client.unpublish(endpoint: "e1d0", request)
    #expect(try client.publications() == Sample.publications)
    #expect(service.calls == [.publish("e1d0", request), .unpublish("e1d0", request), .publications])
  }

  @Test func uplink() throws {
    var request = UplinkRequest(interface: "eth0")
    (request.addresses, request.ports, request.ipv6NAT) = (["192.0.2.1"], ["61000-62000"], true)
    #expect(try client.setUplink(request) == Sample.uplink)
    #expect(try client.uplink() == Sample.uplink)
    try client.unsetUplink()
    #expect(service.calls == [.setUplink(request), .uplink, .unsetUplink])
  }

  @Test func sessions() throws {
    let filter = SessionFilter(["inside": "[fd00::2]:53", "protocol": "udp"])
    var timeouts = SessionTimeoutsChange()
    timeouts.udp = 120
    let translation = TranslationChange(filtering: "address-dependent")
    #expect(try client.sessions(SessionFilter()) == Sample.sessions)
    #expect(try client.sessions(filter) == Sample.sessions)
    try client.flushSessions()
    #expect(try client.sessionTimeouts() == Sample.timeouts)
    #expect(try client.changeSessionTimeouts(timeouts) == Sample.timeouts)
    #expect(try client.translation() == Sample.translation)
    #expect(try client.changeTranslation(translation) == Sample.translation)
    #expect(
      service.calls == [
        .sessions(SessionFilter()), .sessions(filter), .flushSessions, .sessionTimeouts,
        .changeSessionTimeouts(timeouts), .translation, .changeTranslation(translation),
      ])
  }

  @Test func forwarding() throws {
    let request = ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "gateway")
    #expect(try client.forwardingEntries(network: "lab") == Sample.forwardingEntries)
    try client.addForwardingEntry(network: "lab", request)
    try client.removeForwardingEntry(network: "lab", mac: "02:00:00:00:00:01")
    try client.flushForwardingEntries(network: "lab", port: nil)
    try client.flushForwardingEntries(network: "lab", port: "gateway")
    #expect(
      service.calls == [
        .forwardingEntries("lab"), .addForwardingEntry("lab", request),
        .removeForwardingEntry("lab", "02:00:00:00:00:01"),
        .flushForwardingEntries("lab", nil), .flushForwardingEntries("lab", "gateway"),
      ])
  }

  @Test func daemon() throws {
    #expect(try client.statistics(network: nil) == Sample.statistics)
    #expect(try client.statistics(network: "a&b=c d") == Sample.statistics)
    #expect(try client.version() == Version.current)
    try client.shutdown(ShutdownRequest(purge: true))
    #expect(service.calls == [.statistics(nil), .statistics("a&b=c d"), .shutdown(ShutdownRequest(purge: true))])
  }

  /// A name is one segment of the path, whatever it holds.
  @Test(arguments: ["prune", "fdb", "a/b", "..", "ü ö", "100%", "a?b#c", "+"])
  func anyName(_ name: String) throws {
    #expect(throws: ControlError(.notFound, "nothing is called \(name)")) { try client.network(name) }
    #expect(throws: ControlError(.notFound, "nothing is called \(name)")) { try client.removeNetwork(name) }
    #expect(service.calls == [.network(name), .removeNetwork(name)])
  }

  @Test(arguments: [
    (ControlError.Code.invalid, 400), (.notFound, 404), (.conflict, 409), (.tooLarge, 413), (.system, 500),
    (.unsupported, 501), (.unreachable, 503), (.exhausted, 507),
  ])
  func refusal(_ code: ControlError.Code, status: Int) throws {
    let error = ControlError(code, "no: \"\(code)\"")
    service.refusal = error
    #expect(throws: error) { try client.networks() }
    let raw = try RawClient(fixture.socketPath)
    raw.send("GET /v1/networks HTTP/1.1\r\nConnection: close\r\n\r\n")
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 \(status) ") == true)
  }

  /// A body that may be left out.
  @Test(arguments: ["shutdown", "networks/prune", "networks/lab/fdb/flush", "sessions/flush"])
  func noBody(_ path: String) throws {
    let raw = try RawClient(fixture.socketPath)
    raw.send("POST /v1/\(path) HTTP/1.1\r\nConnection: close\r\n\r\n")
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 20") == true)
    #expect(service.calls.count == 1)
  }
}
