import Datapath
import Glibc
import Synchronization
import SystemCalls

/// A filter that others made, and that workers run over frames: no allocation, no lock, a bounded number of steps.
public struct FrameMatch: @unchecked Sendable {
  /// - Parameters:
  ///   - bytes: from the Ethernet header on.
  ///   - originalLength: of the whole frame.
  public typealias Function =
    @convention(c) (
      _ program: UnsafeRawPointer, _ bytes: UnsafeRawPointer, _ length: UInt32, _ originalLength: UInt32
    ) -> Bool

  let function: Function
  let program: UnsafeRawPointer
  /// Keeps the program alive.
  private let owner: any AnyObject & Sendable

  public init(_ function: Function, program: UnsafeRawPointer, owner: any AnyObject & Sendable) {
    (self.function, self.program, self.owner) = (function, program, owner)
  }
}

/// Which frames of a network are captured, and how much of each.
public struct CaptureOptions: Sendable {
  /// nil: of all ports of the network.
  public var port: PortHandle?
  public var events: Set<FrameEvent>
  /// Bytes kept of each frame.
  public var snapLength: Int
  /// nil: all.
  public var match: FrameMatch?

  public init(
    port: PortHandle? = nil, events: Set<FrameEvent> = [.received, .sent, .dropped, .undelivered],
    snapLength: Int = Int(UInt16.max), match: FrameMatch? = nil
  ) {
    (self.port, self.events, self.snapLength, self.match) = (port, events, snapLength, match)
  }
}

/// A frame as it was when a worker told of it.
public struct CapturedRecord: Sendable {
  /// CLOCK_MONOTONIC.
  public var nanoseconds: UInt64
  public var event: FrameEvent
  /// Of a drop.
  public var reason: DropReason?
  /// By which engines know it.
  public var port: UInt16
  /// Bytes, from the Ethernet header on.
  public var originalLength: Int
  public var bytes: [UInt8]
}

/// A capture that runs on all workers. Threads: any may read it; they take turns.
public final class FrameCapture: Sendable {
  let options: CaptureOptions
  let network: UInt16
  let serial: Int
  /// One for each worker.
  let rings: [CaptureRing]
  private let readers = Mutex(())

  init(_ options: CaptureOptions, network: UInt16, serial: Int, workers: Int) throws(Errno) {
    (self.options, self.network, self.serial) = (options, network, serial)
    var rings: [CaptureRing] = []
    for _ in 0..<workers {
      guard let ring = CaptureRing() else {
        for ring in rings { ring.deallocate() }
        throw Errno(ENOMEM, "find \(workers * CaptureRing.byteCount) bytes for a capture")
      }
      rings.append(ring)
    }
    self.rings = rings
  }

  deinit { for ring in rings { ring.deallocate() } }

  /// Frames that found no room, since the capture began: it was not read fast enough.
  public var lost: UInt64 { rings.reduce(0) { $0 + $1.lost } }

  /// What there is, the oldest first; never waits.
  /// - Parameters:
  ///   - framesMax: frames at most.
  ///   - bytesMax: bytes of all together at most, but one frame in any case.
  public func read(framesMax: Int, bytesMax: Int) -> [CapturedRecord] {
    readers.withLock { _ in
      var records: [CapturedRecord] = []
      var bytes = 0
      while records.count < framesMax && bytes < bytesMax, let record = takeOldest() {
        bytes += record.bytes.count
        records.append(record)
      }
      return records
    }
  }

  /// Each ring is in order of time.
  private func takeOldest() -> CapturedRecord? {
    var oldest: (ring: CaptureRing, record: CaptureRing.Record, bytes: UnsafeRawBufferPointer)?
    for ring in rings {
      guard let (record, bytes) = ring.next() else { continue }
      if let found = oldest, found.record.nanoseconds <= record.nanoseconds { continue }
      oldest = (ring, record, bytes)
    }
    guard let (ring, record, bytes) = oldest else { return nil }
    defer { ring.take(record) }
    let event = FrameEvent(rawValue: record.event) ?? .received
    let isDrop = event == .dropped || event == .undelivered
    return CapturedRecord(
      nanoseconds: record.nanoseconds, event: event, reason: isDrop ? DropReason(rawValue: record.reason) : nil,
      port: record.port, originalLength: Int(record.originalLength), bytes: Array(bytes))
  }
}
