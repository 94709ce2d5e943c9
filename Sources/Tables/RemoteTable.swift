import Glibc

/// Which port a frame comes in by that a remote VTEP has sent with a VNI; in fixed memory. One thread owns it.
///
/// Chains with a keyed hash; an entry stands at the number of its port.
@frozen
public struct RemoteTable: ~Copyable {
  @frozen
  @usableFromInline
  struct Entry: BitwiseCopyable {
    @usableFromInline var source: UInt128 = 0
    @usableFromInline var tunnel: UInt64 = 0
    /// The port and 1 of the next of the same chain; 0: no more.
    @usableFromInline var next: UInt32 = 0
    @usableFromInline var isTaken = false
  }

  @usableFromInline let entries: UnsafeMutablePointer<Entry>
  @usableFromInline let chains: HashChains
  @usableFromInline let hash: KeyedHash
  /// Remotes of each tunnel. Looked at only for a frame that is of none.
  private var counts: [UInt64: Int] = [:]

  /// - Parameters:
  ///   - portCapacity: ports are numbered from 0.
  ///   - seed: a secret for the hash.
  public init(portCapacity: Int, seed: UInt64) {
    entries = zeroed(portCapacity)
    chains = HashChains(capacity: portCapacity)
    hash = KeyedHash(seed: seed)
  }

  deinit {
    free(entries)
    chains.deallocate()
  }

  /// - Returns: the port, or nil.
  /// - Parameters:
  ///   - source: as `IPAddress.mapped`.
  ///   - tunnel: tells the VNIs of all carriers apart.
  @inlinable
  public func lookup(_ source: UInt128, tunnel: UInt64) -> UInt16? {
    var index = chains.head(hash(source, tunnel)).pointee
    while index != 0 {
      let entry = entries + Int(index &- 1)
      if entry.pointee.source == source && entry.pointee.tunnel == tunnel {
        return UInt16(truncatingIfNeeded: index &- 1)
      }
      index = entry.pointee.next
    }
    return nil
  }

  /// There are remotes of the tunnel.
  public func contains(tunnel: UInt64) -> Bool { counts[tunnel] != nil }

  /// The port has no entry, and the remote none in the tunnel.
  public mutating func insert(_ source: UInt128, tunnel: UInt64, port: UInt16) {
    precondition(!entries[Int(port)].isTaken && lookup(source, tunnel: tunnel) == nil)
    let head = chains.head(hash(source, tunnel))
    entries[Int(port)] = Entry(source: source, tunnel: tunnel, next: head.pointee, isTaken: true)
    head.pointee = UInt32(port) + 1
    counts[tunnel, default: 0] += 1
  }

  /// Without effect where the port has none.
  public mutating func remove(port: UInt16) {
    let entry = entries[Int(port)]
    guard entry.isTaken else { return }
    var link = chains.head(hash(entry.source, entry.tunnel))
    while link.pointee != UInt32(port) + 1 { link = (entries + Int(link.pointee - 1)).pointer(to: \.next)! }
    link.pointee = entry.next
    entries[Int(port)] = Entry()
    counts[entry.tunnel]! -= 1
    if counts[entry.tunnel] == 0 { counts[entry.tunnel] = nil }
  }
}
