/// A frame from its destination address on, without preamble and check sequence (IEEE 802.3-2018, 3.1.1).
///
/// As with every view in this module: `init?` checks once that the header is whole, and then no accessor can fail.
@frozen
public struct EthernetView: ~Escapable {
  public static let headerLength = 14

  @usableFromInline static let destinationOffset = 0
  @usableFromInline static let sourceOffset = 6
  public static let etherTypeOffset = 12

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

  @usableFromInline let frame: RawSpan
  /// 0...`tagCountMax`.
  public let tagCount: Int

  /// nil where the frame ends within a tag.
  @inlinable
  @inline(__always)
  @_lifetime(copy frame)
  public init?(_ frame: borrowing EthernetView) {
    self.frame = frame.bytes
    var tagCount = 0
    while tagCount < EthernetPayload.tagCountMax && EthernetPayload.typeField(frame.bytes, tagCount).isVLAN {
      tagCount &+= 1
      guard frame.bytes.byteCount >= EthernetView.headerLength &+ tagCount &* VLANTag.length else { return nil }
    }
    self.tagCount = tagCount
  }

  /// The type behind that many tags: each tag moves it by the tag's length.
  @inlinable
  @inline(__always)
  static func typeField(_ frame: RawSpan, _ tagCount: Int) -> EtherType {
    EtherType(rawValue: frame.uint16(at: EthernetView.etherTypeOffset &+ tagCount &* VLANTag.length))
  }

  @inlinable
  func tag(_ index: Int) -> VLANTag? {
    guard index < tagCount else { return nil }
    let control = frame.uint16(at: EthernetView.headerLength &+ index &* VLANTag.length)
    return VLANTag(type: EthernetPayload.typeField(frame, index), control: control)
  }

  /// The type behind the tags.
  @inlinable public var etherType: EtherType { EthernetPayload.typeField(frame, tagCount) }

  /// From the frame's start to the payload, in bytes: 14, 18 or 22.
  @inlinable public var offset: Int { EthernetView.headerLength &+ tagCount &* VLANTag.length }

  @inlinable public var outerTag: VLANTag? { tag(0) }

  /// The second tag; nil where there are not two.
  @inlinable public var innerTag: VLANTag? { tag(1) }

  @inlinable
  public var bytes: RawSpan {
    @_lifetime(copy self) get { frame.extracting(droppingFirst: offset) }
  }
}
