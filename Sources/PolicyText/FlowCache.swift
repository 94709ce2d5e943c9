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

  /// One rule that does nothing beside, or `noRule`, and the learning switch decides.
  init(learning rule: UInt32) { bits = Self.learning << 32 | UInt64(rule) }

  /// No counter has such a number: there is nothing to be counted.
  static let noRule = UInt32.max >> 1

  private static let known: UInt64 = 1 << 63
  /// The upper half of what only learns.
  @usableFromInline static let learning: UInt64 = 0xC000_0001

  @inlinable var isKnown: Bool { bits != 0 }
  @inlinable var onlyLearns: Bool { bits >> 32 == Self.learning }
  @inlinable var place: Int { Int(bits & 0xFFFF_FFFF) }
  /// The place is the one rule's number.
  var isSingle: Bool { count == 1 }
  var count: Int { Int(bits >> 32 & 0x3FFF_FFFF) }
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

  let short: UnsafeMutablePointer<ShortEntry>
  private let long: UnsafeMutablePointer<LongEntry>
  let hash: KeyedHash

  init(seed: UInt64) {
    short = .allocate(capacity: Self.shortBuckets * Self.ways)
    long = .allocate(capacity: Self.longBuckets * Self.ways)
    hash = KeyedHash(seed: seed)
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

  func find(_ key: FlowKey) -> FlowOutcome {
    if key.isShort {
      let entry = shortBucket(key)
      if entry[0].holds(key.header, key.station, key.addresses) { return FlowOutcome(bits: entry[0].outcome) }
      let isSecond = entry[1].holds(key.header, key.station, key.addresses)
      return FlowOutcome(bits: isSecond ? entry[1].outcome : 0)
    }
    let entry = longBucket(key)
    if entry[0].key == key { return FlowOutcome(bits: entry[0].outcome) }
    return FlowOutcome(bits: entry[1].key == key ? entry[1].outcome : 0)
  }

  /// The key is not there yet.
  func insert(_ key: FlowKey, _ outcome: FlowOutcome) {
    if key.isShort {
      let entry = shortBucket(key)
      entry[1] = entry[0]
      entry[0] = ShortEntry(
        header: key.header, station: key.station, addresses: key.addresses, outcome: outcome.bits)
    } else {
      let entry = longBucket(key)
      entry[1] = entry[0]
      entry[0] = LongEntry(key: key, outcome: outcome.bits)
    }
  }

  /// As `FastPath.find` has it.
  private func shortBucket(_ key: FlowKey) -> UnsafeMutablePointer<ShortEntry> {
    let bucket = hash(UInt128(key.station) << 64 | UInt128(key.header), key.addresses) & UInt64(Self.shortBuckets - 1)
    return short + Int(bucket) &* Self.ways
  }

  private func longBucket(_ key: FlowKey) -> UnsafeMutablePointer<LongEntry> {
    let ends = hash(UInt128(key.destinationMAC) << 64 | UInt128(key.sourceMAC), key.addresses)
    let rest = hash(UInt128(key.station) << 64 | UInt128(key.header), ends)
    return long + Int(hash(key.source, key.destination, rest) & UInt64(Self.longBuckets - 1)) &* Self.ways
  }
}
