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
  /// It came in by the port, and went nowhere; counted at the port.
  case dropped
  /// A copy was on its way out by the port, and did not leave; counted at the port. For who transmits to tell.
  case undelivered
}

/// Whom an engine tells of its frames. Thread: the engine's.
@frozen
public struct FrameTap: BitwiseCopyable {
  /// - Parameters:
  ///   - frame: a `FrameDescriptor`, valid during the call. Its buffer is `Engine.none` where it lies in none of the burst's.
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

/// Tells of each copy, mirrors it, and passes it on.
@usableFromInline
struct ObservedOutput<Output: FrameOutput & ~Copyable>: ~Copyable, FrameOutput {
  @usableFromInline let output: UnsafeMutablePointer<Output>
  @usableFromInline let tap: FrameTap?
  @usableFromInline let mirrors: MirrorTable
  @usableFromInline let ports: UnsafeMutablePointer<Port>
  @usableFromInline let portCounters: CounterHandle
  @usableFromInline let networkCounters: CounterHandle

  @inlinable static var isObserved: Bool { true }

  @usableFromInline
  init(_ output: UnsafeMutablePointer<Output>, of engine: borrowing Engine) {
    self.output = output
    (tap, mirrors, ports) = (engine.tap, engine.mirrors, engine.ports)
    (portCounters, networkCounters) = (engine.portCounters.handle, engine.networkCounters.handle)
  }

  @inlinable
  mutating func begin(_ frame: FrameDescriptor) {
    tap?.note(.received, frame, port: frame.port, network: ports[Int(frame.port)].network)
    mirrors.beginFrame()
    if !mirrors.isEmpty { mirror(frame, of: frame.port, isReceived: true) }
  }

  @inlinable
  mutating func end(_ frame: FrameDescriptor, _ reason: DropReason) {
    tap?.note(
      .dropped, frame, port: frame.port, network: ports[Int(frame.port)].network, reason: reason.rawValue)
  }

  @inlinable
  mutating func leave(_ frame: FrameDescriptor, _ port: UInt16) {
    tap?.note(.sent, frame, port: port, network: ports[Int(port)].network)
    guard !mirrors.isEmpty else { return }
    // An answer in the frame's place, or a frame of the switch's own: not the one that came in.
    if port == frame.port { mirrors.beginFrame() }
    mirror(frame, of: port, isReceived: false)
  }

  /// A copy to each port that mirrors this one and has none of this frame yet.
  @inlinable
  mutating func mirror(_ frame: FrameDescriptor, of port: UInt16, isReceived: Bool) {
    let network = ports[Int(port)].network
    guard Int(frame.length) >= Engine.headerLength + Engine.ethernetHeaderLength, network != Engine.none else { return }
    while let destination = mirrors.next(of: port, isReceived: isReceived, except: frame.port) {
      networkCounters.add(Int(network) &* NetworkCounter.count &+ NetworkCounter.floodedCopies.rawValue)
      guard mirrors.takeBudget() else {
        countDrop(.mirrorLimit, at: destination)
        continue
      }
      tap?.note(.sent, frame, port: destination, network: network)
      if !output.pointee.transmitMirrored(frame, to: destination) { countDrop(.queueFull, at: destination) }
    }
  }

  @inlinable
  func countDrop(_ reason: DropReason, at port: UInt16) {
    portCounters.add(Int(port) &* PortCounter.count &+ PortCounter.drops.rawValue &+ Int(reason.rawValue))
  }

  @inlinable
  mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
    leave(frame, port)
    output.pointee.transmit(frame, to: port, isOnlyCopy: isOnlyCopy)
  }

  @inlinable
  mutating func transmitRouted(_ frame: FrameDescriptor, to port: UInt16) {
    leave(frame, port)
    output.pointee.transmitRouted(frame, to: port)
  }

  @inlinable
  mutating func transmitCopy(of frame: FrameDescriptor, to port: UInt16) -> Bool {
    var copied = frame
    copied.buffer = Engine.none
    leave(copied, port)
    return output.pointee.transmitCopy(of: frame, to: port)
  }

  @inlinable
  mutating func transmitMirrored(_ frame: FrameDescriptor, to port: UInt16) -> Bool {
    output.pointee.transmitMirrored(frame, to: port)
  }

  @inlinable
  mutating func handToRouter(_ frame: FrameDescriptor) -> Bool { output.pointee.handToRouter(frame) }
}

extension Engine {
  /// From here on every frame is told of; nil: none is.
  public mutating func setTap(_ tap: FrameTap?) {
    self.tap = tap
    setObserved()
  }

  mutating func setObserved() { isObserved = tap != nil || !mirrors.isEmpty }

  @inlinable
  @inline(never)
  mutating func processObserved<Output: FrameOutput & ~Copyable>(
    _ burst: UnsafeBufferPointer<FrameDescriptor>, now: UInt32, into output: inout Output
  ) {
    mirrors.beginBurst()
    observing(&output) { engine, observed in
      for index in burst.indices {
        let frame = burst[index]
        engine.beginObserving(frame, into: &observed)
        engine.processBurst(UnsafeBufferPointer(rebasing: burst[index...index]), now: now, into: &observed)
        engine.endObserving(frame, into: &observed)
      }
    }
  }

  /// Runs `body` with an output that tells of what passes it.
  @inlinable
  mutating func observing<Output: FrameOutput & ~Copyable>(
    _ output: inout Output, _ body: (inout Engine, inout ObservedOutput<Output>) -> Void
  ) {
    withUnsafeMutablePointer(to: &output) {
      var observed = ObservedOutput($0, of: self)
      body(&self, &observed)
    }
  }

  @inlinable
  mutating func beginObserving<Output: FrameOutput & ~Copyable>(_ frame: FrameDescriptor, into output: inout Output) {
    lastDrop = nil
    output.begin(frame)
  }

  @inlinable
  mutating func endObserving<Output: FrameOutput & ~Copyable>(_ frame: FrameDescriptor, into output: inout Output) {
    guard let reason = lastDrop else { return }
    lastDrop = nil
    output.end(frame, reason)
  }
}
