import Glibc
import Tables

/// By what the fragments of one packet are known (RFC 791, 3.2; RFC 8200, 4.5), on one of its two ways through the router.
struct FragmentKey: BitwiseCopyable, Equatable {
  var source: UInt128
  var destination: UInt128
  var identification: UInt32
  var `protocol`: UInt8
  var isOutward: Bool

  var word: UInt64 { UInt64(identification) << 16 | UInt64(`protocol`) << 8 | (isOutward ? 1 : 0) }
}

/// Packets of which fragments have been seen: to which session they belong, and which parts have come. Fixed memory; when it is full
/// the oldest gives way. One thread.
struct FragmentTable: ~Copyable {
  static let capacity = 1024
  /// How long the fragments of a packet may be apart, in seconds.
  static let lifetimeSeconds: UInt32 = 5
  /// Fragments of one packet that wait for its first.
  static let waitingMax: UInt16 = 8
  /// Bytes of a packet's payload by 8, in bits.
  private static let mapWords = 128

  struct Entry: BitwiseCopyable {
    var key = FragmentKey(source: 0, destination: 0, identification: 0, protocol: 0, isOutward: false)
    /// Of the session; known once the first fragment has come.
    var session = SessionKey(near: 0, far: 0, nearPort: 0, farPort: 0, protocol: 0)
    var isKnown = false
    /// Something overlapped: all that comes is refused.
    var isRefused = false
    var since: UInt32 = 0
    /// Bytes that have come, and that there are; 0: not known yet.
    var received: UInt32 = 0
    var total: UInt32 = 0
    var waiting = HeldFrames.none
    var waitingCount: UInt16 = 0
    var next: UInt32 = 0
  }

  private let entries: UnsafeMutablePointer<Entry>
  private let maps: UnsafeMutablePointer<UInt64>
  private let buckets: UnsafeMutablePointer<UInt32>
  private static let bucketMask: UInt64 = 2047
  private let hash: KeyedHash
  /// Entries are used in turn: the oldest is the next to be used.
  private var turn: UInt32 = 0
  private var oldest: UInt32 = 0
  private(set) var count = 0

  init(seed: UInt64) {
    entries = zeroed(Self.capacity + 1)
    maps = zeroed((Self.capacity + 1) * Self.mapWords)
    buckets = zeroed(Int(Self.bucketMask) + 1)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    free(entries)
    free(maps)
    free(buckets)
  }

  subscript(index: UInt32) -> UnsafeMutablePointer<Entry> { entries + Int(index) }

  private func bucket(_ key: FragmentKey) -> UnsafeMutablePointer<UInt32> {
    buckets + Int(truncatingIfNeeded: hash(key.source, key.destination, key.word) & Self.bucketMask)
  }

  /// 0: none.
  func find(_ key: FragmentKey) -> UInt32 {
    var index = bucket(key).pointee
    while index != 0 && entries[Int(index)].key != key { index = entries[Int(index)].next }
    return index
  }

  /// Adds a packet that is not there.
  mutating func insert(
    _ key: FragmentKey, now: UInt32, _ held: inout HeldFrames, lost: inout UInt64
  ) -> UInt32 {
    turn = turn % UInt32(Self.capacity) + 1
    if entries[Int(turn)].since != 0 { remove(turn, &held, lost: &lost) }
    let bucket = bucket(key)
    entries[Int(turn)] = Entry()
    entries[Int(turn)].key = key
    entries[Int(turn)].since = max(1, now)
    entries[Int(turn)].next = bucket.pointee
    bucket.pointee = turn
    (maps + Int(turn) * Self.mapWords).update(repeating: 0, count: Self.mapWords)
    count += 1
    return turn
  }

  /// What still waits is lost.
  mutating func remove(_ index: UInt32, _ held: inout HeldFrames, lost: inout UInt64) {
    let entry = entries[Int(index)]
    var place = entry.waiting
    while place != HeldFrames.none {
      let next = held.places[Int(place)].next
      held.giveBack(place)
      lost += 1
      place = next
    }
    let bucket = bucket(entry.key)
    if bucket.pointee == index {
      bucket.pointee = entry.next
    } else {
      var before = Int(bucket.pointee)
      while entries[before].next != index { before = Int(entries[before].next) }
      entries[before].next = entry.next
    }
    entries[Int(index)] = Entry()
    count -= 1
  }

  /// Notes that a part has come.
  /// - Returns: false where it overlaps what came before, or lies about where the packet ends.
  mutating func note(_ index: UInt32, _ fragment: Packet.Fragment, length: Int) -> Bool {
    let entry = entries + Int(index)
    let end = fragment.position + length
    // All but the last hold a multiple of eight bytes.
    guard !entry.pointee.isRefused, length > 0, !fragment.hasMore || length & 7 == 0 else { return false }
    if !fragment.hasMore {
      guard entry.pointee.total == 0 else { return false }
      entry.pointee.total = UInt32(end)
    }
    guard entry.pointee.total == 0 || end <= Int(entry.pointee.total) else { return false }
    let map = maps + Int(index) * Self.mapWords
    for unit in (fragment.position / 8)..<((end + 7) / 8) {
      let bit: UInt64 = 1 << UInt64(unit & 63)
      guard map[unit / 64] & bit == 0 else { return false }
      map[unit / 64] |= bit
    }
    entry.pointee.received += UInt32(length)
    return true
  }

  func isComplete(_ index: UInt32) -> Bool {
    entries[Int(index)].total != 0 && entries[Int(index)].received >= entries[Int(index)].total
  }

  /// Once a second.
  mutating func expire(now: UInt32, _ held: inout HeldFrames, lost: inout UInt64) {
    guard count > 0 else { return }
    for index in 1...UInt32(Self.capacity) {
      let since = entries[Int(index)].since
      if since != 0 && now &- since > Self.lifetimeSeconds { remove(index, &held, lost: &lost) }
    }
  }
}
