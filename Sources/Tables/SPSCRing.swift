import Glibc
import Synchronization

// Theory of operation.
//
// One thread pushes, one thread pops, neither ever waits: how the control plane tells a worker what to do, and how a
// worker tells what happened. Positions count up without end and wrap with UInt64; the place in the memory is their
// low bits. Each side keeps a copy of the other's position, and reads the shared one only when the copy says that there
// is no room or nothing to take; so in a run the two threads touch each other's cache line seldom.

/// A queue of fixed capacity from one thread to one other.
@frozen
public struct SPSCRing<Element: BitwiseCopyable>: ~Copyable {
  /// For the two threads. Valid only as long as this ring lives: who hands it out sees to that.
  public let handle: SPSCHandle<Element>

  /// - Parameter capacity: a power of two.
  public init(capacity: Int) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity \(capacity) is not a power of two")
    handle = SPSCHandle(capacity: capacity)
  }

  deinit { handle.deallocate() }
}

extension SPSCRing: Sendable where Element: Sendable {}

/// Both ends of an `SPSCRing`, which must outlive every use of this.
///
/// Threads: at each time one calls `push`, and one calls `pop`; the two may be different ones. Any may ask for `count`.
@frozen
public struct SPSCHandle<Element: BitwiseCopyable> {
  @usableFromInline let mask: UInt64
  @usableFromInline let elements: UnsafeMutablePointer<Element>
  /// What the consumer writes.
  @usableFromInline let head: UnsafeMutablePointer<Atomic<UInt64>>
  /// The producer's copy of `head`.
  @usableFromInline let headSeen: UnsafeMutablePointer<UInt64>
  /// What the producer writes.
  @usableFromInline let tail: UnsafeMutablePointer<Atomic<UInt64>>
  /// The consumer's copy of `tail`.
  @usableFromInline let tailSeen: UnsafeMutablePointer<UInt64>
  private let memory: UnsafeMutableRawPointer

  /// Line 0: head and the consumer's copy of tail; line 1: tail and the producer's copy of head; then the elements.
  init(capacity: Int) {
    let size = 2 * cacheLineSize + capacity * MemoryLayout<Element>.stride
    let rounded = (size + cacheLineSize - 1) & ~(cacheLineSize - 1)
    guard let memory = aligned_alloc(cacheLineSize, rounded) else { fatalError("out of memory") }
    self.memory = memory
    mask = UInt64(capacity - 1)
    head = memory.bindMemory(to: Atomic<UInt64>.self, capacity: 1)
    tailSeen = (memory + 8).bindMemory(to: UInt64.self, capacity: 1)
    tail = (memory + cacheLineSize).bindMemory(to: Atomic<UInt64>.self, capacity: 1)
    headSeen = (memory + cacheLineSize + 8).bindMemory(to: UInt64.self, capacity: 1)
    elements = (memory + 2 * cacheLineSize).bindMemory(to: Element.self, capacity: capacity)
    head.initialize(to: Atomic(0))
    tail.initialize(to: Atomic(0))
    headSeen.initialize(to: 0)
    tailSeen.initialize(to: 0)
  }

  func deallocate() { free(memory) }

  /// The producer only.
  ///
  /// - Returns: false where the ring is full; the element was not taken.
  @inlinable
  public func push(_ element: Element) -> Bool {
    let position = tail.pointee.load(ordering: .relaxed)
    if position &- headSeen.pointee > mask {
      headSeen.pointee = head.pointee.load(ordering: .acquiring)
      if position &- headSeen.pointee > mask { return false }
    }
    elements[Int(truncatingIfNeeded: position & mask)] = element
    tail.pointee.store(position &+ 1, ordering: .releasing)
    return true
  }

  /// The consumer only. The oldest element, or nil where the ring is empty.
  @inlinable
  public func pop() -> Element? {
    let position = head.pointee.load(ordering: .relaxed)
    if position == tailSeen.pointee {
      tailSeen.pointee = tail.pointee.load(ordering: .acquiring)
      if position == tailSeen.pointee { return nil }
    }
    let element = elements[Int(truncatingIfNeeded: position & mask)]
    head.pointee.store(position &+ 1, ordering: .releasing)
    return element
  }

  /// How many elements wait; already past when it is returned, unless both sides rest.
  @inlinable
  public var count: Int {
    // Head first: tail never falls behind a head that was read before.
    let head = self.head.pointee.load(ordering: .acquiring)
    return min(Int(truncatingIfNeeded: tail.pointee.load(ordering: .acquiring) &- head), Int(mask) + 1)
  }
}

// The two positions are atomic, and each other field has one thread that writes it.
extension SPSCHandle: @unchecked Sendable where Element: Sendable {}
