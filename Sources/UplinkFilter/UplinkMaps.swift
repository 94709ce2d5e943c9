import Glibc
import Synchronization
import SystemCalls
import Tables
import Wire

/// The maps that user space writes. Their descriptors are the object's, which must outlive this.
///
/// A class, so that nothing of it stands in the public type's layout. Threads: any, several at a time.
final class UplinkMaps: Sendable {
  /// How many entries the maps have, laid out as in uplink.bpf.c.
  struct Presence: BitwiseCopyable {
    var macs: UInt32 = 0
    var addresses: UInt32 = 0
    var subnets: UInt32 = 0
  }

  /// The maps that are counted.
  enum Counted {
    case macs, addresses, subnets

    var count: WritableKeyPath<Presence, UInt32> {
      switch self {
      case .macs: \.macs
      case .addresses: \.addresses
      case .subnets: \.subnets
      }
    }
  }

  private let externals, macs, addresses, subnets, presence, lease: BPFMap
  /// What the map `presence` holds; whoever changes a map holds the lock.
  private let counts = Mutex(Presence())

  init(_ object: borrowing BPFObject) throws(Errno) {
    externals = BPFMap(try object.map("externals"))
    macs = BPFMap(try object.map("macs"))
    addresses = BPFMap(try object.map("addresses"))
    subnets = BPFMap(try object.map("subnets"))
    presence = BPFMap(try object.map("presence"))
    lease = BPFMap(try object.map("lease"))
  }

  /// - Parameter end: nanoseconds of CLOCK_MONOTONIC.
  func setLease(until end: UInt64) throws(Errno) { try lease.set(UInt32(0), end) }

  private func map(_ kind: Counted) -> BPFMap {
    switch kind {
    case .macs: macs
    case .addresses: addresses
    case .subnets: subnets
    }
  }

  /// The entry comes before its count, so that no packet finds a count that lies.
  func add(_ key: some BitwiseCopyable & Sendable, to kind: Counted) throws(Errno) {
    try counts.withLock { counts throws(Errno) in
      guard try map(kind).insert(key, UInt32(1)) else { return }
      counts[keyPath: kind.count] += 1
      try presence.set(UInt32(0), counts)
    }
  }

  func remove(_ key: some BitwiseCopyable & Sendable, from kind: Counted) throws(Errno) {
    try counts.withLock { counts throws(Errno) in
      guard try map(kind).remove(key) else { return }
      counts[keyPath: kind.count] -= 1
      try presence.set(UInt32(0), counts)
    }
  }

  /// As `UplinkFilter.setAddress`.
  func setExternal(_ address: IPAddress?, slot: Int, clearing claims: PortClaims) throws(Errno) {
    try counts.withLock { _ throws(Errno) in
      let wanted = address.map { AddressKey($0) }
      if let address, let other = externals.value(of: AddressKey(address), like: UInt32()), other != slot {
        throw Errno(EEXIST, "give external address \(address) slot \(slot) beside slot \(other)")
      }
      for key in externals.keys(like: AddressKey()) where externals.value(of: key, like: UInt32()) == UInt32(slot) {
        if key == wanted { return }
        try externals.remove(key)
      }
      // Those of nobody, which were set before the address came, as well.
      claims.clear(slot: slot)
      if let wanted { _ = try externals.insert(wanted, UInt32(slot)) }
    }
  }
}
