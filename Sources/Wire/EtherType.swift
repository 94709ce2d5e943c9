/// The type field of an Ethernet frame, in the host's order. The field is a length where it is under 0x0600
/// (IEEE 802.3-2018, 3.2.6).
@frozen
public struct EtherType: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt16

  @inlinable
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  @inlinable public static var ipv4: EtherType { EtherType(rawValue: 0x0800) }
  @inlinable public static var arp: EtherType { EtherType(rawValue: 0x0806) }
  /// The tag of IEEE 802.1Q ("C-tag").
  @inlinable public static var vlan: EtherType { EtherType(rawValue: 0x8100) }
  @inlinable public static var ipv6: EtherType { EtherType(rawValue: 0x86DD) }
  /// The service tag of IEEE 802.1ad ("S-tag").
  @inlinable public static var serviceVLAN: EtherType { EtherType(rawValue: 0x88A8) }

  /// What follows is a VLAN tag.
  @inlinable public var isVLAN: Bool { self == .vlan || self == .serviceVLAN }

  /// The field is the payload's length, not its type.
  @inlinable public var isLength: Bool { rawValue < 0x0600 }
}
