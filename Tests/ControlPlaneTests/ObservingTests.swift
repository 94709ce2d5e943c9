import ControlModel
import Testing

@testable import ControlPlane

@Suite("Captures and mirrors")
struct ObservingTests {
  private static func bench() throws -> Bench {
    let bench = try Bench()
    try bench.network("lab")
    for name in ["a", "b"] {
      try bench.sandbox(name)
      try bench.connect("lab", name)
    }
    return bench
  }

  private static func mirrors(_ bench: Bench) -> Int { bench.dataPlane.state.observing.mirrors.count }

  @Test("captures are refused in a sentence, and leave nothing; so many run; they end with their network")
  func captures() throws {
    let bench = try Self.bench()
    for (request, reason) in [
      (CaptureRequest(port: "c"), "no port \"c\" on network lab, or it is down: there is gateway, a, b"),
      (CaptureRequest(filter: "icmp or"), "filter 'icmp or': "), (CaptureRequest(snaplen: 0), "snaplen 0: 1 to 65535"),
    ] {
      let error = #expect(throws: ControlError.self) { try bench.controlPlane.startCapture(network: "lab", request) }
      #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }
    #expect(bench.dataPlane.state.observing.captures == 0)
    var ids: [String] = []
    for _ in 0..<CaptureLimits.sessions {
      ids.append(
        try bench.controlPlane.startCapture(network: "lab", CaptureRequest(port: "gateway", filter: "icmp")).id)
    }
    #expect(throws: ControlError.self) { try bench.controlPlane.startCapture(network: "lab", CaptureRequest()) }
    #expect(try bench.controlPlane.capturedFrames(ids[0], waits: false) == CapturedFrames(frames: [], lost: 0))
    try bench.controlPlane.endCapture(ids[0])
    try bench.controlPlane.endCapture(ids[0])
    #expect(bench.dataPlane.state.observing.captures == CaptureLimits.sessions - 1)
    for name in ["a", "b"] { try bench.controlPlane.disconnect(network: "lab", sandbox: name) }
    try bench.controlPlane.removeNetwork("lab")
    #expect(bench.dataPlane.state.observing.captures == 0)
    #expect(throws: ControlError.self) { try bench.controlPlane.capturedFrames(ids[1], waits: true) }
  }

  @Test("a mirror is kept, changed, shown, restored, and removed by any of its ports' names")
  func mirrors() throws {
    let bench = try Self.bench()
    let added = try bench.controlPlane.addMirror(network: "lab", MirrorRequest(from: "a", to: "gateway"))
    #expect(added.from == "a" && added.to == "gateway" && added.direction == .both && added.state == "up")
    let changed = try bench.controlPlane.addMirror(
      network: "lab", MirrorRequest(from: "a", to: "gateway", direction: .in))
    #expect(changed.id == added.id && Array(bench.dataPlane.state.observing.mirrors.values) == [.in])
    for request in [MirrorRequest(from: "a", to: "a"), MirrorRequest(from: "a", to: "c")] {
      #expect(throws: ControlError.self) { try bench.controlPlane.addMirror(network: "lab", request) }
    }
    try bench.restart()
    #expect(try bench.controlPlane.mirrors(network: "lab") == [changed])
    #expect(Array(bench.dataPlane.state.observing.mirrors.values) == [.in])
    let id = try bench.controlPlane.network("lab").endpoints.first { $0.sandbox == "a" }!.id
    #expect(throws: ControlError.self) {
      try bench.controlPlane.removeMirror(network: "lab", from: "b", to: "gateway")
    }
    try bench.controlPlane.removeMirror(network: "lab", from: String(id.prefix(8)), to: "gateway")
    #expect(try bench.controlPlane.mirrors(network: nil).isEmpty && Self.mirrors(bench) == 0)
  }

  @Test("a mirror goes with either of its ports, and with its network")
  func goes() throws {
    let bench = try Self.bench()
    _ = try bench.controlPlane.addMirror(network: "lab", MirrorRequest(from: "a", to: "b"))
    _ = try bench.controlPlane.addMirror(network: "lab", MirrorRequest(from: "gateway", to: "b"))
    try bench.controlPlane.disconnect(network: "lab", sandbox: "a")
    #expect(try bench.controlPlane.mirrors(network: nil).map(\.from) == ["gateway"] && Self.mirrors(bench) == 1)
    try bench.controlPlane.disconnect(network: "lab", sandbox: "b")
    #expect(try bench.controlPlane.mirrors(network: nil).isEmpty && Self.mirrors(bench) == 0)
  }

  @Test("what the data plane refuses is not kept")
  func refused() throws {
    let bench = try Self.bench()
    bench.faults.arm(0)
    #expect(throws: ControlError.self) {
      try bench.controlPlane.addMirror(network: "lab", MirrorRequest(from: "a", to: "b"))
    }
    #expect(try bench.controlPlane.mirrors(network: nil).isEmpty)
  }
}
