import Glibc
import Synchronization
import Tables

// A policy's value is copied for each worker. What all are to share lies behind a pointer; an object owns the memory, and each copy of
// the value holds the object, so that the memory goes with the last of them. While frames are decided on only the pointer is used:
// nobody counts references then.

/// Words that all workers' copies of a policy share, each 0 at first.
final class SharedWords: Sendable {
  nonisolated(unsafe) let words: UnsafeMutablePointer<Atomic<UInt64>>

  init(_ count: Int) { words = zeroedAtomics(count) }

  deinit { free(words) }
}

/// A set of keys that all workers' copies of a policy share.
final class SharedKeys: Sendable {
  let set: SharedSet

  init(capacity: Int) { set = SharedSet(capacity: capacity, seed: .random(in: .min ... .max)) }

  deinit { set.deallocate() }
}
