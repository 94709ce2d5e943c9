import ControlModel
import ControlPlane
import LinuxIO

/// A capture that captures nothing.
private final class StandInCapture: DataPlaneCapture {
  let lost: UInt64 = 0
  func read(framesMax: Int, bytesMax: Int) -> [CapturedRecord] { [] }
}

extension StandInDataPlane {
  struct Observing: Equatable {
    var captures = 0
    var mirrors: [[DataPlanePort]: FrameDirection] = [:]
  }

  func startCapture(
    _ options: DataPlaneCaptureOptions, of network: DataPlaneNetwork
  ) throws(ControlError) -> any DataPlaneCapture {
    try step("startCapture") { state throws(ControlError) in state.observing.captures += 1 }
    return StandInCapture()
  }

  func endCapture(_ capture: any DataPlaneCapture) { edit { $0.observing.captures -= 1 } }

  func frameIndex(of port: DataPlanePort) -> UInt16? {
    state.network(of: port) == nil ? nil : UInt16(port.index)
  }

  func setMirror(
    from port: DataPlanePort, to destination: DataPlanePort, _ direction: FrameDirection
  ) throws(ControlError) {
    try step("setMirror") { state throws(ControlError) in state.observing.mirrors[[port, destination]] = direction }
  }

  func removeMirror(from port: DataPlanePort, to destination: DataPlanePort) {
    edit { $0.observing.mirrors[[port, destination]] = nil }
  }
}
