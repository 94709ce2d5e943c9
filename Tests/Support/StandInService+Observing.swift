import ControlModel
import FoundationEssentials

extension StandInService {
  package func startCapture(network: String, _ request: CaptureRequest) throws(ControlError) -> Created {
    try note(.startCapture(network, request))
    return Created(id: Sample.captureID)
  }
  package func capturedFrames(_ id: String, waits: Bool) throws(ControlError) -> CapturedFrames {
    try note(.capturedFrames(id, waits))
    return CapturedFrames(frames: Sample.switchedFrames, lost: 3)
  }
  package func endCapture(_ id: String) throws(ControlError) { try note(.endCapture(id)) }
  package func addMirror(network: String, _ request: MirrorRequest) throws(ControlError) -> PortMirror {
    try note(.addMirror(network, request))
    return Sample.mirror
  }
  package func mirrors(network: String?) throws(ControlError) -> [PortMirror] {
    try note(.mirrors(network))
    return [Sample.mirror]
  }
  package func removeMirror(network: String, from: String, to: String) throws(ControlError) {
    try note(.removeMirror(network, from, to))
  }
}

extension Sample {
  package static let captureID = "ca" + String(repeating: "0", count: 62)
  /// An echo request without its payload (RFC 792), and a frame that is dropped.
  package static let switchedFrames = [
    SwitchedFrame(
      time: 1_795_816_800_000_001_000, event: .in, port: "a", length: 98,
      bytes: Data([
        0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 2,
        10, 0, 0, 3, 8, 0, 0, 0,
      ])),
    SwitchedFrame(
      time: 1_795_816_800_000_002_000, event: .drop, port: "a", reason: "oversize", length: 9000,
      bytes: Data([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x88, 0xB5])),
  ]
  package static let mirror = PortMirror(
    id: "51" + String(repeating: "0", count: 62), network: "lab", from: "a", to: "b", direction: .both, state: "up")
}
