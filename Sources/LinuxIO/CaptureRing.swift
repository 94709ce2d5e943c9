import Datapath
import Glibc
import Synchronization
import Tables

/// Frames of one worker on their way to who captures them: fixed memory, one thread that adds and one that takes, neither of which
/// ever waits. A frame that finds no room is counted as lost.
///
/// Positions count up without end, as `SPSCRing`'s do; a record lies in one piece, so what is left at the memory's end is passed over.
struct CaptureRing: @unchecked Sendable {
  /// Bytes; a power of two. Some 3000 frames of an Ethernet's MTU.
  static let byteCount = 4 << 20

  struct Record: BitwiseCopyable {
    var nanoseconds: UInt64
    /// Bytes from this record to the next; a multiple of eight.
    var size: UInt32
    var capturedLength: UInt32
    var originalLength: UInt32
    var port: UInt16
    var event: UInt8
    var reason: UInt8
  }

  /// What stands in `event` where nothing follows before the memory's end.
  private static let filler = UInt8.max
  private static let headerLength = MemoryLayout<Record>.size

  private let memory: UnsafeMutableRawPointer
  /// What the reader has taken, what the worker has added and what it has lost: a cache line each.
  private let head: UnsafeMutablePointer<Atomic<UInt64>>
  private let tail: UnsafeMutablePointer<Atomic<UInt64>>
  private let lostCount: UnsafeMutablePointer<Atomic<UInt64>>
  private let positions: UnsafeMutableRawPointer

  /// nil: there is no memory for it.
  init?() {
    // Populated: a worker is not to wait for the kernel to find pages.
    let memory = mmap(
      nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)
    guard let memory, memory != MAP_FAILED else { return nil }
    self.memory = memory
    let positions = UnsafeMutableRawPointer.allocate(byteCount: 3 * cacheLineSize, alignment: cacheLineSize)
    self.positions = positions
    func position(_ line: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
      let pointer = (positions + line * cacheLineSize).bindMemory(to: Atomic<UInt64>.self, capacity: 1)
      pointer.initialize(to: Atomic(0))
      return pointer
    }
    (head, tail, lostCount) = (position(0), position(1), position(2))
  }

  func deallocate() {
    munmap(memory, Self.byteCount)
    positions.deallocate()
  }

  /// Frames that found no room. Any thread.
  var lost: UInt64 { lostCount.pointee.load(ordering: .relaxed) }

  /// The worker only.
  /// - Parameter bytes: `record.capturedLength` of them. The record's size is set here.
  func add(_ record: Record, _ bytes: UnsafeRawPointer) {
    let size = (Self.headerLength + Int(record.capturedLength) + 7) & ~7
    var end = tail.pointee.load(ordering: .relaxed)
    let offset = Int(truncatingIfNeeded: end) & (Self.byteCount - 1)
    let left = Self.byteCount - offset
    let needed = left < size ? left + size : size
    guard Int(end &- head.pointee.load(ordering: .acquiring)) + needed <= Self.byteCount else {
      lostCount.pointee.store(lost &+ 1, ordering: .relaxed)
      return
    }
    var place = memory + offset
    if left < size {
      if left >= Self.headerLength {
        var rest = record
        (rest.event, rest.size) = (Self.filler, UInt32(left))
        place.storeBytes(of: rest, as: Record.self)
      }
      end &+= UInt64(left)
      place = memory
    }
    var whole = record
    whole.size = UInt32(size)
    place.storeBytes(of: whole, as: Record.self)
    (place + Self.headerLength).copyMemory(from: bytes, byteCount: Int(record.capturedLength))
    tail.pointee.store(end &+ UInt64(size), ordering: .releasing)
  }

  /// The oldest record and its bytes, which stay until `take`; nil: there is none. The reader only.
  func next() -> (record: Record, bytes: UnsafeRawBufferPointer)? {
    while true {
      let position = head.pointee.load(ordering: .relaxed)
      guard position != tail.pointee.load(ordering: .acquiring) else { return nil }
      let offset = Int(truncatingIfNeeded: position) & (Self.byteCount - 1)
      let left = Self.byteCount - offset
      guard left >= Self.headerLength else {
        head.pointee.store(position &+ UInt64(left), ordering: .releasing)
        continue
      }
      let record = (memory + offset).load(as: Record.self)
      if record.event == Self.filler {
        take(record)
        continue
      }
      let bytes = UnsafeRawBufferPointer(
        start: memory + offset + Self.headerLength, count: Int(record.capturedLength))
      return (record, bytes)
    }
  }

  /// The reader only.
  func take(_ record: Record) {
    head.pointee.store(head.pointee.load(ordering: .relaxed) &+ UInt64(record.size), ordering: .releasing)
  }
}
