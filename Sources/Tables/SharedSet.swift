import Glibc
import Synchronization

// Theory of operation.
//
// What several workers are to know of each other's frames (who has joined a group, where an address is) lies in one array that
// all of them read and change at any time. Nobody waits and nothing is allocated.
//
// A slot is two words: the key, and beside it until when it counts, its value, and some bits of the key's hash. A key is looked for
// in a few slots from its home on. A key that is not there takes the first of them that is free or has run out, by
// compare-and-swap. A slot never gets free again, so a search may end at a free one.
//
// The two words are not changed at one instant. Who gives a slot to another key changes the key first; the second word is
// still that of the key before, and its bits of the hash say so. And it is changed by compare-and-swap only, so who was
// about to refresh the key before finds it changed. Two threads that insert a new key at one time may take two slots for it:
// the first counts, and the second runs out unused.
//
// Who sends frames chooses keys. The hash has a secret, so nobody can aim at the slots of others.

/// A fixed number of 64-bit keys, each with a time at which it runs out and a 16-bit value.
///
/// Threads: any number may call any function at any time, but for `init` and `deallocate`. Not freed by itself: `deallocate`,
/// when no thread uses it any more. Time is in seconds of a monotonic clock.
@frozen
public struct SharedSet: BitwiseCopyable, @unchecked Sendable {
  /// Slots that are looked at for a key.
  public static let probesMax = 16
  public static let capacityMax = 1 << 20

  /// Two words for each slot, and one at the end: how many keys found no room.
  @usableFromInline let words: UnsafeMutablePointer<Atomic<UInt64>>
  @usableFromInline let mask: Int
  @usableFromInline let hash: KeyedHash

  /// - Parameters:
  ///   - capacity: keys that should fit, 1...`capacityMax`. There are twice as many slots.
  ///   - seed: keys the hash; random, and not to be guessed by those who send frames.
  public init(capacity: Int, seed: UInt64) {
    precondition((1...Self.capacityMax).contains(capacity), "shared set of \(capacity) keys")
    var slots = Self.probesMax
    while slots < 2 * capacity { slots *= 2 }
    mask = slots - 1
    words = zeroedAtomics(2 * slots + 1)
    hash = KeyedHash(seed: seed)
  }

  public func deallocate() { free(words) }

  /// Keys that were refused because all slots that they might have were taken.
  public var refusals: UInt64 { words[2 &* (mask &+ 1)].load(ordering: .relaxed) }

  /// The key is in the set, with this value, until `expiry`; replaces what was said of it before.
  /// - Parameters:
  ///   - key: not 0.
  ///   - expiry: the first second in which it is not in the set any more.
  /// - Returns: false where there was no room for it.
  @inlinable
  public func insert(_ key: UInt64, value: UInt16 = 0, until expiry: UInt32, now: UInt32) -> Bool {
    let hash = hash(UInt128(key), 0)
    let payload = Self.payload(hash, value: value, until: expiry)
    if let slot = find(key, hash, now: now) {
      // Most keys are refreshed many times a second.
      let old = slot[1].load(ordering: .acquiring)
      if old == payload { return true }
      if slot[0].load(ordering: .acquiring) == key && exchange(slot, old, payload) { return true }
    }
    return insertNew(key, hash, payload, now: now)
  }

  /// The key is in the set.
  @inlinable
  @inline(__always)
  public func contains(_ key: UInt64, now: UInt32) -> Bool { find(key, hash(UInt128(key), 0), now: now) != nil }

  /// What was said with the key; nil where it is not in the set.
  @inlinable
  @inline(__always)
  public func value(of key: UInt64, now: UInt32) -> UInt16? {
    let hash = hash(UInt128(key), 0)
    guard let slot = find(key, hash, now: now) else { return nil }
    let payload = slot[1].load(ordering: .acquiring)
    return Self.isAlive(payload, hash, now: now) ? UInt16(truncatingIfNeeded: payload >> 16) : nil
  }

  /// The key runs out at `expiry` if it would have stayed longer; a key that is not there stays away.
  public func shorten(_ key: UInt64, to expiry: UInt32, now: UInt32) {
    let hash = hash(UInt128(key), 0)
    for probe in 0..<Self.probesMax {
      let slot = slot(hash, probe)
      let payload = slot[1].load(ordering: .acquiring)
      let found = slot[0].load(ordering: .acquiring)
      if found == 0 { return }
      guard found == key, Self.isAlive(payload, hash, now: now), UInt32(payload >> 32) > expiry else { continue }
      _ = exchange(slot, payload, UInt64(expiry) << 32 | payload & 0xFFFF_FFFF)
    }
  }

  public func remove(_ key: UInt64, now: UInt32) { shorten(key, to: now, now: now) }

  /// Keys in the set; looks at every slot.
  public func count(now: UInt32) -> Int {
    (0...mask).count { Self.expiry(words[2 * $0 + 1].load(ordering: .relaxed)) > now }
  }

  // MARK: Slots

  /// The second word: expiry, value, 16 bits of the hash that do not choose the slot.
  @inlinable
  @inline(__always)
  static func payload(_ hash: UInt64, value: UInt16, until expiry: UInt32) -> UInt64 {
    UInt64(expiry) << 32 | UInt64(value) << 16 | hash >> 48
  }

  @inlinable
  @inline(__always)
  static func expiry(_ payload: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: payload >> 32) }

  /// It is this key's, and has not run out.
  @inlinable
  @inline(__always)
  static func isAlive(_ payload: UInt64, _ hash: UInt64, now: UInt32) -> Bool {
    payload & 0xFFFF == hash >> 48 && expiry(payload) > now
  }

  @inlinable
  @inline(__always)
  func slot(_ hash: UInt64, _ probe: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    words + 2 &* ((Int(truncatingIfNeeded: hash) &+ probe) & mask)
  }

  @inlinable
  func find(_ key: UInt64, _ hash: UInt64, now: UInt32) -> UnsafeMutablePointer<Atomic<UInt64>>? {
    for probe in 0..<Self.probesMax {
      let slot = slot(hash, probe)
      let found = slot[0].load(ordering: .acquiring)
      if found == 0 { return nil }
      if found == key && Self.isAlive(slot[1].load(ordering: .acquiring), hash, now: now) { return slot }
    }
    return nil
  }

  @inlinable
  func exchange(_ slot: UnsafeMutablePointer<Atomic<UInt64>>, _ old: UInt64, _ new: UInt64) -> Bool {
    slot[1].compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing).exchanged
  }

  @usableFromInline
  func insertNew(_ key: UInt64, _ hash: UInt64, _ payload: UInt64, now: UInt32) -> Bool {
    guard key != 0 else { return false }
    for probe in 0..<Self.probesMax {
      let slot = slot(hash, probe)
      let old = slot[1].load(ordering: .acquiring)
      let found = slot[0].load(ordering: .acquiring)
      if found != key {
        guard Self.expiry(old) <= now,
          slot[0].compareExchange(expected: found, desired: key, ordering: .acquiringAndReleasing).exchanged
            || slot[0].load(ordering: .acquiring) == key
        else { continue }
      }
      if exchange(slot, old, payload) { return true }
      // Somebody was faster: with this very key, or with one that had the slot before and is to go.
      let other = slot[1].load(ordering: .acquiring)
      if slot[0].load(ordering: .acquiring) == key && exchange(slot, other, payload) { return true }
    }
    words[2 &* (mask &+ 1)].wrappingAdd(1, ordering: .relaxed)
    return false
  }
}

/// As many words that threads share, each 0. Freed with `free`; pages that are never written cost nothing.
public func zeroedAtomics(_ count: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
  let words: UnsafeMutablePointer<UInt64> = zeroed(count)
  // An atomic is its value in memory (SE-0410), and 0 needs no initialisation.
  return UnsafeMutableRawPointer(words).bindMemory(to: Atomic<UInt64>.self, capacity: count)
}
