import ControlModel
import Datapath
import FoundationEssentials
import Glibc
import LinuxIO

extension ControlPlane {
  /// How often a capture is looked at while somebody waits for its frames.
  private static let captureIntervalMicroseconds: UInt32 = 5000

  public func startCapture(network: String, _ request: CaptureRequest) throws(ControlError) -> Created {
    try locked { controller throws(ControlError) in try controller.startCapture(network: network, request) }
  }

  public func endCapture(_ id: String) throws(ControlError) {
    try locked { controller throws(ControlError) in controller.endCapture(id) }
  }

  /// Waits without the lock.
  public func capturedFrames(_ id: String, waits: Bool) throws(ControlError) -> CapturedFrames {
    let capture = try locked { controller throws(ControlError) in try controller.runningCapture(id).capture }
    let end = ContinuousClock.now + .milliseconds(waits ? CaptureLimits.waitMilliseconds : 0)
    while true {
      let records = capture.read(framesMax: CaptureLimits.framesPerAnswer, bytesMax: CaptureLimits.bytesPerAnswer)
      if !records.isEmpty || end <= .now {
        // Behind the frames: a port may have come with them.
        let names = try locked { controller throws(ControlError) in try controller.runningCapture(id).names }
        let offset = Self.wallClockOffset
        return CapturedFrames(
          frames: records.map { SwitchedFrame($0, names: names, offset: offset) }, lost: capture.lost)
      }
      usleep(Self.captureIntervalMicroseconds)
    }
  }

  /// Nanoseconds from the monotonic clock to the time of day.
  private static var wallClockOffset: UInt64 {
    var (monotonic, real) = (timespec(), timespec())
    clock_gettime(CLOCK_MONOTONIC, &monotonic)
    clock_gettime(CLOCK_REALTIME, &real)
    func nanoseconds(_ time: timespec) -> UInt64 { UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec) }
    return nanoseconds(real) &- nanoseconds(monotonic)
  }

  // MARK: Mirrors

  public func addMirror(network: String, _ request: MirrorRequest) throws(ControlError) -> PortMirror {
    try locked { controller throws(ControlError) in try controller.addMirror(network: network, request) }
  }

  public func mirrors(network: String?) throws(ControlError) -> [PortMirror] {
    try locked { controller throws(ControlError) in try controller.mirrors(network: network) }
  }

  public func removeMirror(network: String, from: String, to: String) throws(ControlError) {
    try locked { controller throws(ControlError) in
      try controller.removeMirror(network: network, from: from, to: to)
    }
  }
}

extension SwitchedFrame {
  fileprivate init(_ record: CapturedRecord, names: [UInt16: String], offset: UInt64) {
    let fate: FrameFate =
      switch record.event {
      case .received: .in
      case .sent: .out
      case .dropped: .drop
      case .undelivered: .dropOut
      }
    self.init(
      time: record.nanoseconds &+ offset, event: fate, port: names[record.port] ?? "port \(record.port)",
      reason: record.reason?.name, length: record.originalLength, bytes: Data(record.bytes))
  }
}
