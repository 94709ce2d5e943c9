import ControlModel
import Testing
import Wire

@testable import ControlPlane

/// Every step that a change asks of the kernel and of the data plane fails in turn, and leaves nothing behind.
@Suite struct RollbackTests {
  /// Runs `change` with its first step failing, then the second, until it succeeds. The names of the steps that failed.
  /// `tolerated` are steps behind the point at which the change is made: their failure is logged.
  private func failEachStep(
    _ bench: Bench, tolerated: Set<String> = [], _ change: () throws -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String] {
    // A roll-back may put a port back under a new number.
    func look() throws -> Bench.Snapshot {
      var snapshot = try bench.snapshot()
      (snapshot.ports, snapshot.routing.uplinkPort) = ([:], nil)
      snapshot.routing.forgetNumbers()
      return snapshot
    }
    let before = try look()
    var failed: [String] = []
    while true {
      bench.faults.arm(failed.count)
      do {
        try change()
        let ignored = bench.faults.failed
        bench.faults.arm(nil)
        #expect(ignored == nil || tolerated.contains(ignored!), sourceLocation: sourceLocation)
        #expect(try look() != before, sourceLocation: sourceLocation)
        return failed
      } catch {
        let step = try #require(bench.faults.failed, "\(error)", sourceLocation: sourceLocation)
        bench.faults.arm(nil)
        failed.append(step)
        #expect(try look() == before, "after \(step), step \(failed.count)", sourceLocation: sourceLocation)
      }
    }
  }

  @Test func networkCreate() throws {
    let bench = try Bench()
    let steps = try failEachStep(bench) { try bench.network("web") { ($0.ipv6, $0.internal) = (true, true) } }
    for step in ["addNetwork", "attachTAP", "addPort", "configure", "raiseBarrier", "setUp", "addAddress"] {
      #expect(steps.contains(step))
    }
  }

  @Test func sandboxCreate() throws {
    let bench = try Bench()
    #expect(try failEachStep(bench) { try bench.sandbox("a") } == ["namespace", "makeNamespace"])
  }

  @Test(arguments: ["a", "/proc/77/ns/net", "/named/adopted"]) func connect(sandbox: String) throws {
    let bench = try Bench()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    _ = bench.host.addNamespace("/proc/77/ns/net")
    _ = bench.host.addNamespace("/named/adopted")
    let steps = try failEachStep(bench, tolerated: ["inject"]) {
      var request = ConnectRequest(sandbox: sandbox)
      request.routes = [RouteRequest(destination: "10.9.0.0/16")]
      _ = try bench.controlPlane.connect(network: "web", request)
    }
    let expected = [
      "namespace", "links", "makeTAP", "addPort", "setUp", "addAddress", "hasDefaultRoute", "addDefaultRoute",
      "addRoute", "writeNameServers",
    ]
    for step in expected { #expect(steps.contains(step)) }
    #expect(try bench.controlPlane.endpoints().map(\.state) == ["up"])
  }

  @Test func portAttach() throws {
    let bench = try Bench()
    try bench.network("web")
    bench.host.addInterface("veth0", index: 7)
    let steps = try failEachStep(bench) { try bench.attach("web", "veth0") }
    #expect(steps == ["links", "offloads", "setUp", "openPacketSocket", "addPort", "links"])
  }

  @Test func uplinkSet() throws {
    let bench = try Bench()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    bench.host.addUplink("eth1", index: 8, "198.51.100.1/24")
    bench.host.editUplink { $0.routes = [HostRoute(.unicast, IPPrefix("192.0.2.0/24")!, link: 7)] }
    let steps = try failEachStep(bench) { try bench.uplink("eth0") }
    let expected = [
      "links", "hostAddresses", "localPortRange", "offloads", "uplinkClaims", "openUplink", "setUplinkAddress",
      "raiseUplink", "setGateway", "setUplinkSubnets", "hostRoutes", "setRoutes",
    ]
    for step in expected { #expect(steps.contains(step), "\(step)") }
    try bench.connect("web", "a") { $0.publish = ["8080:80", "192.0.2.1:8081:80"] }
    let changed = try failEachStep(bench) {
      try bench.uplink("eth0") { ($0.addresses, $0.ipv6NAT) = (["2001:db8::1"], true) }
    }
    for step in ["changeUplink", "setUplinkAddress", "setGateway", "unpublish"] { #expect(changed.contains(step)) }
    let moved = try failEachStep(bench) { try bench.uplink("eth1") }
    for step in ["lowerUplink", "closeUplink", "openUplink", "raiseUplink", "publish"] { #expect(moved.contains(step)) }
    let unset = try failEachStep(bench) { try bench.controlPlane.unsetUplink() }
    for step in ["lowerUplink", "closeUplink", "setGateway", "setRoutes"] { #expect(unset.contains(step)) }
  }

  @Test func publish() throws {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    try bench.sandbox("b")
    let endpoint = try bench.connect("web", "a")
    let steps = try failEachStep(bench) { try bench.publish(endpoint.id, "8080:80", "9000-9010:90-100/udp", "81") }
    for step in ["hold", "publish", "localPortRange"] { #expect(steps.contains(step)) }
    let connected = try failEachStep(bench, tolerated: ["inject"]) {
      try bench.connect("web", "b") { $0.publish = ["8081:80", "82"] }
    }
    for step in ["addHost", "hold", "publish"] { #expect(connected.contains(step)) }
  }

  /// As other removals: what a step's failure leaves, the next try finds.
  @Test func unpublish() throws {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web") { $0.ipv6 = true }
    try bench.sandbox("a")
    let endpoint = try bench.connect("web", "a")
    let before = try bench.snapshot()
    var failures = 0
    for number in 0... {
      try bench.publish(endpoint.id, "8080:80", "9000-9010:90-100/udp")
      bench.faults.arm(number)
      do {
        try bench.unpublish(endpoint.id, "8080:80", "90-100/udp")
      } catch {
        failures += 1
        bench.faults.arm(nil)
        #expect(try bench.controlPlane.publications().contains { $0.published.detail?.contains("again") == true })
        try bench.unpublish(endpoint.id, "8080:80", "90-100/udp")
      }
      let isOver = bench.faults.failed == nil && failures <= number
      bench.faults.arm(nil)
      #expect(try bench.snapshot() == before, "step \(number)")
      if isOver { break }
    }
    #expect(failures == 8)
  }

  @Test(arguments: ["macvlan", "ipvlan"]) func networkOnTheLAN(driver: String) throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24")
    for name in ["a", "b"] { try bench.sandbox(name) }
    let created = try failEachStep(bench) {
      try bench.network("lan") { request in
        (request.driver, request.options) = (driver, ["parent": "eth0"])
        request.subnets = ["192.0.2.0/24", "2001:db8::/64"]
      }
    }
    for step in ["addNetwork", "openParent", "addPort"] { #expect(created.contains(step)) }
    try bench.connect("lan", "a")
    let connected = try failEachStep(bench, tolerated: ["inject"]) { try bench.connect("lan", "b") }
    let told = driver == "macvlan" ? ["addForwardingEntry"] : ["setAddresses", "setLinkLocal"]
    for step in told + ["setParentEndpoints"] { #expect(connected.contains(step)) }
  }

  @Test func overlay() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 7, "192.0.2.1/24", "2001:db8::1/64")
    let created = try failEachStep(bench) {
      try bench.network("lab") { ($0.driver, $0.options) = ("overlay", ["local": "192.0.2.1"]) }
    }
    for step in ["underlay", "addNetwork", "raiseCarrier", "addCarrier"] { #expect(created.contains(step)) }
    try bench.network("web")
    for name in ["a", "b"] {
      try bench.sandbox(name)
      try bench.connect("web", name)
    }
    let set = try failEachStep(bench) { try bench.overlay("web") { $0.port = 8472 } }
    for step in ["configure", "changeNetwork", "raiseCarrier", "addCarrier"] { #expect(set.contains(step)) }
    #expect(set.count { $0 == "configure" } == 3)
    let peer = try failEachStep(bench) { try bench.peer("web", "192.0.2.9") }
    #expect(peer == ["underlay", "addRemote"])
    try bench.controlPlane.addForwardingEntry(
      network: "web", ForwardingEntryRequest(mac: "02:00:00:00:00:01", port: "vtep=192.0.2.9"))
    try bench.peer("web", "192.0.2.10")
    let moved = try failEachStep(bench) { try bench.overlay("web", vni: 7) { $0.port = 8473 } }
    for step in ["removePort", "lowerCarrier", "raiseCarrier", "addRemote", "addForwardingEntry"] {
      #expect(moved.contains(step))
    }
    let removed = try failEachStep(bench) {
      try bench.controlPlane.removeOverlayPeer(network: "web", address: "192.0.2.10")
    }
    #expect(removed == ["underlay", "removePort"])
    let unset = try failEachStep(bench) { try bench.controlPlane.unsetOverlay(network: "web") }
    for step in ["removePort", "lowerCarrier", "configure"] { #expect(unset.contains(step)) }
  }

  @Test func service() throws {
    let bench = try Bench()
    try bench.uplink()
    try bench.network("web") { $0.ipv6 = true }
    for name in ["a", "b"] {
      try bench.sandbox(name)
      try bench.connect("web", name)
    }
    let before = try bench.snapshot()
    func make() throws { try bench.service("front", "web", ["a"]) { $0.published = ["8080:80", "53/udp"] } }
    let made = try failEachStep(bench) { try make() }
    for step in ["setOwnAddress", "setGateway", "addService", "hold", "publish", "setNeighbour"] {
      #expect(made.contains(step), "\(step)")
    }
    var change = ServiceChange()
    (change.addedEndpoints, change.mode) = (["b"], "host")
    let changed = try failEachStep(bench) { _ = try bench.controlPlane.changeService("front", change) }
    for step in ["unpublish", "changeService", "addService", "publish"] { #expect(changed.contains(step), "\(step)") }
    // As other removals: what a step's failure leaves, the next try finds.
    var failures = 0
    for number in 0... {
      bench.faults.arm(number)
      do {
        try bench.controlPlane.removeService("front")
      } catch {
        failures += 1
        bench.faults.arm(nil)
        #expect(try bench.controlPlane.service("front").detail?.contains("again") == true)
        try bench.controlPlane.removeService("front")
      }
      let isOver = bench.faults.failed == nil && failures <= number
      bench.faults.arm(nil)
      #expect(try bench.snapshot() == before, "step \(number)")
      if isOver { break }
      try make()
    }
    #expect(failures > 10)
  }

  @Test func sessionSettings() throws {
    let bench = try Bench()
    var change = SessionTimeoutsChange()
    change.udp = 200
    #expect(try failEachStep(bench) { _ = try bench.controlPlane.changeSessionTimeouts(change) } == ["setTimeouts"])
    let translation = TranslationChange(filtering: "endpoint-independent")
    #expect(try failEachStep(bench) { _ = try bench.controlPlane.changeTranslation(translation) } == ["setTranslation"])
  }

  @Test func networkSet() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    for (mtu, mode) in [(1400, "isolated"), (1500, "nat")] {
      var change = NetworkChange()
      (change.mtu, change.gatewayMode) = (mtu, mode)
      let steps = try failEachStep(bench, tolerated: ["namespace"]) {
        _ = try bench.controlPlane.changeNetwork("web", change)
      }
      #expect(steps.contains("changeNetwork") && steps.contains("configure"))
    }
  }

  /// A removal that fails half-way keeps the record, and the next try finds the rest.
  @Test func removalsAreTakenUpAgain() throws {
    let bench = try Bench()
    bench.host.addUplink("eth0", index: 8, "192.0.2.1/24")
    let empty = try bench.snapshot()
    var number = 0
    var failures = 0
    while true {
      try bench.network("web")
      try bench.sandbox("a")
      try bench.connect("web", "a")
      bench.host.addInterface("veth0", index: 7)
      try bench.attach("web", "veth0")
      try bench.overlay("web")
      try bench.peer("web", "192.0.2.9")
      let removals: [() throws -> Void] = [
        { try bench.controlPlane.detachPort(network: "web", interface: "veth0") },
        { bench.host.deleteInterface("veth0") },
        { try bench.controlPlane.disconnect(network: "web", sandbox: "a") },
        { try bench.controlPlane.removeSandbox("a") }, { try bench.controlPlane.removeNetwork("web") },
      ]
      bench.faults.arm(number)
      for remove in removals {
        do {
          try remove()
        } catch {
          failures += 1
          try remove()
        }
      }
      guard bench.faults.failed != nil else { break }
      bench.faults.arm(nil)
      // A default route or a neighbour that could not be refreshed is logged, and no reason to keep the endpoint.
      #expect(try bench.snapshot() == empty, "step \(number)")
      number += 1
    }
    #expect(failures > 5)
  }
}
