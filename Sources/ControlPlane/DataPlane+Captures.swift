import Captures
import ControlModel
import Datapath
import LinuxIO
import SystemCalls

/// Which frames the data plane captures.
public struct DataPlaneCaptureOptions: Sendable {
  /// nil: of all ports of the network.
  public var port: DataPlanePort?
  public var events: Set<FrameEvent>
  /// Bytes.
  public var snapLength: Int
  /// nil: all frames.
  public var filter: SharedCaptureFilter?
  public init(port: DataPlanePort?, events: Set<FrameEvent>, snapLength: Int, filter: SharedCaptureFilter?) {
    (self.port, self.events, self.snapLength, self.filter) = (port, events, snapLength, filter)
  }
}

/// A capture that runs. Any thread may read it.
public protocol DataPlaneCapture: AnyObject, Sendable {
  /// Frames that it was too slow for, since its begin.
  var lost: UInt64 { get }
  /// What there is, the oldest first. Never waits.
  func read(framesMax: Int, bytesMax: Int) -> [CapturedRecord]
}

/// What the control plane tells the data plane of captures and mirrors.
public protocol ObservingPlane: Sendable {
  func startCapture(
    _ options: DataPlaneCaptureOptions, of network: DataPlaneNetwork
  ) throws(ControlError) -> any DataPlaneCapture
  /// Once.
  func endCapture(_ capture: any DataPlaneCapture)
  /// By which frames of a capture name the port; nil: it is gone.
  func frameIndex(of port: DataPlanePort) -> UInt16?

  /// Between two ports of one network. In place of the one that is there; goes with either of them.
  func setMirror(
    from port: DataPlanePort, to destination: DataPlanePort, _ direction: FrameDirection
  ) throws(ControlError)
  /// Once more is no error.
  func removeMirror(from port: DataPlanePort, to destination: DataPlanePort)
}

extension FrameCapture: DataPlaneCapture {}

extension SwitchDataPlane {
  public func startCapture(
    _ options: DataPlaneCaptureOptions, of network: DataPlaneNetwork
  ) throws(ControlError) -> any DataPlaneCapture {
    let network = try handle(network)
    let match = options.filter.map {
      FrameMatch(SharedCaptureFilter.function, program: $0.program, owner: $0)
    }
    let port: PortHandle? = if let port = options.port { try handle(port) } else { nil }
    let translated = CaptureOptions(
      port: port, events: options.events, snapLength: options.snapLength, match: match)
    do throws(Errno) {
      return try fabric.startCapture(translated, of: network)
    } catch {
      throw ControlError(.exhausted, "\(error)")
    }
  }

  public func endCapture(_ capture: any DataPlaneCapture) {
    if let capture = capture as? FrameCapture { fabric.endCapture(capture) }
  }

  public func frameIndex(of port: DataPlanePort) -> UInt16? { (try? handle(port))?.index }

  public func setMirror(
    from port: DataPlanePort, to destination: DataPlanePort, _ direction: FrameDirection
  ) throws(ControlError) {
    let (from, to) = (try handle(port), try handle(destination))
    do throws(Errno) {
      try fabric.setMirror(from: from, to: to, received: direction != .out, sent: direction != .in)
    } catch {
      throw ControlError(.exhausted, "\(error)")
    }
  }

  public func removeMirror(from port: DataPlanePort, to destination: DataPlanePort) {
    guard let from = try? handle(port), let to = try? handle(destination) else { return }
    fabric.removeMirror(from: from, to: to)
  }
}
