import Tables
import Wire

// Theory of operation.
//
// Who captures or mirrors frames sees each as it comes in, each copy as it leaves, and each that is dropped. The engine that is watched
// runs the same code over the same frames, one at a time, with an output that tells of each copy before it passes it on; that it is
// watched is asked once a burst. So nothing is paid for when nobody watches.

/// What happened to a frame that is watched.
@frozen
public enum FrameEvent: UInt8, Sendable {
  /// It came in by the port.
  case received
  /// A copy is on its way out by the port.
  case sent
  /// It went nowhere; counted at the port.
  case dropped
}

/// Whom an engine tells of its frames. Thread: the engine's.
@frozen
public struct FrameTap: BitwiseCopyable {
  /// - Parameters:
  ///   - frame: a `FrameDescriptor`, valid during the call.
  ///   - network: `Engine.none` for a frame of none.
  ///   - reason: of a drop, a `DropReason`.
  public typealias Note =
    @convention(c) (
      _ context: UnsafeMutableRawPointer, _ event: UInt8, _ frame: UnsafeRawPointer, _ port: UInt16, _ network: UInt16,
      _ reason: UInt8
    ) -> Void

  @usableFromInline let context: UnsafeMutableRawPointer
  @usableFromInline let noteEvent: Note

  public init(context: UnsafeMutableRawPointer, note: Note) { (self.context, noteEvent) = (context, note) }

  @usableFromInline
  func note(_ event: FrameEvent, _ frame: FrameDescriptor, port: UInt16, network: UInt16, reason: UInt8 = 0) {
    var frame = frame
    noteEvent(context, event.rawValue, &frame, port, network, reason)
  }
}

/// Tells of each copy, and passes it on.
@usableFromInline
struct ObservedOutput<Output: FrameOutput & ~Copyable>: ~Copyable, FrameOutput {
  @usableFromInline let output: UnsafeMutablePointer<Output>
  @usableFromInline let tap: FrameTap
  @usableFromInline let ports: UnsafeMutablePointer<Port>

  @inlinable
  init(_ output: UnsafeMutablePointer<Output>, _ tap: FrameTap, _ ports: UnsafeMutablePointer<Port>) {
    (self.output, self.tap, self.ports) = (output, tap, ports)
  }

  @inlinable
  func note(_ frame: FrameDescriptor, _ port: UInt16) {
    tap.note(.sent, frame, port: port, network: ports[Int(port)].network)
  }

  @inlinable
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
    note(frame, port)
    output.pointee.transmit(frame, to: port, isOnlyCopy: isOnlyCopy)
  }

  @inlinable
  mutating func transmitRouted(_ frame: FrameDescriptor, to port: UInt16) {
    note(frame, port)
    output.pointee.transmitRouted(frame, to: port)
  }

  @inlinable
  mutating func transmitCopy(of frame: FrameDescriptor, to port: UInt16) -> Bool {
    note(frame, port)
    return output.pointee.transmitCopy(of: frame, to: port)
  }

  @inlinable
  mutating func handToRouter(_ frame: FrameDescriptor) -> Bool { output.pointee.handToRouter(frame) }
}

extension Engine {
  /// From here on every frame is told of; nil: none is.
  public mutating func setTap(_ tap: FrameTap?) { self.tap = tap }

  @inlinable
  @inline(never)
  mutating func processObserved<Output: FrameOutput & ~Copyable>(
    _ burst: UnsafeBufferPointer<FrameDescriptor>, _ tap: FrameTap, now: UInt32, into output: inout Output
  ) {
    let ports = ports
    withUnsafeMutablePointer(to: &output) {
      var observed = ObservedOutput($0, tap, ports)
      for index in burst.indices {
        let frame = burst[index]
        beginObserving(frame, tap)
        processBurst(UnsafeBufferPointer(rebasing: burst[index...index]), now: now, into: &observed)
        endObserving(frame, tap)
      }
    }
  }

  @usableFromInline
  mutating func beginObserving(_ frame: FrameDescriptor, _ tap: FrameTap) {
    tap.note(.received, frame, port: frame.port, network: ports[Int(frame.port)].network)
    lastDrop = nil
  }

  @usableFromInline
  mutating func endObserving(_ frame: FrameDescriptor, _ tap: FrameTap) {
    guard let lastDrop else { return }
    tap.note(
      .dropped, frame, port: frame.port, network: ports[Int(frame.port)].network, reason: lastDrop.rawValue)
  }
}
