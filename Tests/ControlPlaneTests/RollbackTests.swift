import ControlModel
import Testing

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
      snapshot.ports = [:]
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
    for step in ["addNetwork", "attachTAP", "setAlias", "addPort", "configure", "raiseBarrier", "setUp", "addAddress"] {
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
      _ = try bench.controlPlane.connect(network: "web", ConnectRequest(sandbox: sandbox))
    }
    let expected = [
      "namespace", "links", "attachTAP", "setAlias", "addPort", "configure", "move", "setUp", "addAddress",
      "hasDefaultRoute", "addDefaultRoute", "writeNameServers",
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
    let empty = try bench.snapshot()
    var number = 0
    var failures = 0
    while true {
      try bench.network("web")
      try bench.sandbox("a")
      try bench.connect("web", "a")
      bench.host.addInterface("veth0", index: 7)
      try bench.attach("web", "veth0")
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
