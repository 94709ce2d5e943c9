import Glibc
import Wire

/// Which MAC address an IP address has in a network, as the control plane says; in fixed memory. One thread owns it.
///
/// Chains with a keyed hash. Lookups are the frames'; the rest is the control plane's.
@frozen
public struct KnownNeighbours: ~Copyable {
  /// Addresses of all networks together: 48 bytes each, of which memory is taken as they come.
  public static let capacity = 65_536

  @frozen
  public struct Neighbour: BitwiseCopyable, Equatable, Sendable {
    public let mac: UInt64
    /// It forwards for others: what a neighbour advertisement must not get wrong (RFC 4861, 7.2.5).
    public let isRouter: Bool

    @inlinable
    public init(mac: MACAddress, isRouter: Bool = false) { (self.mac, self.isRouter) = (mac.bits, isRouter) }

    @inlinable public var address: MACAddress { MACAddress(bits: mac) }
  }

  @frozen
  @usableFromInline
  struct Entry: BitwiseCopyable {
    @usableFromInline var address: UInt128 = 0
    @usableFromInline var neighbour = Neighbour(mac: MACAddress(bits: 0))
    @usableFromInline var network: UInt32 = 0
    /// Of the same chain, or of the free ones; 0: no more.
    @usableFromInline var next: UInt32 = 0
  }

  @usableFromInline let entries: UnsafeMutablePointer<Entry>
  @usableFromInline let chains: HashChains
  @usableFromInline let hash: KeyedHash
  /// Entries that have been in use; those that are no longer are in a list.
  private var used: UInt32 = 0
  private var free: UInt32 = 0
  public private(set) var count = 0

  /// - Parameter seed: a secret for the hash.
  public init(seed: UInt64) {
    entries = zeroed(Self.capacity + 1)
    chains = HashChains(capacity: Self.capacity)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    Glibc.free(entries)
    chains.deallocate()
  }

  @inlinable
  @inline(__always)
  func link(_ address: UInt128, _ network: UInt32) -> UnsafeMutablePointer<UInt32> {
    chains.head(hash(address, UInt64(network)))
  }

  /// nil where it is not known.
  /// - Parameter address: as `IPAddress.mapped`.
  @inlinable
  public func lookup(_ address: UInt128, network: UInt32) -> Neighbour? {
    var index = Int(link(address, network).pointee)
    while index != 0 {
      let entry = entries + index
      if entry.pointee.address == address && entry.pointee.network == network { return entry.pointee.neighbour }
      index = Int(entry.pointee.next)
    }
    return nil
  }

  /// Puts the neighbour in the place of what was known of the address.
  /// - Returns: false where there is no room, or the MAC address is none that a neighbour can have.
  public mutating func set(_ address: UInt128, network: UInt32, to neighbour: Neighbour) -> Bool {
    guard neighbour.address.isValidSource else { return false }
    let head = link(address, network)
    var index = head.pointee
    while index != 0 {
      let entry = entries + Int(index)
      if entry.pointee.address == address && entry.pointee.network == network {
        entry.pointee.neighbour = neighbour
        return true
      }
      index = entry.pointee.next
    }
    index = free
    if index != 0 {
      free = entries[Int(index)].next
    } else {
      guard used < Self.capacity else { return false }
      used += 1
      index = used
    }
    entries[Int(index)] = Entry(address: address, neighbour: neighbour, network: network, next: head.pointee)
    head.pointee = index
    count += 1
    return true
  }

  public mutating func remove(_ address: UInt128, network: UInt32) {
    var link = link(address, network)
    while link.pointee != 0 {
      let index = link.pointee
      let entry = entries + Int(index)
      if entry.pointee.address == address && entry.pointee.network == network {
        link.pointee = entry.pointee.next
        entry.pointee = Entry(next: free)
        free = index
        count -= 1
        return
      }
      link = entry.pointer(to: \.next)!
    }
  }

  /// Forgets all addresses of the network. Walks all entries.
  public mutating func removeAll(network: UInt32) {
    guard count > 0 else { return }
    for index in 1...Int(used) where entries[index].network == network && entries[index].neighbour.mac != 0 {
      remove(entries[index].address, network: network)
    }
  }
}
