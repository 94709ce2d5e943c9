/// An IPv6 packet (RFC 8200).
@frozen
public struct IPv6View: ~Escapable {
  /// Without extension headers, in bytes.
  public static let headerLength = 40

  @usableFromInline static let versionOffset = 0
  @usableFromInline static let payloadLengthOffset = 4
  @usableFromInline static let nextHeaderOffset = 6
  @usableFromInline static let hopLimitOffset = 7
  public static let sourceOffset = 8
  public static let destinationOffset = 24

  /// The packet without what stands behind it in the frame.
  @usableFromInline let bytes: RawSpan

  /// nil where the version is another, the header is not whole, or the payload is longer than `bytes` has room for.
  /// Jumbograms (RFC 2675) are taken as packets without payload.
  @inlinable
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= IPv6View.headerLength, bytes.uint8(at: IPv6View.versionOffset) >> 4 == 6 else {
      return nil
    }
    let length = IPv6View.headerLength &+ Int(bytes.uint16(at: IPv6View.payloadLengthOffset))
    guard length <= bytes.byteCount else { return nil }
    self.bytes = bytes.extracting(first: length)
  }

  /// DSCP and ECN.
  @inlinable
  public var trafficClass: UInt8 { UInt8(truncatingIfNeeded: bytes.uint16(at: IPv6View.versionOffset) >> 4) }
  /// 20 bits.
  @inlinable public var flowLabel: UInt32 { bytes.uint32(at: IPv6View.versionOffset) & 0xF_FFFF }
  /// The first header behind this one, which may be an extension header.
  @inlinable public var nextHeader: IPProtocol { IPProtocol(rawValue: bytes.uint8(at: IPv6View.nextHeaderOffset)) }
  @inlinable public var hopLimit: UInt8 { bytes.uint8(at: IPv6View.hopLimitOffset) }
  @inlinable public var source: IPv6Address { bytes.ipv6Address(at: IPv6View.sourceOffset) }
  @inlinable public var destination: IPv6Address { bytes.ipv6Address(at: IPv6View.destinationOffset) }

  /// All that follows the fixed header, extension headers too.
  @inlinable
  public var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(droppingFirst: IPv6View.headerLength) }
  }
}

/// What an IPv6 packet carries, behind its extension headers.
@frozen
public struct IPv6UpperLayer: ~Escapable {
  /// Extension headers that are walked. RFC 8200, 4.1 has seven in its recommended order; more than one of a kind is rare.
  public static let extensionHeaderCountMax = 8

  /// The protocol of `bytes`; an extension header's only where its inside cannot be read.
  public let `protocol`: IPProtocol
  /// From the fixed header's start, in bytes.
  public let offset: Int
  public let isFragment: Bool
  /// Behind this fragment there is another.
  public let hasMoreFragments: Bool
  /// Of the packet's fragments; 0 where it is none.
  public let identification: UInt32
  /// Where `bytes` belongs in the whole packet, in bytes from its fragmentable part. Other than 0, `bytes` does not
  /// begin with a header.
  public let fragmentPosition: Int
  public let bytes: RawSpan

  /// nil where the packet ends within an extension header or has too many of them.
  @inlinable
  @_lifetime(copy packet)
  public init?(_ packet: borrowing IPv6View) {
    let payload = packet.payload
    var header = packet.nextHeader
    var offset = 0
    var headerCount = 0
    var fragment: UInt16?
    var identification: UInt32 = 0
    // Behind the header of a fragment that is not the first stands data, no header.
    while header.isIPv6Extension && (fragment ?? 0) & IPv6UpperLayer.fragmentPositionMask == 0 {
      guard headerCount < IPv6UpperLayer.extensionHeaderCountMax, offset &+ 8 <= payload.byteCount else { return nil }
      let lengthField = Int(payload.uint8(at: offset &+ 1))
      let length: Int
      switch header {
      case .fragment:
        fragment = payload.uint16(at: offset &+ 2)
        identification = payload.uint32(at: offset &+ 4)
        length = 8
      case .authentication: length = (lengthField &+ 2) &* 4  // RFC 4302, 2.2
      default: length = (lengthField &+ 1) &* 8
      }
      header = IPProtocol(rawValue: payload.uint8(at: offset))
      offset &+= length
      headerCount &+= 1
      guard offset <= payload.byteCount else { return nil }
    }
    self.protocol = header
    self.offset = IPv6View.headerLength &+ offset
    isFragment = fragment != nil
    hasMoreFragments = (fragment ?? 0) & 1 != 0
    self.identification = identification
    fragmentPosition = Int((fragment ?? 0) & IPv6UpperLayer.fragmentPositionMask)
    bytes = payload.extracting(droppingFirst: offset)
  }

  /// The field counts in units of eight bytes and stands three bits up: so it is bytes, with the flags cleared.
  @usableFromInline static let fragmentPositionMask: UInt16 = 0xFFF8
}

extension IPProtocol {
  /// An extension header whose length can be told (RFC 8200, 4; RFC 4302; RFC 6275). ESP is not: what follows is encrypted.
  @inlinable
  var isIPv6Extension: Bool {
    switch self {
    case .hopByHopOptions, .routing, .fragment, .authentication, .destinationOptions, .mobility: true
    default: false
    }
  }
}
