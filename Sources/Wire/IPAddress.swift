/// An address of either family.
@frozen
public enum IPAddress: Hashable, Sendable {
  case v4(IPv4Address)
  case v6(IPv6Address)

  public var isIPv6: Bool { if case .v6 = self { true } else { false } }

  /// 32 or 128.
  public var bitWidth: Int { isIPv6 ? 128 : 32 }

  /// The address as a number, in the low `bitWidth` bits.
  public var bits: UInt128 {
    switch self {
    case .v4(let address): UInt128(address.bits)
    case .v6(let address): address.bits
    }
  }

  /// The address of the same family with the number `bits`; bits beyond the width are dropped.
  public func sameFamily(bits: UInt128) -> IPAddress {
    isIPv6 ? .v6(IPv6Address(bits: bits)) : .v4(IPv4Address(bits: UInt32(truncatingIfNeeded: bits)))
  }

  /// 4 or 16 bytes in the order of the wire.
  public var bytes: [UInt8] {
    switch self {
    case .v4(let address): address.bytes
    case .v6(let address): address.bytes
    }
  }

  public init?(bytes: some Collection<UInt8>) {
    if let v4 = IPv4Address(bytes: bytes) {
      self = .v4(v4)
    } else if let v6 = IPv6Address(bytes: bytes) {
      self = .v6(v6)
    } else {
      return nil
    }
  }
}

extension IPAddress: LosslessStringConvertible {
  public init?(_ description: String) {
    if let v4 = IPv4Address(description) {
      self = .v4(v4)
    } else if let v6 = IPv6Address(description) {
      self = .v6(v6)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .v4(let address): address.description
    case .v6(let address): address.description
    }
  }
}
