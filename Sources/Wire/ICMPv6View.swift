/// The type of an ICMPv6 message (RFC 4443; RFC 4861, 4).
@frozen
public struct ICMPv6Type: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt8

  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  @inlinable public static var destinationUnreachable: ICMPv6Type { ICMPv6Type(rawValue: 1) }
  @inlinable public static var packetTooBig: ICMPv6Type { ICMPv6Type(rawValue: 2) }
  @inlinable public static var timeExceeded: ICMPv6Type { ICMPv6Type(rawValue: 3) }
  @inlinable public static var parameterProblem: ICMPv6Type { ICMPv6Type(rawValue: 4) }
  @inlinable public static var echoRequest: ICMPv6Type { ICMPv6Type(rawValue: 128) }
  @inlinable public static var echoReply: ICMPv6Type { ICMPv6Type(rawValue: 129) }
  @inlinable public static var routerSolicitation: ICMPv6Type { ICMPv6Type(rawValue: 133) }
  @inlinable public static var routerAdvertisement: ICMPv6Type { ICMPv6Type(rawValue: 134) }
  @inlinable public static var neighbourSolicitation: ICMPv6Type { ICMPv6Type(rawValue: 135) }
  @inlinable public static var neighbourAdvertisement: ICMPv6Type { ICMPv6Type(rawValue: 136) }
}

/// An ICMPv6 message (RFC 4443).
@frozen
public struct ICMPv6View: ~Escapable {
  public static let headerLength = 4

  @usableFromInline static let typeOffset = 0
  @usableFromInline static let codeOffset = 1
  public static let checksumOffset = 2

  @usableFromInline let bytes: RawSpan

  /// nil where the header is not whole.
  @inlinable
  @_lifetime(copy bytes)
  public init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= ICMPv6View.headerLength else { return nil }
    self.bytes = bytes
  }

  @inlinable public var type: ICMPv6Type { ICMPv6Type(rawValue: bytes.uint8(at: ICMPv6View.typeOffset)) }
  @inlinable public var code: UInt8 { bytes.uint8(at: ICMPv6View.codeOffset) }
  @inlinable public var checksum: UInt16 { bytes.uint16(at: ICMPv6View.checksumOffset) }
}

/// A neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4).
@frozen
public struct NeighbourDiscoveryView: ~Escapable {
  /// Without options, in bytes.
  public static let lengthMin = 24

  @usableFromInline static let flagsOffset = 4
  @usableFromInline static let targetOffset = 8

  @usableFromInline static let routerBit: UInt8 = 0x80
  @usableFromInline static let solicitedBit: UInt8 = 0x40
  @usableFromInline static let overrideBit: UInt8 = 0x20

  /// RFC 4861, 4.6.1.
  @usableFromInline static let sourceLinkLayerAddressOption: UInt8 = 1
  @usableFromInline static let targetLinkLayerAddressOption: UInt8 = 2

  @usableFromInline let bytes: RawSpan
  /// false: a solicitation.
  public let isAdvertisement: Bool
  /// The sender's, in a solicitation, or the target's, in an advertisement; nil where the option is not there.
  public let linkLayerAddress: MACAddress?

  /// nil where the message is of another type, is not whole, or has an option of length 0 or beyond its end, which a
  /// node must discard (RFC 4861, 7.1). Checksum and hop limit are not looked at.
  @inlinable
  @_lifetime(copy message)
  public init?(_ message: borrowing ICMPv6View) {
    let bytes = message.bytes
    let isAdvertisement = message.type == .neighbourAdvertisement
    guard isAdvertisement || message.type == .neighbourSolicitation, message.code == 0,
      bytes.byteCount >= NeighbourDiscoveryView.lengthMin
    else { return nil }
    let wanted =
      isAdvertisement
      ? NeighbourDiscoveryView.targetLinkLayerAddressOption : NeighbourDiscoveryView.sourceLinkLayerAddressOption
    var linkLayerAddress: MACAddress?
    var offset = NeighbourDiscoveryView.lengthMin
    // Each turn takes at least eight bytes: the packet's length bounds the walk.
    while offset < bytes.byteCount {
      guard offset &+ 8 <= bytes.byteCount else { return nil }
      let length = Int(bytes.uint8(at: offset &+ 1)) &* 8
      guard length > 0, offset &+ length <= bytes.byteCount else { return nil }
      if bytes.uint8(at: offset) == wanted && length == 8 { linkLayerAddress = bytes.macAddress(at: offset &+ 2) }
      offset &+= length
    }
    self.bytes = bytes
    self.isAdvertisement = isAdvertisement
    self.linkLayerAddress = linkLayerAddress
  }

  /// The address that is asked for or told.
  @inlinable public var target: IPv6Address { bytes.ipv6Address(at: NeighbourDiscoveryView.targetOffset) }

  /// Advertisements only: the sender is a router.
  @inlinable public var isRouter: Bool { hasFlag(NeighbourDiscoveryView.routerBit) }
  /// Advertisements only: the answer to a solicitation.
  @inlinable public var isSolicited: Bool { hasFlag(NeighbourDiscoveryView.solicitedBit) }
  /// Advertisements only: replaces what is known of the target.
  @inlinable public var isOverride: Bool { hasFlag(NeighbourDiscoveryView.overrideBit) }

  @inlinable
  func hasFlag(_ bit: UInt8) -> Bool {
    isAdvertisement && bytes.uint8(at: NeighbourDiscoveryView.flagsOffset) & bit != 0
  }
}
