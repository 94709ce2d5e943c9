import Tables
import Wire

/// A frame that went nowhere, as its log keeps it.
public struct LoggedDrop: Equatable, Sendable {
  /// Of the monotonic clock, at the begin of its burst.
  public let nanoseconds: UInt64
  /// The port it came in by.
  public let port: UInt16
  public let reason: DropReason
  /// From the Ethernet header on; bytes.
  public let length: Int
  /// Its first bytes, `DropLog.bytesMax` at most. As they were when it was dropped: a router may have rewritten them.
  public let bytes: [UInt8]
}

/// The last frames that an engine dropped, for who asks why. It costs what a copy of the first bytes costs, of a few frames in each
/// burst: of a storm it keeps a sample, while counters count all. Thread: the engine's.
@usableFromInline
struct DropLog: BitwiseCopyable {
  static let capacity = 64
  static let bytesMax = 128
  /// Frames of one burst that are kept.
  @usableFromInline static let perBurstMax: UInt8 = 4

  private struct Entry: BitwiseCopyable {
    var nanoseconds: UInt64 = 0
    var length: UInt32 = 0
    var port: UInt16 = 0
    var reason: UInt8 = 0
  }

  private let entries: UnsafeMutablePointer<Entry>
  private let bytes: UnsafeMutableRawPointer
  /// Drops that were ever kept.
  private let count: UnsafeMutablePointer<Int>

  init() {
    entries = .allocate(capacity: Self.capacity)
    entries.initialize(repeating: Entry(), count: Self.capacity)
    bytes = .allocate(byteCount: Self.capacity * Self.bytesMax, alignment: 16)
    count = .allocate(capacity: 1)
    count.initialize(to: 0)
  }

  func deallocate() {
    entries.deallocate()
    bytes.deallocate()
    count.deallocate()
  }

  func note(_ frame: FrameDescriptor, _ reason: DropReason, nanoseconds: UInt64) {
    let index = count.pointee % Self.capacity
    let length = max(0, Int(frame.length) &- Engine.headerLength)
    entries[index] = Entry(
      nanoseconds: nanoseconds, length: UInt32(length), port: frame.port, reason: reason.rawValue)
    (bytes + index * Self.bytesMax).copyMemory(
      from: frame.start + Engine.headerLength, byteCount: min(length, Self.bytesMax))
    count.pointee &+= 1
  }

  /// The oldest first.
  var drops: [LoggedDrop] {
    let kept = min(count.pointee, Self.capacity)
    return (count.pointee - kept..<count.pointee).compactMap { number in
      let entry = entries[number % Self.capacity]
      guard let reason = DropReason(rawValue: entry.reason) else { return nil }
      let start = bytes + number % Self.capacity * Self.bytesMax
      let copied = UnsafeRawBufferPointer(start: start, count: min(Int(entry.length), Self.bytesMax))
      return LoggedDrop(
        nanoseconds: entry.nanoseconds, port: entry.port, reason: reason, length: Int(entry.length),
        bytes: Array(copied))
    }
  }
}

extension Engine {
  /// Counts a frame as dropped at the port it came in by, and keeps it for who asks why.
  @usableFromInline
  mutating func countDrop(_ reason: DropReason, of frame: FrameDescriptor) {
    countDrop(reason, at: frame.port)
    lastDrop = reason
    guard dropsToLog > 0 else { return }
    dropsToLog &-= 1
    dropLog.note(frame, reason, nanoseconds: nanoseconds)
  }

  /// The last frames that went nowhere, the oldest first: `DropLog.capacity` at most, and a few of each burst. Not those that were
  /// dropped at the port they were to leave by.
  public var lastDrops: [LoggedDrop] { dropLog.drops }
}
