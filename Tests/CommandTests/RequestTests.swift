import ControlModel
import Support
import Testing

@testable import martlet

/// Every command and flag, and what the daemon is asked then.
@Suite struct RequestTests {
  private let line = CommandLine()

  private func expect(_ command: String, _ call: StandInService.Call, sourceLocation: SourceLocation = #_sourceLocation)
  {
    #expect(line.run(command) == 0, "\(line.errors)", sourceLocation: sourceLocation)
    #expect(line.service.calls.last == call, sourceLocation: sourceLocation)
    #expect(line.errors.isEmpty, sourceLocation: sourceLocation)
  }

  @Test func networkCreate() {
    expect("network create lab", .createNetwork(NetworkRequest(name: "lab")))
    #expect(line.output == Sample.networks[0].id + "\n")
    var request = NetworkRequest(name: "lab")
    request.driver = "overlay"
    request.subnets = ["10.0.0.0/24", "fd00::/64"]
    request.gateways = ["10.0.0.1", "fd00::1"]
    request.ipRanges = ["10.0.0.128/25"]
    request.auxiliaryAddresses = ["printer": "10.0.0.9", "nas": "10.0.0.10"]
    request.internal = true
    request.ipv6 = true
    request.mtu = 9000
    request.ageingSeconds = 0
    request.fdbLimit = 1_000_000
    request.gatewayMode = "nat-unprotected"
    request.noGateway = true
    request.labels = ["env": "a=b", "bare": ""]
    request.options = ["k": "v2"]
    expect(
      """
      network create lab --driver overlay --subnet 10.0.0.0/24 --subnet fd00::/64 --gateway 10.0.0.1 --gateway fd00::1 \
      --ip-range 10.0.0.128/25 --aux-address printer=10.0.0.9 --aux-address nas=10.0.0.10 --internal --ipv6 --mtu 9000 \
      --ageing 0 --fdb-limit 1000000 --gateway-mode nat-unprotected --no-gateway --label env=a=b --label bare -o k=v \
      --opt k=v2
      """, .createNetwork(request))
    var short = NetworkRequest(name: "lab")
    short.driver = "none"
    expect("network create -d none lab", .createNetwork(short))
  }

  @Test func networkSet() {
    var change = NetworkChange()
    change.ageingSeconds = 60
    change.fdbLimit = 16
    change.gatewayMode = "routed"
    change.mtu = 1400
    expect(
      "network set lab --ageing 60 --fdb-limit 16 --gateway-mode routed --mtu 1400", .changeNetwork("lab", change))
    #expect(line.output.isEmpty)
  }

  @Test func networkRemove() {
    expect("network rm lab", .removeNetwork("lab"))
    #expect(line.output == "lab\n")
    expect("network remove lab plain", .removeNetwork("plain"))
    expect("network prune", .pruneNetworks)
    #expect(line.output == "plain\n")
  }

  /// As docker: all are tried, those that went are named, each that did not is told.
  @Test func someOfSeveralFail() {
    #expect(line.run("network rm nosuch lab neither") == 1)
    #expect(line.service.calls == [.removeNetwork("nosuch"), .removeNetwork("lab"), .removeNetwork("neither")])
    #expect(line.output == "lab\n")
    #expect(line.errors == "martlet: nothing is called nosuch\nmartlet: nothing is called neither\n")
    #expect(line.run("network rm nosuch lab --json") == 1)
    #expect(line.output == #"{"removed":["lab"]}"# + "\n")
    #expect(line.errors == #"{"error":{"code":"not_found","message":"nothing is called nosuch"}}"# + "\n")
    #expect(line.run(["network", "inspect", "nosuch", "plain", "--format", "{{.Name}}"]) == 1)
    #expect(line.output == "plain\n")
    #expect(line.errors == "martlet: nothing is called nosuch\n")
  }

  @Test func networkConnect() {
    expect("network connect lab web", .connect("lab", ConnectRequest(sandbox: "web")))
    #expect(line.output == Sample.endpoint.id + "\n")
    var request = ConnectRequest(sandbox: "/run/netns/web")
    request.ip = "10.0.0.7"
    request.ip6 = "fd00::7"
    request.mac = "02:00:00:00:00:07"
    request.interface = "lan0"
    request.mtu = 1400
    request.aliases = ["a", "b"]
    request.publish = ["8080:80", "127.0.0.1:53:53/udp"]
    request.noAddress = true
    request.noAnnounce = true
    request.isolated = true
    request.guard = true
    request.options = ["k": "v"]
    expect(
      """
      network connect lab /run/netns/web --ip 10.0.0.7 --ip6 fd00::7 --mac 02:00:00:00:00:07 --ifname lan0 --mtu 1400 \
      --alias a --alias b -p 8080:80 --publish 127.0.0.1:53:53/udp --no-address --no-announce --isolated --guard -o k=v
      """, .connect("lab", request))
    expect("network disconnect lab web", .disconnect("lab", "web"))
    #expect(line.output.isEmpty)
  }

  @Test func sandbox() {
    expect("sandbox create web", .createSandbox(SandboxRequest(name: "web")))
    #expect(line.output == Sample.sandboxes[0].id + "\n")
    var adopted = SandboxRequest(name: "db")
    adopted.netns = "/proc/42/ns/net"
    expect("sandbox create db --netns /proc/42/ns/net", .createSandbox(adopted))
    var shared = SandboxRequest(name: "sidecar")
    shared.share = "web"
    expect("sandbox create sidecar --share web", .createSandbox(shared))
    expect("sandbox rm web db", .removeSandbox("db"))
    #expect(line.output == "web\ndb\n")
  }

  @Test func endpointSet() {
    var change = EndpointChange()
    change.isolated = true
    change.guard = false
    change.macLimit = 4
    change.rateIn = 10_000_000
    change.rateOut = 0
    expect(
      "endpoint set e1d0 --isolated on --guard off --mac-limit 4 --rate-in 10000000 --rate-out 0",
      .changeEndpoint("e1d0", change))
  }

  @Test func ports() {
    expect("port attach lab veth0", .attachPort("lab", InterfacePortRequest(interface: "veth0")))
    #expect(line.output.isEmpty)
    expect("port detach lab veth0", .detachPort("lab", "veth0"))
    #expect(line.output.isEmpty)
    expect("port ls", .ports(nil))
    expect("port ls lab", .ports("lab"))
  }

  @Test func publish() {
    expect("publish e1d0 8080:80", .publish("e1d0", PublishRequest(ports: ["8080:80"])))
    #expect(line.output == "80/tcp -> 0.0.0.0:8080\n53-55/udp -> [::]:9000-9002\n")
    let both = PublishRequest(ports: ["127.0.0.1:8080:80/tcp", "[::1]:53:53/udp"])
    expect("publish add e1d0 127.0.0.1:8080:80/tcp [::1]:53:53/udp", .publish("e1d0", both))
    expect("unpublish e1d0 127.0.0.1:8080:80/tcp [::1]:53:53/udp", .unpublish("e1d0", both))
    #expect(line.output.isEmpty)
    expect("publish ls", .publications)
  }

  @Test func uplink() {
    expect("uplink set eth0", .setUplink(UplinkRequest(interface: "eth0")))
    #expect(line.output.isEmpty)
    var request = UplinkRequest(interface: "eth0")
    request.addresses = ["192.0.2.1", "2001:db8::1"]
    request.ports = ["20000-20999", "62000-62999"]
    request.ipv6NAT = true
    expect(
      """
      uplink set eth0 --address 192.0.2.1 --address 2001:db8::1 --ports 20000-20999 --ports 62000-62999 --ipv6-nat
      """, .setUplink(request))
    expect("uplink show", .uplink)
    expect("uplink unset", .unsetUplink)
    #expect(line.output.isEmpty)
  }

  @Test func overlays() {
    expect(
      "overlay set lab --vni 42 --local 192.0.2.1", .setOverlay("lab", OverlayRequest(vni: 42, local: "192.0.2.1")))
    #expect(line.output == Sample.overlay.notice! + "\n")
    var request = OverlayRequest(vni: 0, local: "2001:db8::1")
    (request.port, request.ageingSeconds, request.ttl, request.tos) = (8472, 60, .inherit, .value(8))
    request.learning = false
    expect(
      "overlay set lab --vni 0 --local 2001:db8::1 --port 8472 --ageing 60 --ttl inherit --tos 8 --learning off",
      .setOverlay("lab", request))
    (request.ttl, request.tos, request.learning, request.encrypted) = (.value(9), .inherit, true, true)
    request.innerVLAN = false
    expect(
      """
      overlay set lab --vni 0 --local 2001:db8::1 --port 8472 --ageing 60 --ttl 9 --tos inherit --learning on --encrypted on --inner-vlan off
      """,
      .setOverlay("lab", request))
    expect("overlay unset lab", .unsetOverlay("lab"))
    #expect(line.output.isEmpty)
    expect("overlay show lab", .overlay("lab"))
    expect("overlay ls", .overlays)
    expect("overlay peer add lab 192.0.2.7", .addOverlayPeer("lab", OverlayPeerRequest(address: "192.0.2.7")))
    expect("overlay peer rm lab 192.0.2.7", .removeOverlayPeer("lab", "192.0.2.7"))
    #expect(line.output.isEmpty)
    expect("overlay peer ls lab", .overlayPeers("lab"))
  }

  @Test func services() {
    expect("service create web --network lab", .createService(ServiceRequest(name: "web", network: "lab")))
    var request = ServiceRequest(name: "web", network: "lab")
    (request.published, request.mode, request.endpoints) = (["8080:80", "53/udp"], "host", ["a", "e1d0"])
    request.virtualAddresses = ["10.0.0.9", "fd00::9"]
    expect(
      """
      service create web --network lab --publish 8080:80 --publish 53/udp --mode host --endpoint a --endpoint e1d0 \
      --vip 10.0.0.9 --vip fd00::9
      """, .createService(request))
    var change = ServiceChange()
    (change.addedEndpoints, change.removedEndpoints, change.mode) = (["c"], ["a"], "ingress")
    expect("service set web --add-endpoint c --rm-endpoint a --mode ingress", .changeService("web", change))
    expect("service ls", .services)
    expect("service rm web", .removeService("web"))
    #expect(line.output == "web\n")
  }

  @Test func cluster() {
    expect("cluster show", .clusterView)
    expect("cluster forget beta", .forgetHost("beta"))
    #expect(line.output.isEmpty)
    var request = NetworkRequest(name: "lab")
    (request.driver, request.scope) = ("overlay", "local")
    expect("network create lab --driver overlay --scope local", .createNetwork(request))
  }

  @Test func sessions() {
    expect("session ls", .sessions(SessionFilter()))
    expect(
      "session ls --filter protocol=tcp --filter inside=10.0.0.2",
      .sessions(SessionFilter(["protocol": "tcp", "inside": "10.0.0.2"])))
    #expect(line.output.split(separator: "\n").count == 2)
    // Alternatives are sorted out here.
    expect("session ls --filter protocol=tcp --filter protocol=udp", .sessions(SessionFilter()))
    #expect(line.output.split(separator: "\n").count == 3)
    expect("session flush", .flushSessions)
    expect("session timeouts", .sessionTimeouts)
    #expect(line.output.contains("udp_stream        301\n"))
    var change = SessionTimeoutsChange()
    (change.udp, change.udpStream, change.tcpEstablished, change.tcpTransitory, change.icmp) = (120, 121, 3, 4, 5)
    expect(
      """
      session timeouts --set udp=120 --set udp_stream=121 --set tcp_established=3 --set tcp_transitory=4 --set icmp=5
      """, .changeSessionTimeouts(change))
    expect("session translation", .translation)
    #expect(line.output.contains("endpoint-independent"))
    expect(
      "session translation --mapping address-and-port-dependent --filtering address-dependent",
      .changeTranslation(
        TranslationChange(mapping: "address-and-port-dependent", filtering: "address-dependent")))
  }

  @Test func forwarding() {
    expect("fdb show lab", .forwardingEntries("lab"))
    expect(
      "fdb add lab 02:00:00:00:00:01 e1d0",
      .addForwardingEntry("lab", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "e1d0")))
    expect(
      "fdb add lab 02:00:00:00:00:01 vtep=192.0.2.7",
      .addForwardingEntry("lab", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "vtep=192.0.2.7")))
    expect("fdb rm lab 02:00:00:00:00:01", .removeForwardingEntry("lab", "02:00:00:00:00:01"))
    expect("fdb flush lab", .flushForwardingEntries("lab", nil))
    expect("fdb flush lab --port gateway", .flushForwardingEntries("lab", "gateway"))
  }

  @Test func daemon() {
    expect("stats", .statistics(nil))
    expect("stats lab", .statistics("lab"))
    expect("shutdown", .shutdown(ShutdownRequest(purge: false)))
    expect("shutdown --purge", .shutdown(ShutdownRequest(purge: true)))
  }

  @Test(arguments: [
    "--socket /tmp/s network ls --json", "network ls --json --socket /tmp/s", "network --json ls --socket=/tmp/s",
  ])
  func globalOptionsStandAnywhere(_ command: String) throws {
    let parsed = try #require(try Martlet.parseAsRoot(command.split(separator: " ").map(String.init)) as? NetworkList)
    #expect(parsed.global.socketPath == "/tmp/s")
    #expect(parsed.global.json)
  }

  /// What stands behind `--` is the command's own.
  @Test func executeTakesNoOptionOfTheCommand() throws {
    let arguments = ["sandbox", "exec", "web", "--", "ip", "--json", "-4", "--socket", "x", "--", "--help"]
    let parsed = try #require(try Martlet.parseAsRoot(arguments) as? SandboxExecute)
    #expect(parsed.sandbox == "web")
    #expect(parsed.command == Array(arguments.dropFirst(4)))
    #expect(!parsed.global.json)
  }

  @Test func executeAsksForTheSandbox() {
    #expect(line.run("sandbox exec nosuch -- true --json") == 1)
    #expect(line.service.calls == [.sandbox("nosuch")])
    #expect(line.errors == "martlet: nothing is called nosuch\n")
  }

  @Test func socketOfACompletion() {
    #expect(Names.socketPath(["martlet", "--socket", "/tmp/s", "network", "rm", ""]) == "/tmp/s")
    #expect(Names.socketPath(["martlet", "network", "rm", "--socket=/tmp/s"]) == "/tmp/s")
  }
}
