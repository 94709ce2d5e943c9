import ControlModel
import Testing

@testable import ControlPlane

@Suite struct SandboxTests {
  @Test func makesAndRemoves() throws {
    let bench = try Bench()
    let before = try bench.snapshot()
    let id = try bench.sandbox("a")
    let sandbox = try bench.controlPlane.sandbox("a")
    #expect(sandbox.id == id && sandbox.netns == "/named/a" && sandbox.origin == "made")
    #expect(sandbox.inode == bench.host.state.namespaces["/named/a"])
    #expect(try bench.controlPlane.sandbox("/named/a").id == id)
    try bench.controlPlane.removeSandbox("a")
    #expect(try bench.snapshot() == before)
  }

  @Test func adoptedNamespacesStay() throws {
    let bench = try Bench()
    _ = bench.host.addNamespace("/proc/7/ns/net")
    let before = try bench.snapshot()
    try bench.sandbox("a", netns: "/proc/7/ns/net")
    #expect(refusal { try bench.sandbox("b", netns: "/proc/7/ns/net") }?.code == .conflict)
    try bench.controlPlane.removeSandbox("a")
    #expect(try bench.snapshot() == before)
  }

  @Test func aSharedNamespaceGoesWithItsLastSandbox() throws {
    let bench = try Bench()
    try bench.network("web")
    let before = try bench.snapshot()
    try bench.sandbox("a")
    try bench.sandbox("b", share: "a")
    try bench.sandbox("c", share: "b")
    try bench.connect("web", "a")
    let (a, b) = (try bench.controlPlane.sandbox("a"), try bench.controlPlane.sandbox("b"))
    #expect(a.inode == b.inode && b.sharedWith == ["a", "c"] && b.origin == "shared" && b.dns == a.dns)
    try bench.controlPlane.disconnect(network: "web", sandbox: "a")
    try bench.controlPlane.removeSandbox("a")
    #expect(bench.host.state.namespaces["/named/a"] != nil)
    #expect(refusal { try bench.sandbox("a") }?.message.contains("sandbox b") == true)
    try bench.connect("web", "b")
    try bench.controlPlane.disconnect(network: "web", sandbox: "b")
    try bench.controlPlane.removeSandbox("b")
    try bench.controlPlane.removeSandbox("c")
    #expect(try bench.snapshot() == before)
  }

  @Test func aConnectedSandboxStays() throws {
    let bench = try Bench()
    try bench.network("web")
    try bench.sandbox("a")
    try bench.connect("web", "a")
    let error = refusal { try bench.controlPlane.removeSandbox("a") }
    #expect(error?.code == .conflict && error?.message.contains("network web") == true)
  }

  @Test func aNamespaceThatTookItsPlaceIsNotOurs() throws {
    let bench = try Bench()
    try bench.sandbox("a")
    let other = bench.host.addNamespace("/named/a")
    #expect(try bench.controlPlane.sandbox("a").inode == 0)
    try bench.network("web")
    #expect(refusal { try bench.connect("web", "a") }?.message.contains("martlet sandbox rm a") == true)
    try bench.controlPlane.removeSandbox("a")
    #expect(bench.host.state.namespaces["/named/a"] == other)
  }
}
