import Glibc

/// IP addresses of both families, each behind a port, in fixed memory. One thread owns it.
///
/// Chains with a keyed hash. Lookups are the frames'; the rest is the control plane's and walks all entries.
@frozen
public struct AddressTable: ~Copyable {
  public static let capacity = 16_384
  public static let noPort = UInt16.max

  @frozen
  @usableFromInline
  struct Entry: BitwiseCopyable {
    @usableFromInline var address: UInt128 = 0
    /// Of the same chain, or of the free ones; 0: no more.
    @usableFromInline var next: UInt32 = 0
    @usableFromInline var port = AddressTable.noPort
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

  /// The port behind which `address` is (IPv4 as ::ffff:a.b.c.d), or `noPort`.
  @inlinable
  @inline(__always)
  public func lookup(_ address: UInt128) -> UInt16 {
    var index = Int(chains.head(hash(address, 0)).pointee)
    while index != 0 {
      if entries[index].address == address { return entries[index].port }
      index = Int(entries[index].next)
    }
    return Self.noPort
  }

  /// - Returns: false where the address is behind another port, or there is no room.
  public mutating func insert(_ address: UInt128, port: UInt16) -> Bool {
    let other = lookup(address)
    guard other == Self.noPort else { return other == port }
    var index = free
    if index != 0 {
      free = entries[Int(index)].next
    } else {
      guard used < Self.capacity else { return false }
      used += 1
      index = used
    }
    let head = chains.head(hash(address, 0))
    entries[Int(index)] = Entry(address: address, next: head.pointee, port: port)
    head.pointee = index
    count += 1
    return true
  }

  public mutating func removeAll(port: UInt16) {
    guard count > 0 else { return }
    for index in 1...used where entries[Int(index)].port == port { remove(index) }
  }

  private mutating func remove(_ index: UInt32) {
    var link = chains.head(hash(entries[Int(index)].address, 0))
    while link.pointee != index {
      link = (entries + Int(link.pointee)).pointer(to: \.next)!
    }
    link.pointee = entries[Int(index)].next
    entries[Int(index)] = Entry(next: free)
    free = index
    count -= 1
  }
}
