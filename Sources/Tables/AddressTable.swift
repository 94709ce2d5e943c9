/// IP addresses of both families, each behind a port, in fixed memory. One thread owns it.
@frozen
public struct AddressTable: ~Copyable {
  public static let capacity = 16_384
  public static let noPort = UInt16.max

  @usableFromInline var table: ChainedTable<UInt16>

  /// - Parameter seed: a secret for the hash.
  public init(seed: UInt64) { table = ChainedTable(capacity: Self.capacity, seed: seed) }

  public var count: Int { table.count }

  /// The port behind which `address` is (IPv4 as ::ffff:a.b.c.d), or `noPort`.
  @inlinable
  @inline(__always)
  public func lookup(_ address: UInt128) -> UInt16 { table.find(address, 0)?.pointee ?? Self.noPort }

  /// - Returns: false where the address is behind another port, or there is no room.
  public mutating func insert(_ address: UInt128, port: UInt16) -> Bool {
    let other = lookup(address)
    return other == Self.noPort ? table.insert(address, 0, port) : other == port
  }

  public mutating func removeAll(port: UInt16) { table.removeAll { $1 == port } }
}
