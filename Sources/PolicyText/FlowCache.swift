import Datapath
import Tables

/// Which rules a flow met: a count, and in the low half the one rule's number, or where their numbers begin in the worker's memory.
/// 0: not known.
@usableFromInline
struct FlowOutcome: BitwiseCopyable {
  @usableFromInline let bits: UInt64

  @inlinable
  init(bits: UInt64) { self.bits = bits }

  init(count: Int, place: UInt32) { bits = Self.known | UInt64(count) << 32 | UInt64(place) }

  @usableFromInline static let known: UInt64 = 1 << 63
  /// Of an outcome of one rule, the upper half.
  @usableFromInline static let single: UInt64 = known >> 32 | 1

  @inlinable var isKnown: Bool { bits != 0 }
  /// One rule, and none before it.
  @inlinable var isSingle: Bool { bits >> 32 == Self.single }
  @inlinable var place: Int { Int(bits & 0xFFFF_FFFF) }
  var count: Int { Int((bits & ~Self.known) >> 32) }
}

/// What flows met, by their keys: fixed memory, two places for each hash, of which the newer flow has the first. The hash has a
/// secret, so that nobody can aim at a flow's place.
///
/// One worker's.
@usableFromInline
struct FlowCache: BitwiseCopyable {
  /// IPv4's flows, and those without addresses.
  @usableFromInline
  struct ShortEntry: BitwiseCopyable {
    @usableFromInline var header: UInt64 = 0
    @usableFromInline var station: UInt64 = 0
    @usableFromInline var addresses: UInt64 = 0
    @usableFromInline var outcome: UInt64 = 0

    @inlinable
    func holds(_ header: UInt64, _ station: UInt64, _ addresses: UInt64) -> Bool {
      (self.header ^ header) | (self.station ^ station) | (self.addresses ^ addresses) == 0
    }
  }

  struct LongEntry: BitwiseCopyable {
    var key = FlowKey()
    var outcome: UInt64 = 0
  }

  static let ways = 2
  static let shortBuckets = PolicyLimits.flowCountMax / ways
  static let longBuckets = shortBuckets / 2

  @usableFromInline let short: UnsafeMutablePointer<ShortEntry>
  private let long: UnsafeMutablePointer<LongEntry>
  @usableFromInline let hash: KeyedHash
  @usableFromInline let shortMask: UInt64

  init(seed: UInt64) {
    short = .allocate(capacity: Self.shortBuckets * Self.ways)
    long = .allocate(capacity: Self.longBuckets * Self.ways)
    hash = KeyedHash(seed: seed)
    shortMask = UInt64(Self.shortBuckets - 1)
    clear()
  }

  func deallocate() {
    short.deallocate()
    long.deallocate()
  }

  func clear() {
    short.initialize(repeating: ShortEntry(), count: Self.shortBuckets * Self.ways)
    long.initialize(repeating: LongEntry(), count: Self.longBuckets * Self.ways)
  }

  /// By the words of a key that is short.
  @inlinable
  @inline(__always)
  func find(_ header: UInt64, _ station: UInt64, _ addresses: UInt64) -> FlowOutcome {
    let bucket = hash(UInt128(station) << 64 | UInt128(header), addresses) & shortMask
    let entry = short + Int(truncatingIfNeeded: bucket &* 2)
    if entry[0].holds(header, station, addresses) { return FlowOutcome(bits: entry[0].outcome) }
    if entry[1].holds(header, station, addresses) { return FlowOutcome(bits: entry[1].outcome) }
    return FlowOutcome(bits: 0)
  }

  @usableFromInline
  func find(_ key: FlowKey) -> FlowOutcome {
    if key.isShort { return find(key.header, key.station, key.addresses) }
    let entry = longBucket(key)
    if entry[0].key == key { return FlowOutcome(bits: entry[0].outcome) }
    return FlowOutcome(bits: entry[1].key == key ? entry[1].outcome : 0)
  }

  /// The key is not there yet.
  func insert(_ key: FlowKey, _ outcome: FlowOutcome) {
    if key.isShort {
      let bucket = hash(UInt128(key.station) << 64 | UInt128(key.header), key.addresses) & shortMask
      let entry = short + Int(bucket &* 2)
      entry[1] = entry[0]
      entry[0] = ShortEntry(
        header: key.header, station: key.station, addresses: key.addresses, outcome: outcome.bits)
    } else {
      let entry = longBucket(key)
      entry[1] = entry[0]
      entry[0] = LongEntry(key: key, outcome: outcome.bits)
    }
  }

  private func longBucket(_ key: FlowKey) -> UnsafeMutablePointer<LongEntry> {
    let ends = hash(UInt128(key.destinationMAC) << 64 | UInt128(key.sourceMAC), key.addresses)
    let rest = hash(UInt128(key.station) << 64 | UInt128(key.header), ends)
    return long + Int(hash(key.source, key.destination, rest) & UInt64(Self.longBuckets - 1)) &* Self.ways
  }
}
