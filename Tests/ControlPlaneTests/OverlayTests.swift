import ControlModel
import LinuxIO
import Testing
import Wire

@testable import ControlPlane

@Suite struct OverlayTests {
  /// An interface `eth0` of the host, 192.0.2.1 and 2001:db8::1, a network `lab` and a sandbox `a`.
  private func bench() throws -> Bench {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    try bench.network("lab") { $0.mtu = 1450 }
    try bench.sandbox("a")
    return bench
  }

  private func ip(_ text: String) -> IPAddress { IPAddress(text)! }

  @Test func isSetShownAndUnset() throws {
    let bench = try bench()
    try bench.connect("lab", "a")
    let before = try bench.snapshot()
    #expect(refusal { _ = try bench.controlPlane.overlay(network: "lab") }?.code == .notFound)
    #expect(try bench.controlPlane.network("lab").overlay == nil)
    try bench.overlay("lab") {
      ($0.port, $0.ttl, $0.tos, $0.learning) = (8472, .inherit, .value(0x48), false)
    }
    try bench.peer("lab", "192.0.2.9", "198.51.100.7")
    let shown = try bench.controlPlane.overlay(network: "lab")
    #expect(shown.network == "lab" && shown.vni == 42 && shown.local == "192.0.2.1" && shown.port == 8472)
    #expect(shown.ttl == .inherit && shown.tos == .value(0x48) && !shown.learning && shown.ageingSeconds == 300)
    #expect(shown.peers == ["192.0.2.9", "198.51.100.7"] && shown.mtu == 1450)
    #expect(shown.state == "up" && shown.detail == nil && shown.interface == "eth0" && shown.notice == nil)
    #expect(try bench.controlPlane.network("lab").overlay == shown)
    #expect(try bench.controlPlane.overlays() == [shown])
    let carrier = LocalVTEP(address: ip("192.0.2.1"), port: 8472).carrier
    #expect(bench.host.state.carriers == [carrier: .init(local: ip("192.0.2.1"), port: 8472)])
    let remote = RemoteOptions(
      local: ip("192.0.2.1"), remote: ip("192.0.2.9"), port: 8472, vni: 42, timeToLive: nil, trafficClass: 0x48,
      learns: false)
    #expect(bench.dataPlane.remotes.first == remote)
    let peers = try bench.controlPlane.overlayPeers(network: "lab")
    #expect(peers.map(\.address) == shown.peers && Set(peers.map(\.counters.rxFrames)).count == 2)
    // Once more is no error, and changes nothing.
    let whole = try bench.snapshot()
    try bench.peer("lab", "192.0.2.9")
    try bench.overlay("lab") { ($0.port, $0.ttl, $0.tos, $0.learning) = (8472, .inherit, .value(0x48), false) }
    #expect(try bench.snapshot() == whole)
    try bench.controlPlane.removeOverlayPeer(network: "lab", address: "198.51.100.7")
    #expect(bench.dataPlane.remotes == [remote])
    let gone = refusal { try bench.controlPlane.removeOverlayPeer(network: "lab", address: "198.51.100.7") }
    #expect(gone?.code == .notFound && gone?.message.contains("overlay peer ls lab") == true)
    try bench.controlPlane.unsetOverlay(network: "lab")
    try bench.controlPlane.unsetOverlay(network: "lab")
    #expect(try bench.snapshot() == before)
  }

  /// FNV-1a of the address and the port, computed by another program, whose own answer for "foobar" is the draft's.
  @Test func aCarrierHasAlwaysTheSameName() {
    #expect(LocalVTEP(address: ip("192.0.2.1"), port: 4789).carrier == "mtvc13d464c786e")
    #expect(LocalVTEP(address: ip("192.0.2.1"), port: 8472).carrier == "mtv2e3d46d46c39")
    #expect(LocalVTEP(address: ip("2001:db8::1"), port: 4789).carrier == "mtv7d1704580c1f")
  }

  @Test func carriersAreShared() throws {
    let bench = try bench()
    for name in ["two", "three"] { try bench.network(name) }
    try bench.overlay("lab", vni: 1)
    try bench.overlay("two", vni: 2)
    try bench.overlay("three", vni: 1) { $0.local = "2001:db8::1" }
    #expect(bench.dataPlane.overlay.carriers.count == 2 && bench.host.state.carriers.count == 2)
    try bench.peer("lab", "192.0.2.9")
    try bench.peer("two", "192.0.2.9")
    #expect(Set(bench.dataPlane.overlay.remotes.values.map(\.carrier)).count == 1)
    #expect(Set(bench.dataPlane.overlay.remotes.values.map(\.network)).count == 2)
    try bench.controlPlane.removeNetwork("lab")
    #expect(bench.dataPlane.overlay.carriers.count == 2 && bench.dataPlane.remotes.map(\.vni) == [2])
    try bench.controlPlane.removeNetwork("two")
    #expect(bench.host.state.carriers.values.map(\.local) == [ip("2001:db8::1")])
    #expect(try bench.controlPlane.pruneNetworks() == ["three"])
    #expect(bench.dataPlane.overlay == .init() && bench.host.state.carriers.isEmpty)
    #expect(bench.host.heldDescriptors == 0)
  }

  // MARK: The driver

  @Test func theDriverTakesWhatIsFree() throws {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web")
    try bench.overlay("web", vni: 4097)
    for name in ["one", "two"] { try bench.network(name) { $0.driver = "overlay" } }
    let overlays = try bench.controlPlane.overlays()
    #expect(overlays.map(\.vni) == [4097, 4096, 4098])
    #expect(overlays.allSatisfy { $0.local == "192.0.2.1" && $0.port == 4789 && $0.ttl == .value(64) })
    let shown = try bench.controlPlane.network("one")
    #expect(shown.driver == "overlay" && shown.mtu == 1450 && shown.gatewayInterface != nil)
    #expect(bench.dataPlane.overlay.carriers.count == 1)
  }

  @Test func theDriverTakesOptions() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    try bench.network("lab") { request in
      request.driver = "overlay"
      request.options = [
        "vni": "16777215", "local": "2001:db8::1", "port": "8472", "ttl": "inherit", "tos": "8", "learning": "off",
        "inner-vlan": "off",
        "com.docker.network.driver.overlay.vxlanid_list": "16777215",
      ]
    }
    let shown = try #require(try bench.controlPlane.network("lab").overlay)
    #expect(shown.vni == 16_777_215 && shown.local == "2001:db8::1" && shown.port == 8472 && shown.ttl == .inherit)
    #expect(shown.tos == .value(8) && !shown.learning && !shown.innerVLAN && shown.mtu == 1430)
    try bench.network("docker") { request in
      (request.driver, request.options) = ("overlay", ["local": "192.0.2.1"])
      request.options?["com.docker.network.driver.overlay.vxlanid_list"] = "0"
    }
    #expect(try bench.controlPlane.network("docker").overlay?.vni == 0)
  }

  @Test(arguments: [(1500, "192.0.2.1", 1450), (1500, "2001:db8::1", 1430), (65_536, "192.0.2.1", 9000)])
  func theMTUFollowsFromTheInterface(mtu: Int, local: String, most: Int) throws {
    let bench = try Bench()
    bench.host.addInterface("eth0", index: 7) { interface in
      (interface.isUp, interface.mtu) = (true, mtu)
      interface.addresses = [IPPrefix("192.0.2.1/24")!, IPPrefix("2001:db8::1/64")!]
    }
    try bench.network("lab") { ($0.driver, $0.options) = ("overlay", ["local": local]) }
    #expect(try bench.controlPlane.network("lab").mtu == most)
    try bench.network("small") { ($0.driver, $0.options, $0.mtu) = ("overlay", ["local": local], 1400) }
    #expect(try bench.controlPlane.network("small").mtu == 1400)
    if most < Limits.mtu.upperBound {
      let error = refusal {
        try bench.network("big") { ($0.driver, $0.options, $0.mtu) = ("overlay", ["local": local], most + 1) }
      }
      #expect(error?.code == .invalid && error?.message.contains("by interface eth0 \(most) fits") == true)
      var change = NetworkChange()
      change.mtu = most + 1
      let larger = refusal { _ = try bench.controlPlane.changeNetwork("lab", change) }
      #expect(larger?.code == .conflict && larger?.message.contains("\(most) fits") == true)
    }
  }

  // MARK: Endpoints' interfaces

  /// At once, and for good: whoever wants it higher says so.
  @Test func anMTUThatDoesNotFitIsLowered() throws {
    let bench = try bench()
    try bench.network("web")
    try bench.connect("web", "a")
    let gateway = try #require(try bench.controlPlane.network("web").gatewayInterface)
    func settings() -> [LinkSettings?] {
      [bench.host.interface("eth0", in: "/named/a")?.settings, bench.host.interface(gateway, in: "/own")?.settings]
    }
    #expect(settings().map(\.?.mtu) == [1500, 1500] && settings().allSatisfy { $0?.segmentedFrameBytesMax == nil })
    let set = try bench.overlay("web")
    #expect(set.notice?.contains("lowered from 1500 to 1450") == true && set.mtu == 1450)
    #expect(try bench.controlPlane.network("web").mtu == 1450)
    #expect(settings().map(\.?.mtu) == [1450, 1450])
    #expect(settings().allSatisfy { $0?.segmentedFrameBytesMax == 65_000 })
    #expect(bench.dataPlane.state.networks.values.map(\.mtu).sorted() == [1450, 1450])
    try bench.sandbox("b")
    try bench.connect("web", "b") { $0.mtu = 1300 }
    #expect(
      bench.host.interface("eth0", in: "/named/b")?.settings?.segmentedFrameBytesMax
        == LinkSettings.segmentedFrameBytesInTunnel)
    try bench.controlPlane.unsetOverlay(network: "web")
    #expect(settings().map(\.?.mtu) == [1450, 1450])
    #expect(settings().allSatisfy { $0?.segmentedFrameBytesMax == nil })
    let own = bench.host.interface("eth0", in: "/named/b")?.settings
    #expect(own?.mtu == 1300 && own?.segmentedFrameBytesMax == nil)
  }

  @Test func anMTUThatIsInUseStays() throws {
    let bench = try bench()
    try bench.network("web")
    try bench.connect("web", "a") { $0.mtu = 1490 }
    let before = try bench.snapshot()
    let error = refusal { try bench.overlay("web") }
    #expect(error?.code == .conflict && error?.message.contains("was given MTU 1490") == true)
    #expect(try bench.snapshot() == before)
    bench.host.edit { $0.interfaces[1]!["eth0"]!.mtu = 1320 }
    try bench.network("six") { $0.ipv6 = true }
    #expect(refusal { try bench.overlay("six") }?.message.contains("at least 1280") == true)
    let made = refusal {
      try bench.network("new") { ($0.driver, $0.options, $0.ipv6) = ("overlay", ["local": "192.0.2.1"], true) }
    }
    #expect(made?.message.contains("MTU 1270 by eth0: IPv6 needs at least 1280") == true)
  }

  @Test func ageingIsTheNetworks() throws {
    let bench = try bench()
    #expect(try bench.overlay("lab") { $0.ageingSeconds = 60 }.ageingSeconds == 60)
    #expect(try bench.controlPlane.network("lab").ageingSeconds == 60)
    #expect(bench.dataPlane.state.networks.values.map(\.ageingSeconds) == [60])
    #expect(try bench.overlay("lab").ageingSeconds == 60)
  }

  // MARK: Changes

  @Test func aChangeKeepsPeersAndStaticEntries() throws {
    let bench = try bench()
    try bench.overlay("lab")
    try bench.peer("lab", "192.0.2.9")
    try bench.controlPlane.addForwardingEntry(
      network: "lab", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "vtep=192.0.2.9"))
    try bench.overlay("lab", vni: 43) { ($0.port, $0.ttl) = (8472, .value(9)) }
    #expect(bench.dataPlane.remotes.map(\.vni) == [43] && bench.dataPlane.remotes.map(\.timeToLive) == [9])
    #expect(bench.host.state.carriers.values.map(\.port) == [8472])
    let entries = try bench.controlPlane.forwardingEntries(network: "lab")
    #expect(entries.map(\.port) == [ForwardingPort(kind: "vtep", address: "192.0.2.9")])
    let error = refusal { try bench.overlay("lab") { $0.local = "2001:db8::1" } }
    #expect(error?.code == .invalid && error?.message.contains("peer 192.0.2.9 is no IPv6 address") == true)
  }

  @Test func staticEntriesGoWithTheirPeer() throws {
    let bench = try bench()
    try bench.overlay("lab")
    func add(_ port: String) throws(ControlError) {
      try bench.controlPlane.addForwardingEntry(
        network: "lab", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: port))
    }
    let unknown = refusal { try add("vtep=192.0.2.9") }
    #expect(unknown?.code == .notFound && unknown?.message.contains("martlet overlay peer add lab 192.0.2.9") == true)
    #expect(refusal { try add("vtep=nine") }?.message.contains("\"nine\" is no IP address") == true)
    try bench.peer("lab", "192.0.2.9", "192.0.2.10")
    try add("vtep=192.0.2.9")
    let entry = try #require(try bench.controlPlane.forwardingEntries(network: "lab").first)
    #expect(entry.static && entry.port == ForwardingPort(kind: "vtep", address: "192.0.2.9"))
    let ports = try bench.controlPlane.statistics(network: "lab").networks[0].ports.filter { $0.kind == "vtep" }
    #expect(ports.map(\.name) == ["192.0.2.9", "192.0.2.10"] && Set(ports.map(\.interface)).count == 1)
    try bench.controlPlane.flushForwardingEntries(network: "lab", port: "vtep=192.0.2.9")
    try bench.controlPlane.removeOverlayPeer(network: "lab", address: "192.0.2.9")
    #expect(try bench.controlPlane.forwardingEntries(network: "lab").isEmpty)
    try bench.peer("lab", "192.0.2.9")
    #expect(try bench.controlPlane.forwardingEntries(network: "lab").isEmpty)
    try add("vtep=192.0.2.9")
    try bench.controlPlane.unsetOverlay(network: "lab")
    try bench.restart()
    #expect(try bench.controlPlane.forwardingEntries(network: "lab").isEmpty)
  }

  @Test func peersAreLimited() throws {
    let bench = try bench()
    try bench.overlay("lab")
    try bench.restart {
      let store = try Store(directory: bench.directory)
      try store.database.write { database in
        for number in 0..<Limits.peersPerNetwork {
          try database.execute(
            sql: "INSERT INTO overlay_peers SELECT network_id, ? FROM overlays",
            arguments: ["10.1.\(number >> 8).\(number & 255)"])
        }
      }
    }
    let error = refusal { try bench.peer("lab", "10.2.0.0") }
    #expect(error?.code == .exhausted && error?.message.contains("1024 peers") == true)
    try bench.peer("lab", "10.1.0.0")
    #expect(bench.dataPlane.remotes.count == 1024)
  }

  @Test func aPublishedPortAndAnOverlayDoNotMeet() throws {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web")
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a") { $0.publish = ["4780-4790:80-90/udp"] }
    let taken = refusal { try bench.overlay("web") }
    #expect(taken?.code == .conflict && taken?.message.contains("port 4789/udp is published") == true)
    try bench.overlay("web") { $0.port = 61_000 }
    let published = refusal { try bench.publish(endpoint.id, "61000:53/udp") }
    #expect(published?.code == .conflict && published?.message.contains("overlay of network web") == true)
    try bench.publish(endpoint.id, "61000:53/tcp", "[2001:db8::1]:61000:53/udp")
    // Nor does a mapping of the uplink get it.
    try bench.controlPlane.unsetUplink()
    try bench.uplink()
    #expect(bench.dataPlane.routing.uplink?.ports == [61001...65535])
  }
}
