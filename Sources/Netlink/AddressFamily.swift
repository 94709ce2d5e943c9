import Wire

/// The family of an address, as the kernel numbers it (address_families(7)).
public enum AddressFamily: UInt8, Hashable, Sendable, CaseIterable {
  case ipv4 = 2
  case ipv6 = 10

  /// 0.0.0.0/0 or ::/0.
  public var everything: IPPrefix {
    switch self {
    case .ipv4: IPPrefix(address: .v4(.any), length: 0)!
    case .ipv6: IPPrefix(address: .v6(.any), length: 0)!
    }
  }
}

extension IPAddress {
  public var family: AddressFamily { isIPv6 ? .ipv6 : .ipv4 }
}

extension IPPrefix {
  /// The address of `attribute` with a length that stands in the message's fixed header.
  init?(_ attribute: Attribute, length: UInt8) {
    guard let address = IPAddress(bytes: attribute.bytes) else { return nil }
    self.init(address: address, length: Int(length))
  }
}
