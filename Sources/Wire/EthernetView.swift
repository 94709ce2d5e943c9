/// A frame from its destination address on, without preamble and check sequence (IEEE 802.3-2018, 3.1.1).
///
/// As with every view in this module: `init?` checks once that the header is whole, and then no accessor can fail.
@frozen
public struct EthernetView: ~Escapable {
  public static let headerLength = 14

  @usableFromInline static let destinationOffset = 0
  @usableFromInline static let sourceOffset = 6
  @usableFromInline static let etherTypeOffset = 12

  public let bytes: RawSpan

  /// nil where the header is not whole.
  @inlinable
  @inline(__always)
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= EthernetView.headerLength else { return nil }
    self.bytes = bytes
  }

  @inlinable
  @inline(__always)
  public var destination: MACAddress { bytes.macAddress(at: EthernetView.destinationOffset) }

  @inlinable
  @inline(__always)
  public var source: MACAddress { bytes.macAddress(at: EthernetView.sourceOffset) }

  /// The type field as it stands behind the addresses: that of a VLAN tag where there is one.
  @inlinable
  @inline(__always)
  public var etherType: EtherType { EtherType(rawValue: bytes.uint16(at: EthernetView.etherTypeOffset)) }
}

/// What a frame carries, behind its VLAN tags.
@frozen
public struct EthernetPayload: ~Escapable {
  /// Tags that are skipped: a customer's within a service provider's (IEEE 802.1ad). A third is left as the payload.
  public static let tagCountMax = 2

  /// The type behind the tags.
  public let etherType: EtherType
  /// From the frame's start to the payload, in bytes: 14, 18 or 22.
  public let offset: Int
  public let outerTag: VLANTag?
  /// The second tag; nil where there are not two.
  public let innerTag: VLANTag?
  public let bytes: RawSpan

  /// nil where the frame ends within a tag.
  @inlinable
  @_lifetime(copy frame)
  public init?(_ frame: borrowing EthernetView) {
    var etherType = frame.etherType
    var offset = EthernetView.headerLength
    var tags: (VLANTag?, VLANTag?) = (nil, nil)
    var tagCount = 0
    while etherType.isVLAN && tagCount < EthernetPayload.tagCountMax {
      guard frame.bytes.byteCount >= offset &+ VLANTag.length else { return nil }
      let tag = VLANTag(type: etherType, control: frame.bytes.uint16(at: offset))
      if tagCount == 0 { tags.0 = tag } else { tags.1 = tag }
      etherType = EtherType(rawValue: frame.bytes.uint16(at: offset &+ 2))
      offset &+= VLANTag.length
      tagCount &+= 1
    }
    self.etherType = etherType
    self.offset = offset
    (outerTag, innerTag) = tags
    bytes = frame.bytes.extracting(droppingFirst: offset)
  }
}
