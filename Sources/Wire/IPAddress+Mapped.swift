extension IPv4Address {
  /// The address as IPv6 has it, ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): how tables of both families hold it.
  @inlinable public var mapped: UInt128 { 0xFFFF << 32 | UInt128(bits) }
}

extension IPAddress {
  @inlinable
  public var mapped: UInt128 {
    switch self {
    case .v4(let address): address.mapped
    case .v6(let address): address.bits
    }
  }

  /// The address of which `mapped` is that number.
  @inlinable
  public init(mapped: UInt128) {
    self =
      mapped >> 32 == 0xFFFF
      ? .v4(IPv4Address(bits: UInt32(truncatingIfNeeded: mapped))) : .v6(IPv6Address(bits: mapped))
  }
}
