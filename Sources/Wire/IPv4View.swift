/// An IPv4 packet (RFC 791).
@frozen
public struct IPv4View: ~Escapable {
  /// Without options, in bytes.
  public static let headerLengthMin = 20

  @usableFromInline static let versionOffset = 0
  @usableFromInline static let trafficClassOffset = 1
  @usableFromInline static let totalLengthOffset = 2
  @usableFromInline static let identificationOffset = 4
  @usableFromInline static let fragmentOffset = 6
  @usableFromInline static let timeToLiveOffset = 8
  @usableFromInline static let protocolOffset = 9
  public static let checksumOffset = 10
  public static let sourceOffset = 12
  public static let destinationOffset = 16

  @usableFromInline static let dontFragmentBit: UInt16 = 0x4000
  @usableFromInline static let moreFragmentsBit: UInt16 = 0x2000
  @usableFromInline static let fragmentOffsetMask: UInt16 = 0x1FFF

  /// The packet without what stands behind it in the frame.
  @usableFromInline let bytes: RawSpan
  /// With options, in bytes.
  public let headerLength: Int

  /// nil where the version is another, the header is not whole, or the total length lies outside of `bytes`.
  /// The header checksum is not looked at.
  @inlinable
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= IPv4View.headerLengthMin else { return nil }
    let versionAndLength = bytes.uint8(at: IPv4View.versionOffset)
    let headerLength = Int(versionAndLength & 0x0F) &* 4
    let totalLength = Int(bytes.uint16(at: IPv4View.totalLengthOffset))
    guard versionAndLength >> 4 == 4, headerLength >= IPv4View.headerLengthMin, headerLength <= totalLength,
      totalLength <= bytes.byteCount
    else { return nil }
    self.bytes = bytes.extracting(first: totalLength)
    self.headerLength = headerLength
  }

  /// Header and payload, in bytes.
  @inlinable public var totalLength: Int { bytes.byteCount }

  /// DSCP and ECN (RFC 2474, RFC 3168).
  @inlinable public var trafficClass: UInt8 { bytes.uint8(at: IPv4View.trafficClassOffset) }
  @inlinable public var identification: UInt16 { bytes.uint16(at: IPv4View.identificationOffset) }
  @inlinable public var timeToLive: UInt8 { bytes.uint8(at: IPv4View.timeToLiveOffset) }
  @inlinable public var `protocol`: IPProtocol { IPProtocol(rawValue: bytes.uint8(at: IPv4View.protocolOffset)) }
  /// As it stands in the packet.
  @inlinable public var checksum: UInt16 { bytes.uint16(at: IPv4View.checksumOffset) }
  @inlinable public var source: IPv4Address { bytes.ipv4Address(at: IPv4View.sourceOffset) }
  @inlinable public var destination: IPv4Address { bytes.ipv4Address(at: IPv4View.destinationOffset) }

  @inlinable
  public var dontFragment: Bool { bytes.uint16(at: IPv4View.fragmentOffset) & IPv4View.dontFragmentBit != 0 }

  @inlinable
  public var moreFragments: Bool { bytes.uint16(at: IPv4View.fragmentOffset) & IPv4View.moreFragmentsBit != 0 }

  /// Where the payload belongs in the whole packet's payload, in bytes. Other than 0, it does not begin with a header.
  @inlinable
  public var payloadPosition: Int {
    Int(bytes.uint16(at: IPv4View.fragmentOffset) & IPv4View.fragmentOffsetMask) &* 8
  }

  @inlinable public var isFragment: Bool { moreFragments || payloadPosition != 0 }

  @inlinable
  public var isChecksumValid: Bool {
    InternetChecksum.isValid(bytes.extracting(first: headerLength))
  }

  @inlinable
  public var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(droppingFirst: headerLength) }
  }
}
