import ControlModel
import Testing
import Wire

@testable import ControlPlane

/// What is refused, and what becomes of overlays when the host or the daemon changes under them.
@Suite struct OverlayLossTests {
  /// Network `lab` with an overlay by 192.0.2.1 of `eth0`, two peers, and a static entry that leads to the first.
  private func bench() throws -> Bench {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24")
    try bench.network("lab") { $0.mtu = 1400 }
    try bench.overlay("lab")
    try bench.peer("lab", "192.0.2.9", "192.0.2.10")
    try bench.controlPlane.addForwardingEntry(
      network: "lab", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "vtep=192.0.2.9"))
    return bench
  }

  private func wait(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
  }

  private func shown(_ bench: Bench) throws -> Overlay { try bench.controlPlane.overlay(network: "lab") }

  @Test func refusals() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    bench.host.addUplink("lo", index: 1, "10.255.0.1/32")
    bench.host.edit { $0.interfaces[1]!["lo"]!.isHostsOwn = true }
    bench.host.addUplink("wg0", index: 8, "10.7.0.1/24")
    for name in ["lab", "web"] { try bench.network(name) }
    for driver in ["macvlan", "none"] {
      try bench.network(driver) { ($0.driver, $0.options) = (driver, driver == "none" ? nil : ["parent": "eth0"]) }
    }
    let gateway = try #require(try bench.controlPlane.network("web").subnets.first?.gateway)
    try bench.overlay("web")
    let before = try bench.snapshot()
    let cases: [(String, ControlError.Code, String, (inout OverlayRequest) -> Void)] = [
      ("nowhere", .notFound, "no network", { _ in }),
      ("none", .unsupported, "driver none has no switch", { _ in }),
      ("macvlan", .unsupported, "by its parent", { _ in }),
      ("lab", .invalid, "VNI 16777216: allowed is 0 to 16777215", { $0.vni = 16_777_216 }),
      ("lab", .invalid, "VNI -1", { $0.vni = -1 }),
      ("lab", .conflict, "VNI 42 is network web's at 192.0.2.1 port 4789", { _ in }),
      ("lab", .invalid, "\"here\" is no IP address", { $0.local = "here" }),
      ("lab", .invalid, "192.0.2.2 is on no interface", { $0.local = "192.0.2.2" }),
      ("lab", .invalid, "127.0.0.1 leads to no other host", { $0.local = "127.0.0.1" }),
      ("lab", .invalid, "0.0.0.0 leads to no other host", { $0.local = "0.0.0.0" }),
      ("lab", .invalid, "239.1.1.1 is a group's", { $0.local = "239.1.1.1" }),
      ("lab", .invalid, "fe80::1 is one of the link alone", { $0.local = "fe80::1" }),
      ("lab", .invalid, "10.255.0.1 is on interface lo", { $0.local = "10.255.0.1" }),
      ("lab", .conflict, "Martlet's own", { $0.local = gateway }),
      ("lab", .unsupported, "on interface eth0, and an overlay does not encrypt", { $0.encrypted = true }),
      ("lab", .invalid, "port 0: allowed is 1 to 65535", { $0.port = 0 }),
      ("lab", .invalid, "port 65536", { $0.port = 65_536 }),
      ("lab", .invalid, "TTL 0: allowed is 1 to 255", { $0.ttl = .value(0) }),
      ("lab", .invalid, "TTL 256", { $0.ttl = .value(256) }),
      ("lab", .invalid, "TOS 256", { $0.tos = .value(256) }),
      ("lab", .invalid, "TOS 3: its two lowest bits are ECN's", { $0.tos = .value(3) }),
      ("lab", .invalid, "ageing time", { ($0.vni, $0.ageingSeconds) = (43, 0) }),
    ]
    for (network, code, words, edit) in cases {
      let error = refusal { try bench.overlay(network) { edit(&$0) } }
      #expect(error?.code == code && error?.message.contains(words) == true, "\(words): \(error?.message ?? "")")
    }
    let peers: [(String, String, ControlError.Code, String)] = [
      ("lab", "192.0.2.9", .notFound, "martlet overlay set lab"), ("web", "x", .invalid, "\"x\" is no IP address"),
      ("web", "2001:db8::9", .invalid, "no IPv4 address as the local one"),
      ("web", "192.0.2.1", .invalid, "this host's own end"), ("web", "239.1.1.1", .invalid, "a group's"),
      ("web", "255.255.255.255", .invalid, "no other host"), ("web", "127.0.0.2", .invalid, "no other host"),
    ]
    for (network, peer, code, words) in peers {
      let error = refusal { try bench.peer(network, peer) }
      #expect(error?.code == code && error?.message.contains(words) == true, "\(peer): \(error?.message ?? "")")
    }
    #expect(try bench.snapshot() == before)
    // As the text of `-o encrypted` has it.
    #expect(try bench.overlay("lab") { $0.local = "10.7.0.1" }.interface == "wg0")
  }

  @Test(arguments: [
    (["encrypted": ""], "the address of a WireGuard interface as local"),
    (["encrypted": "yes"], "neither true nor false"),
    (["vni": "many"], "\"many\" is no number"), (["vni": "16777216"], "0 to 16777215"), (["ttl": "0"], "1 to 255"),
    (["tos": "low"], "neither a number nor inherit"), (["learning": "true"], "neither on nor off"),
    (["port": "0"], "1 to 65535"), (["local": "192.0.2.2"], "on no interface"),
    (["com.docker.network.driver.overlay.vxlanid_list": "1,2"], "a network has one VNI"),
    (["vni": "1", "com.docker.network.driver.overlay.vxlanid_list": "2"], "contradict"), (["vni": "42"], "web's"),
  ])
  func optionsThatAreRefused(options: [String: String], words: String) throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24")
    try bench.network("web")
    try bench.overlay("web")
    let before = try bench.snapshot()
    let error = refusal {
      try bench.network("new") { request in
        request.driver = "overlay"
        request.options = options.merging(["local": "192.0.2.1"]) { given, _ in given }
      }
    }
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    #expect(try bench.snapshot() == before)
  }

  @Test func comesBackAfterARestart() throws {
    let bench = try bench()
    try bench.sandbox("a")
    try bench.connect("lab", "a")
    let (before, overlay) = (try bench.snapshot(), try shown(bench))
    try bench.restart {
      // Of a daemon that was killed.
      let name = LocalVTEP(address: IPAddress("192.0.2.1")!, port: 4789).carrier
      for name in [name, "mtv0123"] {
        bench.host.edit { $0.interfaces[1]![name] = .init(alias: InterfaceMark.carrier(name)) }
      }
    }
    var after = try bench.snapshot()
    // The data plane counts on.
    (after.ports, after.routing) = (before.ports, before.routing)
    after.dataPlaneNetworks = before.dataPlaneNetworks
    #expect(after == before)
    var again = try shown(bench)
    again.counters = overlay.counters
    #expect(again == overlay)
    let entries = try bench.controlPlane.forwardingEntries(network: "lab")
    #expect(entries.map(\.port.address) == ["192.0.2.9"])
  }

  @Test func waitsForItsAddress() async throws {
    let bench = try bench()
    bench.host.edit { $0.interfaces[1]!["eth0"]!.addresses = [] }
    bench.host.tell(.configuration)
    try await wait { bench.dataPlane.overlay == .init() }
    let missing = try shown(bench)
    #expect(missing.state == "missing" && missing.detail?.contains("192.0.2.1") == true && missing.interface == nil)
    #expect(missing.peers.count == 2 && bench.host.state.carriers.isEmpty)
    let entry = ForwardingEntryRequest(mac: "02:00:00:00:00:02", port: "vtep=192.0.2.9")
    let error = refusal { try bench.controlPlane.addForwardingEntry(network: "lab", entry) }
    #expect(error?.code == .conflict && error?.message.contains("martlet overlay show lab") == true)
    // Peers come and go meanwhile.
    try bench.peer("lab", "192.0.2.11")
    try bench.controlPlane.removeOverlayPeer(network: "lab", address: "192.0.2.10")
    try bench.restart()
    #expect(try shown(bench).state == "missing")
    bench.host.edit { $0.interfaces[1]!["eth0"]!.addresses = [IPPrefix("192.0.2.1/24")!] }
    bench.host.tell(.configuration)
    try await wait { bench.dataPlane.remotes.count == 2 }
    #expect(bench.dataPlane.remotes.map(\.remote.description) == ["192.0.2.9", "192.0.2.11"])
    try await wait { bench.dataPlane.state.entries.count == 1 }
    #expect(try shown(bench).state == "up")
  }

  @Test func followsItsAddressToAnotherInterface() async throws {
    let bench = try bench()
    let first = Set(bench.dataPlane.overlay.carriers.keys)
    bench.host.edit { $0.interfaces[1]!["eth0"]!.addresses = [] }
    bench.host.addUplink("eth1", index: 8, "192.0.2.1/24")
    bench.host.tell(.configuration)
    try await wait {
      bench.dataPlane.remotes.count == 2 && first.isDisjoint(with: bench.dataPlane.overlay.carriers.keys)
    }
    try await wait { try shown(bench).interface == "eth1" }
    #expect(bench.host.heldDescriptors == 2)
  }

  /// And not by another that gets its address.
  @Test func encryptedByAnInterfaceThatEncryptsAlone() async throws {
    let bench = try Bench()
    bench.host.addUplink("wg0", index: 8, "10.7.0.1/24")
    bench.host.edit { $0.interfaces[1]!["wg0"]!.encrypts = true }
    for (name, value) in [("lab", ""), ("web", "true"), ("open", "false")] {
      try bench.network(name) { request in
        (request.driver, request.options) = ("overlay", ["encrypted": value, "local": "10.7.0.1"])
      }
      #expect(try bench.controlPlane.overlay(network: name).encrypted == (name != "open"))
    }
    try bench.peer("lab", "10.7.0.2")
    bench.host.edit { $0.interfaces[1]!["wg0"]!.addresses = [] }
    bench.host.addUplink("eth1", index: 9, "10.7.0.1/24")
    bench.host.tell(.configuration)
    try await wait { try bench.controlPlane.overlay(network: "open").interface == "eth1" }
    #expect(try shown(bench).state == "down" && bench.dataPlane.remotes.isEmpty)
    #expect(try shown(bench).detail?.contains("on interface eth1, and an overlay does not encrypt") == true)
    try bench.restart()
    #expect(try shown(bench).state == "down" && shown(bench).encrypted && bench.dataPlane.remotes.isEmpty)
    bench.host.edit { state in
      state.interfaces[1]!["eth1"] = nil
      state.interfaces[1]!["wg0"]!.addresses = [IPPrefix("10.7.0.1/24")!]
    }
    bench.host.tell(.configuration)
    try await wait { try shown(bench).state == "up" && bench.dataPlane.remotes.count == 1 }
    // Set again without, it is as it is asked for then.
    try bench.overlay("lab") { $0.local = "10.7.0.1" }
    #expect(try !shown(bench).encrypted)
  }

  @Test func saysWhatIsNotAsItShouldBe() async throws {
    let bench = try bench()
    bench.host.edit { $0.interfaces[1]!["eth0"]!.isUp = false }
    bench.host.tell(.configuration)
    try await wait { try shown(bench).state == "down" }
    #expect(try shown(bench).detail == "interface eth0 is down: ip link set eth0 up")
    bench.host.edit { ($0.interfaces[1]!["eth0"]!.isUp, $0.interfaces[1]!["eth0"]!.mtu) = (true, 1300) }
    bench.host.tell(.configuration)
    try await wait { try shown(bench).detail?.contains("martlet network set lab --mtu 1250") == true }
    #expect(try shown(bench).state == "up" && bench.dataPlane.remotes.count == 2)
    bench.host.edit { $0.interfaces[1]!["eth0"]!.alias = "martlet gateway 1" }
    bench.host.tell(.configuration)
    try await wait { try shown(bench).detail?.contains("Martlet's own") == true }
    #expect(try shown(bench).state == "down" && bench.dataPlane.overlay == .init())
  }

  /// A program has the port when the address comes back.
  @Test func aPortThatIsTakenIsTriedForAgain() async throws {
    let bench = try bench()
    try bench.restart { bench.host.editUplink { $0.users = [4789: "vxlan0"] } }
    #expect(try shown(bench).state == "down")
    #expect(try shown(bench).detail == "port 4789/udp is taken by vxlan0")
    bench.host.editUplink { $0.users = [:] }
    bench.host.tell(.configuration)
    try await wait { try shown(bench).state == "up" }
    #expect(bench.dataPlane.remotes.count == 2)
  }

  @Test func aLostCarrierIsMadeAnew() async throws {
    let bench = try bench()
    let port = try #require(bench.dataPlane.overlay.carriers.keys.first)
    let before = try bench.snapshot()
    bench.host.edit { state in
      for name in state.carriers.keys { state.interfaces[1]![name] = nil }
    }
    bench.dataPlane.lose(port)
    try await wait { bench.dataPlane.overlay.carriers[port] == nil && bench.dataPlane.remotes.count == 2 }
    try await wait { try bench.snapshot() == before }
  }

  @Test func purgeTakesOverlaysAway() throws {
    let bench = try bench()
    try bench.controlPlane.shutdown(ShutdownRequest(purge: true))
    #expect(bench.dataPlane.overlay == .init() && bench.host.heldDescriptors == 0)
    #expect(bench.host.state.carriers.isEmpty)
    #expect(try bench.controlPlane.overlays().isEmpty && bench.snapshot().peers.isEmpty)
  }

  /// A network whose making a crash cut short is taken away with its overlay.
  @Test(arguments: [RecordState.creating, .removing]) func intentsAreRolledBack(state: RecordState) throws {
    let bench = try bench()
    try bench.restart {
      let store = try Store(directory: bench.directory)
      try store.database.write { try $0.execute(sql: "UPDATE networks SET state = ?", arguments: [state.rawValue]) }
    }
    #expect(try bench.controlPlane.networks().isEmpty && bench.controlPlane.overlays().isEmpty)
    #expect(bench.dataPlane.overlay == .init() && bench.host.state.carriers.isEmpty)
  }
}
