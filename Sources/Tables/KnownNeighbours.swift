import Wire

/// Which MAC address an IP address has in a network, as the control plane says; in fixed memory. One thread owns it.
@frozen
public struct KnownNeighbours: ~Copyable {
  /// Addresses of all networks together.
  public static let capacity = 65_536

  @frozen
  public struct Neighbour: BitwiseCopyable, Equatable, Sendable {
    public let mac: UInt64
    /// It forwards for others: what a neighbour advertisement must not get wrong (RFC 4861, 7.2.5).
    public let isRouter: Bool
    /// Of this host alone: others ask it.
    public let isOwn: Bool

    @inlinable
    public init(mac: MACAddress, isRouter: Bool = false, isOwn: Bool = false) {
      (self.mac, self.isRouter, self.isOwn) = (mac.bits, isRouter, isOwn)
    }

    @inlinable public var address: MACAddress { MACAddress(bits: mac) }
  }

  @usableFromInline var table: ChainedTable<Neighbour>

  /// - Parameter seed: a secret for the hash.
  public init(seed: UInt64) { table = ChainedTable(capacity: Self.capacity, seed: seed) }

  public var count: Int { table.count }

  /// nil where it is not known.
  /// - Parameter address: as `IPAddress.mapped`.
  @inlinable
  public func lookup(_ address: UInt128, network: UInt32) -> Neighbour? {
    table.find(address, UInt64(network))?.pointee
  }

  /// Puts the neighbour in the place of what was known of the address.
  /// - Returns: false where there is no room, or the MAC address is none that a neighbour can have.
  public mutating func set(_ address: UInt128, network: UInt32, to neighbour: Neighbour) -> Bool {
    guard neighbour.address.isValidSource else { return false }
    guard let known = table.find(address, UInt64(network)) else {
      return table.insert(address, UInt64(network), neighbour)
    }
    known.pointee = neighbour
    return true
  }

  public mutating func remove(_ address: UInt128, network: UInt32) { table.remove(address, UInt64(network)) }

  /// Forgets all addresses of the network. Walks all entries.
  public mutating func removeAll(network: UInt32) { table.removeAll { word, _ in word == UInt64(network) } }
}
