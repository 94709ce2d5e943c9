import Glibc
import Wire

// Theory of operation.
//
// One table a network, owned by the one worker thread that forwards the network's frames; nothing in here is shared.
//
// Addresses live in an open-addressed array of 16-byte slots with linear probing, at most half full, so that a lookup
// touches one cache line as a rule. A removal shifts the rest of its cluster back and leaves no tombstone: floods of
// short-lived addresses cannot slow later lookups down.
//
// Who sends a frame chooses its source address. With a hash that is known, one container could choose addresses that
// all fall in one cluster, and every lookup of the network would walk it. So the hash is keyed with a secret seed.
//
// Beside the slots lie links: each port has one list of its learned entries, the longest unseen first, and one of its
// static entries. So ageing and eviction find their victims without a search, and a port that goes takes its entries
// along at a cost of its own entries only. To keep the links out of the way of forwarding, an entry is refreshed at most
// once a second: `lastSeen` and the order of a list have the granularity of a second.
//
// A heap ranks the ports by their number of learned entries. When the table is full, the port with the most entries
// loses its oldest, so a port that floods addresses ends up pushing out its own.
//
// All memory comes zeroed from calloc at once and is touched when it is used: zero is "empty" everywhere, and slots
// are numbered from 1 so that zero can be "none".

/// What `MACTable.learn` did.
public enum MACLearning: UInt8, Sendable {
  /// The address was there, on this port, and is static or had been seen in this second already.
  case known
  /// The address was there, on this port: its age is 0 again.
  case refreshed
  case learned
  /// The address was on another port before.
  case moved
  /// Not a unicast address, static on another port, or no room because static entries fill the table.
  case refused
}

/// One entry of a MAC table, as shown to people.
public struct MACTableEntry: Equatable, Sendable {
  public let mac: MACAddress
  public let port: UInt16
  public let isStatic: Bool
  /// Seconds of the clock that `learn` was given; 0 for a static entry whose address was never seen.
  public let lastSeen: UInt32
}

/// MAC address to port: learned and static entries within a fixed limit.
///
/// Thread: one owner. Time: `now` is in seconds of a monotonic clock and must not run backwards.
///
/// Bound: a call of `learn` removes at most one entry and inserts at most one; each costs one cluster of slots (a few
/// at the load of at most one half) and, in the ranking of ports, a step for each doubling of the number of ports.
@frozen
public struct MACTable: ~Copyable {
  public static let limitDefault = 8192
  public static let limitMax = 1_000_000
  /// Ports are numbered from 0 to `portCapacityMax - 1`; the number above is `noPort`.
  public static let portCapacityMax = Int(UInt16.max)
  public static let noPort = UInt16.max

  /// 16 bytes: four to a cache line.
  @frozen
  @usableFromInline
  struct Slot: BitwiseCopyable {
    /// 0: the slot is empty.
    @usableFromInline var mac: UInt64
    @usableFromInline var lastSeen: UInt32
    @usableFromInline var port: UInt16
    /// 0 or 1: the list of its port in which the entry is.
    @usableFromInline var kind: UInt16

    @inlinable
    init(mac: UInt64, lastSeen: UInt32, port: UInt16, kind: UInt16) {
      (self.mac, self.lastSeen, self.port, self.kind) = (mac, lastSeen, port, kind)
    }
  }

  /// The neighbours of a slot in the list of its port.
  @frozen
  @usableFromInline
  struct Link: BitwiseCopyable {
    @usableFromInline var older: UInt32
    @usableFromInline var newer: UInt32
  }

  @frozen
  @usableFromInline
  struct SlotList: BitwiseCopyable {
    @usableFromInline var oldest: UInt32
    @usableFromInline var newest: UInt32
    @usableFromInline var count: UInt32
  }

  @usableFromInline static let none = 0
  @usableFromInline static let learnedKind: UInt16 = 0
  @usableFromInline static let staticKind: UInt16 = 1

  /// Number of slots less one; the number of slots is a power of two.
  @usableFromInline let mask: Int
  /// Slots 1 to `mask + 1`; slot 0 is not used.
  @usableFromInline let slots: UnsafeMutablePointer<Slot>
  @usableFromInline let secret: (UInt64, UInt64)
  @usableFromInline let links: UnsafeMutablePointer<Link>
  /// Two for each port: learned, static.
  let lists: UnsafeMutablePointer<SlotList>
  /// The most learned entries of each port; 0: no limit.
  let portLimits: UnsafeMutablePointer<UInt32>
  /// A binary heap of the ports that have learned entries, the port with the most of them first.
  let ranking: UnsafeMutablePointer<UInt16>
  /// The place of each port in `ranking`, counted from 1; 0: not in it.
  let rankOfPort: UnsafeMutablePointer<UInt32>
  var rankedCount = 0
  let seed: UInt64

  public let portCapacity: Int
  /// The most entries, learned and static.
  public let limit: Int
  public internal(set) var count = 0

  /// - Parameters:
  ///   - limit: 1...`limitMax`.
  ///   - portCapacity: 1...`portCapacityMax`; ports are numbered from 0.
  ///   - seed: keys the hash; random, and not to be guessed by those who send frames.
  public init(limit: Int, portCapacity: Int, seed: UInt64) {
    precondition((1...MACTable.limitMax).contains(limit), "MAC table limit \(limit)")
    precondition((1...MACTable.portCapacityMax).contains(portCapacity), "MAC table with \(portCapacity) ports")
    var slotCount = 8
    while slotCount < 2 * limit { slotCount *= 2 }
    mask = slotCount - 1
    slots = zeroed(slotCount + 1)
    links = zeroed(slotCount + 1)
    lists = zeroed(2 * portCapacity)
    portLimits = zeroed(portCapacity)
    ranking = zeroed(portCapacity)
    rankOfPort = zeroed(portCapacity)
    secret = (scrambled(seed), scrambled(seed &+ 1) | 1)
    self.seed = seed
    self.limit = limit
    self.portCapacity = portCapacity
  }

  deinit {
    free(slots)
    free(links)
    free(lists)
    free(portLimits)
    free(ranking)
    free(rankOfPort)
  }
}

// The pointers are the table's own: to hand the table to another thread hands everything over.
extension MACTable: @unchecked Sendable {}

/// `count` values whose bytes are zero; pages that are never written cost nothing. Freed with `free`.
public func zeroed<Value: BitwiseCopyable>(_ count: Int) -> UnsafeMutablePointer<Value> {
  guard let memory = calloc(count, MemoryLayout<Value>.stride) else { fatalError("out of memory") }
  return memory.bindMemory(to: Value.self, capacity: count)
}

/// One step of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
func scrambled(_ seed: UInt64) -> UInt64 {
  var z = seed &+ 0x9E37_79B9_7F4A_7C15
  z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
  return z ^ z >> 31
}

// What every frame costs.
extension MACTable {
  /// The port of `mac`, or `noPort`.
  @inlinable
  @inline(__always)
  public func lookup(_ mac: MACAddress) -> UInt16 {
    let slot = find(mac.bits)
    return slot == MACTable.none ? MACTable.noPort : slots[slot].port
  }

  /// For people: what is known of an address.
  public func entry(of mac: MACAddress) -> MACTableEntry? {
    let slot = find(mac.bits)
    guard slot != MACTable.none else { return nil }
    let found = slots[slot]
    return MACTableEntry(
      mac: mac, port: found.port, isStatic: found.kind == MACTable.staticKind, lastSeen: found.lastSeen)
  }

  /// Notes that a frame from `mac` came in at `port`. The address becomes known on the port or, where it was known on
  /// another one, moves. A static entry stays where it is. A port at its own limit loses its oldest entry for the new
  /// one; a full table takes the oldest entry of the port that has the most.
  ///
  /// A network whose ageing time is 0 does not learn: its owner does not call this (see `expire`).
  @inlinable
  @inline(__always)
  public mutating func learn(_ mac: MACAddress, port: UInt16, now: UInt32) -> MACLearning {
    let slot = find(mac.bits)
    if slot == MACTable.none { return learnNew(mac, port: port, now: now) }
    if slots[slot].port == port && slots[slot].lastSeen == now { return .known }
    return refresh(slot, port: port, now: now)
  }

  /// The slot of an address, or `none`.
  @inlinable
  @inline(__always)
  func find(_ mac: UInt64) -> Int {
    var slot = home(mac)
    while true {
      let found = slots[slot].mac
      if found == 0 { return MACTable.none }
      if found == mac { return slot }
      slot = after(slot)
    }
  }

  /// Where an address is to be, if the place is free: two keyed multiplications of full width, as in wyhash (Wang Yi).
  /// After one, consecutive addresses, which any fleet of containers has, would lie at even steps and form clusters.
  @inlinable
  @inline(__always)
  func home(_ mac: UInt64) -> Int {
    let first = (mac ^ secret.0).multipliedFullWidth(by: secret.1)
    let second = (first.low ^ secret.0).multipliedFullWidth(by: first.high ^ secret.1)
    return Int(truncatingIfNeeded: second.high ^ second.low) & mask &+ 1
  }

  @inlinable
  @inline(__always)
  func after(_ slot: Int) -> Int { slot & mask &+ 1 }
}
