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

extension VLANTag {
  /// Puts the tag into a frame that has lost it, behind its addresses. What stands before moves forward, so `length` bytes
  /// before the frame's virtio-net header must be free; the frame must hold both addresses.
  /// - Parameter start: where the virtio-net header begins.
  /// - Returns: where it begins then.
  @inlinable
  public func restore(toFrameAt start: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
    var header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(start))
    if header.flags.contains(.needsChecksum) { header.checksumStart &+= UInt16(VLANTag.length) }
    if header.segmentation != .none { header.headerLength &+= UInt16(VLANTag.length) }
    let moved = start - VLANTag.length
    header.store(to: moved)
    let addresses = moved + VirtioNetHeader.length
    addresses.copyMemory(from: addresses + VLANTag.length, byteCount: EthernetView.etherTypeOffset)
    addresses.storeBytes(of: type.rawValue.bigEndian, toByteOffset: EthernetView.etherTypeOffset, as: UInt16.self)
    addresses.storeBytes(of: control.bigEndian, toByteOffset: EthernetView.headerLength, as: UInt16.self)
    return moved
  }
}
