/// A tag of IEEE 802.1Q or 802.1ad (IEEE 802.1Q-2018, 9.6).
@frozen
public struct VLANTag: Hashable, Sendable {
  /// Of the tag on the wire, type and control information, in bytes.
  public static let length = 4

  /// `.vlan` or `.serviceVLAN`.
  public let type: EtherType
  /// The tag control information, in the host's order.
  public let control: UInt16

  @inlinable
  public init(type: EtherType, control: UInt16) { (self.type, self.control) = (type, control) }

  /// 0...4095; 0 is a frame with a priority and no VLAN, 4095 is reserved.
  @inlinable public var identifier: UInt16 { control & 0x0FFF }

  /// 0...7 (PCP).
  @inlinable public var priority: UInt8 { UInt8(truncatingIfNeeded: control >> 13) }

  /// DEI: to be dropped first under congestion.
  @inlinable public var isDropEligible: Bool { control & 0x1000 != 0 }
}
