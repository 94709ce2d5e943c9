import Wire

// What the port guard reads of frames beyond addresses.

/// Who is behind a port, as the guard knows it.
struct Station {
  enum Trust {
    /// May send anything.
    case all
    /// May not answer for servers and routers.
    case anyAddress
    /// May speak in its own name only.
    case own
  }

  var trust = Trust.anyAddress
  var mac = MACAddress.zero
  /// Made of its MAC address (RFC 4291, appendix A).
  var linkLocal: UInt128 = 0
  /// Where its addresses stand among all.
  var addresses = 0..<0
}

extension Station {
  init(trust: Trust, mac: MACAddress, addresses: Range<Int>) {
    (self.trust, self.mac, self.addresses) = (trust, mac, addresses)
    let (upper, lower) = (mac.bits >> 24 ^ 0x02_0000, mac.bits & 0xFF_FFFF)
    linkLocal = 0xFE80 << 112 | UInt128(upper << 40 | 0xFF_FE00_0000 | lower)
  }
}

/// The ports of a UDP datagram, also of one whose other fragments are to come.
struct DatagramPorts {
  static let dhcpServer: UInt16 = 67
  static let dhcpClient: UInt16 = 68
  static let dhcpv6Client: UInt16 = 546
  static let dhcpv6Server: UInt16 = 547

  let source: UInt16
  let destination: UInt16

  /// nil where the header is not whole.
  init?(_ bytes: RawSpan) {
    guard bytes.byteCount >= UDPView.headerLength else { return nil }
    source = UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self))
    destination = UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt16.self))
  }

  /// From a server, or to clients, who take it from any port (RFC 8415, 7.2).
  var isDHCPv6Answer: Bool { source == Self.dhcpv6Server || destination == Self.dhcpv6Client }

  /// Answers of servers (RFC 2131, 4.1), and questions in another's name: those would use up the server's addresses.
  func dhcpOffence(_ station: Station, _ datagram: RawSpan) -> PortGuardPolicy.Offence? {
    if source == Self.dhcpServer || destination == Self.dhcpClient { return .dhcp }
    guard destination == Self.dhcpServer && station.trust == .own else { return nil }
    // The client's hardware address: behind 28 bytes of DHCP, of type and length 1 and 6 (RFC 2131, 2).
    let place = UDPView.headerLength + 28
    guard datagram.byteCount >= place + 6 else { return .malformed }
    let kind = UInt16(
      bigEndian: datagram.unsafeLoadUnaligned(fromByteOffset: UDPView.headerLength + 1, as: UInt16.self))
    return kind == 0x0106 && datagram.mac(at: place) == station.mac ? nil : .dhcp
  }
}

/// A message of neighbour discovery (RFC 4861, 4).
struct DiscoveryMessage {
  let type: ICMPv6Type
  /// Of a solicitation or an advertisement.
  private(set) var target: UInt128?
  /// Its fixed part is there, and its options end where it ends.
  private(set) var isWhole = false
  /// It has a link-layer address that is not the one of `init`. All of them are looked at: who gets it may believe any.
  private(set) var namesAnother = false

  /// - Parameter bytes: of the message, from its type on.
  init(_ type: ICMPv6Type, _ bytes: RawSpan, from mac: MACAddress) {
    self.type = type
    var offset = 8
    if type != .routerSolicitation {
      guard bytes.byteCount >= NeighbourDiscoveryView.lengthMin else { return }
      let (high, low) = (
        bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian,
        bytes.unsafeLoadUnaligned(fromByteOffset: 16, as: UInt64.self).bigEndian
      )
      target = UInt128(high) << 64 | UInt128(low)
      offset = NeighbourDiscoveryView.lengthMin
    }
    // Each turn takes at least eight bytes: the packet's length bounds the walk.
    while offset < bytes.byteCount {
      guard offset + 8 <= bytes.byteCount else { return }
      let kind = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
      let length = Int(bytes.unsafeLoad(fromByteOffset: offset + 1, as: UInt8.self)) * 8
      guard length > 0, offset + length <= bytes.byteCount else { return }
      // Source and target link-layer address (RFC 4861, 4.6.1).
      if kind == 1 || kind == 2, length != 8 || bytes.mac(at: offset + 2) != mac { namesAnother = true }
      offset += length
    }
    isWhole = offset == bytes.byteCount
  }

  /// It says that its sender has the target, or would like to have it (RFC 4862, 5.4).
  func claimsTarget(isProbe: Bool) -> Bool {
    type == .neighbourAdvertisement || type == .neighbourSolicitation && isProbe
  }
}

extension ICMPv6Type {
  static var redirect: ICMPv6Type { ICMPv6Type(rawValue: 137) }

  /// A router speaks: advertisement or redirect.
  var isOfRouter: Bool { self == .routerAdvertisement || self == .redirect }

  /// A solicitation, or a neighbour's advertisement.
  var isDiscovery: Bool {
    self == .routerSolicitation || self == .neighbourSolicitation || self == .neighbourAdvertisement
  }

  /// Multicast listener discovery: sent before there is an address, too (RFC 3590).
  var isListenerReport: Bool { rawValue == 131 || rawValue == 132 || rawValue == 143 }
}

extension IPProtocol {
  static var igmp: IPProtocol { IPProtocol(rawValue: 2) }
}

extension RawSpan {
  /// Six bytes in the order of the wire; they must be there.
  func mac(at offset: Int) -> MACAddress {
    let upper = UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    let lower = UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset + 4, as: UInt16.self))
    return MACAddress(bits: UInt64(upper) << 16 | UInt64(lower))
  }
}
