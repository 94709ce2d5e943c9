import ControlModel
import Testing
import Wire

@testable import ControlPlane

@Suite struct PublicationTests {
  /// A network `web`, an uplink, and an endpoint of sandbox `a`.
  private func bench(_ edit: (inout NetworkRequest) -> Void = { _ in }) throws -> (Bench, Endpoint) {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web", edit)
    try bench.sandbox("a")
    return (bench, try bench.connect("web", "a"))
  }

  private func held(_ bench: Bench) -> Set<String> {
    Set(
      bench.host.state.uplink.held.map {
        "\($0.protocol == .tcp ? "tcp" : "udp") \($0.address) \($0.ports) \($0.target) \($0.firstPort)"
      })
  }

  private func told(_ bench: Bench) -> Set<String> {
    Set(
      bench.dataPlane.routing.publications.map {
        "\($0.protocol == .tcp ? "tcp" : "udp") \($0.hostAddress?.description ?? "*") \($0.hostPorts) \($0.address) \($0.firstPort)"
      })
  }

  private func shown(_ ports: [PublishedPort]) -> [String] {
    ports.map {
      "\($0.hostIP) \($0.hostPort)\($0.hostPortEnd.map { "-\($0)" } ?? "") \($0.port)\($0.portEnd.map { "-\($0)" } ?? "") \($0.protocol)"
    }
  }

  @Test func onEveryAddress() throws {
    let (bench, endpoint) = try bench()
    let before = try bench.snapshot()
    let ports = try bench.publish(endpoint.id, "8080:80")
    #expect(shown(ports) == ["0.0.0.0 8080 80 tcp", ":: 8080 80 tcp"])
    // By IPv6 the relay serves alone, as the endpoint has none.
    #expect(held(bench) == ["tcp 0.0.0.0 8080...8080 172.17.0.2 80", "tcp :: 8080...8080 172.17.0.2 80"])
    #expect(told(bench) == ["tcp * 8080...8080 172.17.0.2 80"])
    #expect(try bench.controlPlane.endpoint(endpoint.id).published == ports)
    #expect(try bench.controlPlane.publications().map(\.published) == ports)
    #expect(try bench.controlPlane.publications().allSatisfy { $0.endpoint == endpoint.id && $0.network == "web" })
    try bench.unpublish(endpoint.id, "8080:80")
    #expect(try bench.snapshot() == before)
  }

  @Test func ofBothFamilies() throws {
    let (bench, endpoint) = try bench { ($0.subnets, $0.ipv6) = (["10.9.0.0/24", "fd00:9::/64"], true) }
    try bench.publish(endpoint.id, "53:53/udp")
    #expect(held(bench) == ["udp 0.0.0.0 53...53 10.9.0.2 53", "udp :: 53...53 fd00:9::2 53"])
    #expect(told(bench) == ["udp * 53...53 10.9.0.2 53", "udp * 53...53 fd00:9::2 53"])
  }

  @Test func hostAddresses() throws {
    let (bench, endpoint) = try bench()
    bench.host.addUplink("eth1", index: 8, "198.51.100.1/24")
    #expect(shown(try bench.publish(endpoint.id, "127.0.0.1:8080:80")) == ["127.0.0.1 8080 80 tcp"])
    #expect(shown(try bench.publish(endpoint.id, "[::1]:8080:80")) == ["::1 8080 80 tcp"])
    #expect(told(bench).isEmpty, "the wire has no part in it")
    try bench.publish(endpoint.id, "192.0.2.1:8080:80")
    // An address of another interface is the relay's.
    try bench.publish(endpoint.id, "198.51.100.1:8080:80", "0.0.0.0:8081:80")
    #expect(told(bench) == ["tcp 192.0.2.1 8080...8080 172.17.0.2 80", "tcp * 8081...8081 172.17.0.2 80"])
    #expect(held(bench).count == 5 && held(bench).contains("tcp 0.0.0.0 8081...8081 172.17.0.2 80"))
    let error = refusal { try bench.publish(endpoint.id, "203.0.113.1:8082:80") }
    #expect(error?.message.contains("203.0.113.1 is no address of the host") == true)
  }

  @Test func aDefaultAddressOfTheNetwork() throws {
    let (bench, endpoint) = try bench { $0.options = ["com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"] }
    #expect(shown(try bench.publish(endpoint.id, "8080:80")) == ["127.0.0.1 8080 80 tcp"])
    #expect(shown(try bench.publish(endpoint.id, "192.0.2.1:8080:80")) == ["192.0.2.1 8080 80 tcp"])
  }

  @Test func rangesAreOneRowAndOneCommand() throws {
    let (bench, endpoint) = try bench()
    // None fails, and what the control plane does on threads of its own is not counted.
    bench.faults.arm(.max)
    let ports = try bench.publish(endpoint.id, "10000-19999:20000-29999")
    #expect(bench.faults.count == 3, "two holds, one entry")
    #expect(shown(ports) == ["0.0.0.0 10000-19999 20000-29999 tcp", ":: 10000-19999 20000-29999 tcp"])
    #expect(try bench.snapshot().publications.count == 1 && bench.dataPlane.routing.publications.count == 1)
    #expect(refusal { try bench.unpublish(endpoint.id, "10005:20005") }?.message.contains("20000-29999/tcp") == true)
    try bench.unpublish(endpoint.id, "20000-29999")
    #expect(held(bench).isEmpty && told(bench).isEmpty)
  }

  @Test func portsAreChosen() throws {
    let (bench, endpoint) = try bench()
    bench.host.editUplink { $0.users = [32768: "nginx (pid 123)", 9001: "nginx (pid 123)"] }
    #expect(try bench.publish(endpoint.id, "80").map(\.hostPort) == [32769, 32769])
    #expect(try bench.publish(endpoint.id, "0:81", "127.0.0.1::82/udp").map(\.hostPort) == [32770, 32770, 32768 + 3])
    // One that was given back is not the next to be given.
    try bench.unpublish(endpoint.id, "82/udp")
    #expect(try bench.publish(endpoint.id, "83/udp").first?.hostPort == 32772)
    #expect(shown(try bench.publish(endpoint.id, "90-91")).first == "0.0.0.0 32773-32774 90-91 tcp")
    // From a range, the first that is free.
    #expect(try bench.publish(endpoint.id, "9000-9003:80").first?.hostPort == 9000)
    #expect(try bench.publish(endpoint.id, "9000-9003:80").first?.hostPort == 9002)
    #expect(try bench.publish(endpoint.id, "9000-9003:80").first?.hostPort == 9003)
    let error = refusal { try bench.publish(endpoint.id, "9000-9003:80") }
    #expect(error?.code == .exhausted && error?.message.contains("no port of the host is free from 9000-9003") == true)
    #expect(error?.message.contains("nginx (pid 123)") == true)
  }

  @Test func aPortInUseIsRefusedInWords() throws {
    let (bench, endpoint) = try bench()
    try bench.sandbox("b")
    let other = try bench.connect("web", "b") { $0.publish = ["8080-8089:80-89"] }
    bench.host.editUplink { $0.users[443] = "nginx (pid 123)" }
    let before = try bench.snapshot()
    let cases = [
      ("443:443", "port 443/tcp is already in use by nginx (pid 123)"),
      ("8085:80", "port 8085/tcp is already in use by endpoint \(other.id.prefix(12)) of network web"),
      ("127.0.0.1:8080:80", "port 8080/tcp is already in use by endpoint"),
      ("[::]:8070-8080:70-80", "port 8080/tcp is already in use by endpoint"),
    ]
    for (port, words) in cases {
      // All of them, or none.
      let error = refusal { try bench.publish(endpoint.id, "7000:70", "7001:71/udp", port) }
      #expect(error?.code == .conflict && error?.message.contains(words) == true, "\(error?.message ?? "")")
      #expect(try bench.snapshot() == before)
    }
    try bench.publish(endpoint.id, "8080:80/udp")
    try bench.publish(endpoint.id, "127.0.0.1:9090:90", "127.0.0.2:9090:90", "[::1]:9090:90")
    #expect(refusal { try bench.publish(endpoint.id, "9090:90") }?.code == .conflict)
  }

  @Test func theyGoWithTheirEndpoint() throws {
    let (bench, _) = try bench()
    try bench.sandbox("b")
    // The sandbox keeps its name servers.
    try bench.connect("web", "b")
    try bench.controlPlane.disconnect(network: "web", sandbox: "b")
    let before = try bench.snapshot()
    let endpoint = try bench.connect("web", "b") { $0.publish = ["8080:80", "53:53/udp", "80"] }
    #expect(endpoint.published.count == 6 && held(bench).count == 6 && told(bench).count == 3)
    try bench.controlPlane.disconnect(network: "web", sandbox: "b")
    #expect(try bench.snapshot() == before)
  }

  @Test func routedNetworksOpenTheEndpointsPorts() throws {
    let (bench, endpoint) = try bench { $0.gatewayMode = "routed" }
    #expect(shown(try bench.publish(endpoint.id, "8080-8081:80-81")) == [" 0 80-81 tcp"])
    #expect(told(bench) == ["tcp 172.17.0.2 80...81 172.17.0.2 80"] && held(bench).isEmpty)
    #expect(refusal { try bench.publish(endpoint.id, "127.0.0.1:80:80") }?.message.contains("is routed") == true)
    #expect(refusal { try bench.publish(endpoint.id, "[::]:80:80") }?.message.contains("no IPv6 address") == true)
    var change = NetworkChange()
    change.gatewayMode = "nat"
    let error = refusal { _ = try bench.controlPlane.changeNetwork("web", change) }
    #expect(error?.code == .conflict && error?.message.contains("unpublish them first") == true)
    try bench.unpublish(endpoint.id, "80-81")
    _ = try bench.controlPlane.changeNetwork("web", change)
    #expect(told(bench).isEmpty)
  }

  @Test func familiesMayDiffer() throws {
    let (bench, endpoint) = try bench {
      ($0.subnets, $0.ipv6) = (["10.9.0.0/24", "fd00:9::/64"], true)
      $0.options = ["com.docker.network.bridge.gateway_mode_ipv6": "routed"]
    }
    #expect(shown(try bench.publish(endpoint.id, "8080:80")) == ["0.0.0.0 8080 80 tcp", " 0 80 tcp"])
    #expect(told(bench) == ["tcp * 8080...8080 10.9.0.2 80", "tcp fd00:9::2 80...80 fd00:9::2 80"])
    #expect(held(bench) == ["tcp 0.0.0.0 8080...8080 10.9.0.2 80"])
  }

  @Test func whoPublishesNothing() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.network("internal") { $0.internal = true }
    try bench.network("isolated") { $0.gatewayMode = "isolated" }
    try bench.network("plain") { $0.noGateway = true }
    try bench.network("none") { $0.driver = "none" }
    try bench.sandbox("a")
    // The relay serves these alone.
    let endpoint = try bench.connect("web", "a") { $0.publish = ["127.0.0.1:8080:80"] }
    #expect(
      refusal { try bench.publish(endpoint.id, "80:80") }?.message
        == "publishing needs an uplink: martlet uplink set INTERFACE")
    try bench.uplink()
    try bench.sandbox("b")
    let before = try bench.snapshot()
    for (network, words) in [
      ("internal", "is internal"), ("isolated", "is isolated"), ("plain", "has no gateway"),
      ("none", "gives no interface"),
    ] {
      let error = refusal { try bench.connect(network, "b") { $0.publish = ["80:80"] } }
      #expect(error?.code == .invalid && error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    #expect(
      refusal { try bench.connect("web", "b") { ($0.publish, $0.noAddress) = (["80:80"], true) } }?.code == .invalid)
    #expect(refusal { try bench.publish(endpoint.id) }?.code == .invalid)
    #expect(refusal { try bench.unpublish(endpoint.id) }?.code == .invalid)
    #expect(refusal { try bench.publish("0123abcd", "80:80") }?.code == .notFound)
    #expect(refusal { try bench.unpublish(endpoint.id, "80:80") }?.code == .notFound)
    bench.host.editUplink { $0.hasIPv6 = false }
    #expect(refusal { try bench.publish(endpoint.id, "[::1]:80:80") }?.message.contains("no IPv6") == true)
    bench.host.editUplink { $0.hasIPv6 = true }
    #expect(try bench.snapshot() == before)
  }

  @Test func theyFollowTheUplink() throws {
    let (bench, endpoint) = try bench()
    bench.host.addUplink("eth1", index: 8, "198.51.100.1/24")
    try bench.publish(endpoint.id, "8080:80", "192.0.2.1:8081:80", "198.51.100.1:8082:80")
    let first: Set = ["tcp * 8080...8080 172.17.0.2 80", "tcp 192.0.2.1 8081...8081 172.17.0.2 80"]
    #expect(told(bench) == first)
    let holds = held(bench)
    try bench.uplink("eth1")
    #expect(told(bench) == ["tcp * 8080...8080 172.17.0.2 80", "tcp 198.51.100.1 8082...8082 172.17.0.2 80"])
    try bench.uplink("eth0")
    #expect(told(bench) == first)
    try bench.controlPlane.unsetUplink()
    #expect(told(bench).isEmpty && held(bench) == holds, "the relay serves on")
    try bench.uplink("eth0")
    #expect(told(bench) == first)
  }

  @Test func comeBackAfterARestart() throws {
    let (bench, endpoint) = try bench()
    try bench.publish(endpoint.id, "8080:80", "127.0.0.1:8081:81", "82/udp")
    let (holds, entries) = (held(bench), told(bench))
    let published = try bench.controlPlane.endpoint(endpoint.id).published
    try bench.restart()
    #expect(held(bench) == holds && told(bench) == entries)
    #expect(try bench.controlPlane.endpoint(endpoint.id).published == published)
  }

  /// A program of the host takes a port while no daemon runs, and lets go of it later.
  @Test func aPortThatWasTakenMeanwhileIsTriedForAgain() async throws {
    let (bench, endpoint) = try bench()
    try bench.publish(endpoint.id, "8080:80", "8081:81")
    try bench.restart { bench.host.editUplink { $0.users[8080] = "nginx (pid 123)" } }
    let shown = try bench.controlPlane.endpoint(endpoint.id)
    #expect(shown.state == "up" && shown.detail == "port 8080/tcp is already in use by nginx (pid 123)")
    #expect(shown.published.map { $0.detail != nil } == [true, true, false, false])
    #expect(told(bench) == ["tcp * 8081...8081 172.17.0.2 81"])
    bench.host.editUplink { $0.users = [:] }
    while try bench.controlPlane.endpoint(endpoint.id).detail != nil { try await Task.sleep(for: .milliseconds(20)) }
    #expect(told(bench).count == 2 && held(bench).count == 4)
  }

  @Test(arguments: [RecordState.creating, .removing]) func intentsAreRolledBack(state: RecordState) throws {
    let (bench, endpoint) = try bench()
    try bench.publish(endpoint.id, "8080:80")
    try bench.restart {
      let store = try Store(directory: bench.directory)
      try store.setPublications(try store.publications(), state: state)
    }
    #expect(try bench.controlPlane.publications().isEmpty && held(bench).isEmpty && told(bench).isEmpty)
    #expect(try bench.controlPlane.endpoint(endpoint.id).state == "up")
  }

  @Test func purgeTakesAllOfItAway() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24")
    let empty = try bench.snapshot()
    try bench.uplink()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a") { $0.publish = ["8080:80"] }
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    #expect(try bench.snapshot() == empty)
  }
}

@Suite struct PublishedSpecificationTests {
  private func parse(_ text: String) throws -> String {
    let parsed = try PublishedSpecification(text)
    let host = parsed.hostPorts?.description ?? "?"
    return "\(parsed.hostAddress?.description ?? "*") \(host) \(parsed.ports) \(parsed.transport)"
  }

  @Test(arguments: [
    ("80", "* ? 80 tcp"), ("8080:80", "* 8080 80 tcp"), ("8080:80/udp", "* 8080 80 udp"), ("80/TCP", "* ? 80 tcp"),
    ("127.0.0.1:8080:80", "127.0.0.1 8080 80 tcp"), ("127.0.0.1::80", "127.0.0.1 ? 80 tcp"), (":80", "* ? 80 tcp"),
    ("::80", "* ? 80 tcp"), ("0:80", "* ? 80 tcp"), ("[::1]:8080:80", "::1 8080 80 tcp"),
    ("[::]:8080:80/udp", ":: 8080 80 udp"), ("2001:db8::1:8080:80", "2001:db8::1 8080 80 tcp"),
    ("[::1]::80", "::1 ? 80 tcp"), ("8000-8010:80-90", "* 8000-8010 80-90 tcp"),
    ("8000-8010:80", "* 8000-8010 80 tcp"), ("80-90", "* ? 80-90 tcp"), ("65535:65535", "* 65535 65535 tcp"),
  ])
  func accepts(text: String, parsed: String) throws {
    #expect(try parse(text) == parsed)
  }

  @Test(arguments: [
    ("", "no port specified"), ("8080:", "no port specified"), ("/tcp", "no port specified"),
    ("x", "invalid containerPort: \"x\""), ("0", "invalid containerPort"), ("65536", "invalid containerPort"),
    ("90-80", "invalid containerPort"), ("-80", "invalid containerPort"), ("80-", "invalid containerPort"),
    ("1-2-3", "invalid containerPort"), ("+80", "invalid containerPort"), (" 80", "invalid containerPort"),
    ("x:80", "invalid hostPort: \"x\""), ("65536:80", "invalid hostPort"), ("8010-8000:80", "invalid hostPort"),
    ("8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000-8002"),
    ("8000:80-81", "invalid ranges"), ("localhost:8080:80", "invalid IP address: \"localhost\""),
    ("127.0.0.256:8080:80", "invalid IP address"), ("[::1:8080:80", "invalid IP address"),
    ("80/icmp", "invalid proto: \"icmp\""), ("80/", "invalid proto"), ("80/sctp", "sctp is not supported"),
  ])
  func refuses(text: String, words: String) {
    let error = refusal { _ = try PublishedSpecification(text) }
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    #expect(error?.code == (text.hasSuffix("sctp") ? .unsupported : .invalid))
  }
}
