import Glibc
import Synchronization

// Theory of operation.
//
// The worker that owns a port or a network counts; anyone reads, at any time, without asking the worker. As there is one
// writer, an addition is a load and a store and needs no locked instruction; a reader sees each counter whole, but no
// snapshot of several at one instant.

/// A fixed number of counters, zero at first, in memory of its own.
@frozen
public struct CounterBlock: ~Copyable, Sendable {
  /// For the one writer and for readers. Valid only as long as this block lives: who hands it out sees to that.
  public let handle: CounterHandle

  public init(count: Int) {
    precondition(count > 0)
    let size = count * MemoryLayout<Atomic<UInt64>>.stride
    // Lines of its own, so that the writers of two blocks do not slow each other down.
    let rounded = (size + cacheLineSize - 1) & ~(cacheLineSize - 1)
    guard let memory = aligned_alloc(cacheLineSize, rounded) else { fatalError("out of memory") }
    let counters = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for index in 0..<count { (counters + index).initialize(to: Atomic(0)) }
    handle = CounterHandle(counters: counters, count: count)
  }

  deinit { free(handle.counters) }
}

/// The counters of a `CounterBlock`, which must outlive every use of this.
///
/// Threads: one at a time calls `add`; any number call the others.
@frozen
public struct CounterHandle: @unchecked Sendable {
  @usableFromInline let counters: UnsafeMutablePointer<Atomic<UInt64>>
  public let count: Int

  init(counters: UnsafeMutablePointer<Atomic<UInt64>>, count: Int) { (self.counters, self.count) = (counters, count) }

  /// Adds `amount`, wrapping. Only the writer.
  @inlinable
  @inline(__always)
  public func add(_ index: Int, _ amount: UInt64 = 1) {
    precondition(index >= 0 && index < count)
    let counter = counters + index
    counter.pointee.store(counter.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  @inlinable
  @inline(__always)
  public subscript(index: Int) -> UInt64 {
    precondition(index >= 0 && index < count)
    return counters[index].load(ordering: .relaxed)
  }
}

/// Bytes that two threads had better not share. A core fetches lines of 64 bytes, on x86 in pairs.
public let cacheLineSize = 128
