import Datapath
import Glibc
import SystemCalls
import Tables
import Wire

/// What a switch would do with a frame, or has done.
public struct TracedFrame: Sendable {
  /// In words; `{N}` is the port of index N.
  public var steps: [String]
  public var explanation: FrameExplanation
  /// As the network's policy leaves it, from the Ethernet header on.
  public var bytes: [UInt8]
}

// Asking why. A worker explains between two of its bursts, with a copy of the network's policy: nothing changes by it.
extension Switch {
  /// Bytes of a frame that can be asked about, from the Ethernet header on.
  public static let tracedFrameMax = FrameBuffers.stride - FrameBuffers.headroom - Engine.headerLength

  /// - Parameters:
  ///   - frame: from the Ethernet header on; at most `tracedFrameMax` bytes.
  ///   - program: makes a copy of the network's policy, on the worker; nil where it has none.
  ///   - sends: afterwards the frame goes its way as if it had come by the port.
  /// - Returns: nil where the worker had no buffer free for it.
  public func trace(
    _ frame: [UInt8], from port: PortHandle, program: (@Sendable () -> PolicyProgram)?, sends: Bool
  ) -> TracedFrame? {
    precondition(frame.count <= Self.tracedFrameMax)
    return ask(RouterHandOver.routingWorker) { $0.trace(frame, from: port.port, program: program, sends: sends) }
  }

  /// The last frames that went nowhere, the oldest first, with the port that each came in by. Of networks, as they are told to.
  public func lastDrops() -> [(drop: LoggedDrop, port: PortHandle, ageNanoseconds: UInt64)] {
    let now = Worker.nanoseconds()
    let drops = askAll { worker in
      worker.engine.lastDrops.map { drop in
        (drop, PortHandle(port: drop.port, serial: worker.transmitter.links[Int(drop.port)].serial))
      }
    }
    return drops.joined().map { ($0.0, $0.1, now &- min(now, $0.0.nanoseconds)) }.sorted {
      $0.ageNanoseconds > $1.ageNanoseconds
    }
  }
}

extension Worker {
  mutating func trace(
    _ frame: [UInt8], from port: UInt16, program: (@Sendable () -> PolicyProgram)?, sends: Bool
  ) -> TracedFrame? {
    guard let buffer = transmitter.buffers.takeOwn() else { return nil }
    defer { transmitter.buffers.release(buffer) }
    let length = Engine.headerLength + frame.count
    let descriptor = FrameDescriptor(
      start: transmitter.buffers.start(buffer), length: UInt32(length), port: port, buffer: buffer)
    func put() {
      memset(descriptor.start, 0, Engine.headerLength)
      frame.withUnsafeBytes {
        descriptor.start.advanced(by: Engine.headerLength).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
      }
    }
    put()
    engine.nanoseconds = Self.nanoseconds()
    let steps = TraceSteps()
    let trace = FrameTrace(context: Unmanaged.passUnretained(steps).toOpaque(), isDryRun: true) {
      context, text, length in
      let words = String(decoding: UnsafeBufferPointer(start: text, count: length), as: UTF8.self)
      Unmanaged<TraceSteps>.fromOpaque(context).takeUnretainedValue().words.append(words)
    }
    let explanation = engine.explain(descriptor, now: now, program: program?(), trace: trace)
    let left = UnsafeRawBufferPointer(start: descriptor.start + Engine.headerLength, count: frame.count)
    let traced = TracedFrame(steps: steps.words, explanation: explanation, bytes: Array(left))
    if sends {
      put()
      withUnsafePointer(to: descriptor) {
        engine.process(UnsafeBufferPointer(start: $0, count: 1), now: now, into: &transmitter)
      }
      transmitter.flush()
      _ = transmitter.uring.submit()
    }
    return traced
  }
}

private final class TraceSteps {
  var words: [String] = []
}
