/// Which port a frame comes in by that a remote VTEP has sent with a VNI; in fixed memory. One thread owns it.
@frozen
public struct RemoteTable: ~Copyable {
  @usableFromInline var ports: ChainedTable<UInt16>
  /// How many remotes each tunnel has. Looked at only for a frame that is of none.
  private var counts: ChainedTable<UInt32>

  /// - Parameters:
  ///   - portCapacity: ports are numbered from 0.
  ///   - seed: a secret for the hashes.
  public init(portCapacity: Int, seed: UInt64) {
    ports = ChainedTable(capacity: portCapacity, seed: seed)
    counts = ChainedTable(capacity: portCapacity, seed: seed)
  }

  /// - Returns: the port, or nil.
  /// - Parameters:
  ///   - source: as `IPAddress.mapped`.
  ///   - tunnel: tells the VNIs of all carriers apart.
  @inlinable
  public func lookup(_ source: UInt128, tunnel: UInt64) -> UInt16? { ports.find(source, tunnel)?.pointee }

  /// There are remotes of the tunnel.
  public func contains(tunnel: UInt64) -> Bool { counts.find(0, tunnel) != nil }

  /// The port has no entry, and the remote none in the tunnel.
  public mutating func insert(_ source: UInt128, tunnel: UInt64, port: UInt16) {
    // Not more than there are ports.
    let hasRoom = ports.insert(source, tunnel, port)
    precondition(hasRoom)
    if let count = counts.find(0, tunnel) {
      count.pointee += 1
    } else {
      _ = counts.insert(0, tunnel, 1)
    }
  }

  /// Without effect where the port has none. Walks all entries.
  public mutating func remove(port: UInt16) {
    var tunnel: UInt64?
    ports.removeAll { word, other in
      if other == port { tunnel = word }
      return other == port
    }
    guard let tunnel, let count = counts.find(0, tunnel) else { return }
    count.pointee -= 1
    if count.pointee == 0 { counts.remove(0, tunnel) }
  }
}
