import Wire

/// The headers of an IP packet where it lies in its frame, checked and read once: a router's view of it.
///
/// Lengths lie: nothing that this value points to is beyond the packet, nor the packet beyond the frame. A plain value, as long as the
/// frame's memory.
struct Packet: BitwiseCopyable {
  /// Where the IP header begins.
  let header: UnsafeMutableRawPointer
  /// Bytes of header and payload.
  let length: Int
  /// Bytes from the IP header to the transport's.
  let transport: Int
  let isIPv6: Bool
  let `protocol`: IPProtocol
  /// As `IPAddress.mapped`.
  let source: UInt128
  let destination: UInt128
  /// nil: the packet is whole.
  let fragment: Fragment?
  /// Of TCP and UDP; the identifier of an ICMP query is both. 0 where there is no such header.
  let sourcePort: UInt16
  let destinationPort: UInt16

  struct Fragment: BitwiseCopyable, Hashable {
    /// Bytes from the beginning of the whole packet's payload.
    let position: Int
    let hasMore: Bool
    let identification: UInt32
  }

  /// nil where the packet is not whole or contradicts itself.
  /// - Parameters:
  ///   - header: where the IP header is said to begin.
  ///   - available: bytes from there to the frame's end.
  ///   - isSegmented: TCP or UDP that is yet to be cut: lengths are those of the whole.
  init?(_ header: UnsafeMutableRawPointer, available: Int, isIPv6: Bool) {
    let bytes = RawSpan(_unsafeStart: UnsafeRawPointer(header), byteCount: available)
    self.header = header
    self.isIPv6 = isIPv6
    if isIPv6 {
      guard let packet = IPv6View(bytes), let upper = IPv6UpperLayer(packet) else { return nil }
      length = IPv6View.headerLength &+ packet.payload.byteCount
      transport = upper.offset
      `protocol` = upper.protocol
      source = packet.source.bits
      destination = packet.destination.bits
      fragment =
        upper.isFragment
        ? Fragment(
          position: upper.fragmentPosition, hasMore: upper.hasMoreFragments, identification: upper.identification)
        : nil
    } else {
      guard let packet = IPv4View(bytes), packet.isChecksumValid else { return nil }
      length = packet.totalLength
      transport = packet.headerLength
      `protocol` = packet.protocol
      source = packet.source.mapped
      destination = packet.destination.mapped
      fragment =
        packet.isFragment
        ? Fragment(
          position: packet.payloadPosition, hasMore: packet.moreFragments,
          identification: UInt32(packet.identification)) : nil
    }
    guard fragment == nil || fragment!.position &+ length &- transport <= 0xFFFF else { return nil }
    if (fragment?.position ?? 0) != 0 {
      (sourcePort, destinationPort) = (0, 0)
    } else {
      guard let ports = Self.ports(header + transport, length &- transport, `protocol`, fragment != nil) else {
        return nil
      }
      (sourcePort, destinationPort) = ports
    }
  }

  /// The ports, where the transport's header is whole and its length is the packet's.
  static func ports(
    _ memory: UnsafeMutableRawPointer, _ length: Int, _ protocol: IPProtocol, _ isFragment: Bool
  ) -> (UInt16, UInt16)? {
    let bytes = RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: length)
    switch `protocol` {
    case .tcp:
      guard let tcp = TCPView(bytes) else { return nil }
      return (tcp.sourcePort, tcp.destinationPort)
    case .udp:
      guard length >= UDPView.headerLength, isFragment || UDPView(bytes) != nil else { return nil }
      let word = memory.loadUnaligned(as: UInt32.self).bigEndian
      return (UInt16(word >> 16), UInt16(truncatingIfNeeded: word))
    case .icmp, .icmpv6:
      guard length >= ICMPMessage.headerLength else { return nil }
      let message = ICMPMessage(memory, length: length, isIPv6: `protocol` == .icmpv6)
      return message.isQuery ? (message.identifier, message.identifier) : (0, 0)
    default: return (0, 0)
    }
  }

  /// TCP, UDP or an ICMP query, of which there can be sessions.
  var hasPorts: Bool {
    switch `protocol` {
    case .tcp, .udp: true
    case .icmp, .icmpv6: icmp.isQuery
    default: false
    }
  }

  /// Only of ICMP and ICMPv6, and of no fragment but the first.
  var icmp: ICMPMessage {
    ICMPMessage(header + transport, length: length &- transport, isIPv6: `protocol` == .icmpv6)
  }

  var timeToLive: UInt8 { header.load(fromByteOffset: isIPv6 ? 7 : 8, as: UInt8.self) }

  /// IPv4's DF; an IPv6 packet is never to be fragmented on its way.
  var dontFragment: Bool { isIPv6 || header.load(fromByteOffset: 6, as: UInt8.self) & 0x40 != 0 }

  var tcp: TCPSegment { TCPSegment(header + transport, length: length &- transport) }
}

/// An ICMP or ICMPv6 message of at least `headerLength` bytes.
struct ICMPMessage: BitwiseCopyable {
  static let headerLength = 8

  let memory: UnsafeMutableRawPointer
  let length: Int
  let isIPv6: Bool

  init(_ memory: UnsafeMutableRawPointer, length: Int, isIPv6: Bool) {
    (self.memory, self.length, self.isIPv6) = (memory, length, isIPv6)
  }

  var type: UInt8 { memory.load(as: UInt8.self) }
  var code: UInt8 { memory.load(fromByteOffset: 1, as: UInt8.self) }

  /// Echo, of which there are requests and replies (RFC 792, RFC 4443). The other queries of RFC 792 are long out of use.
  var isQuery: Bool { isRequest || (isIPv6 ? type == 129 : type == 0) }
  var isRequest: Bool { isIPv6 ? type == 128 : type == 8 }

  var identifier: UInt16 { memory.loadUnaligned(fromByteOffset: 4, as: UInt16.self).bigEndian }

  /// Quotes a packet: destination unreachable, time exceeded, parameter problem, packet too big.
  var isError: Bool { isIPv6 ? (1...4).contains(type) : type == 3 || type == 11 || type == 12 }
}

/// What a router looks at in a TCP header that is whole.
struct TCPSegment: BitwiseCopyable {
  let headerLength: Int
  let sequence: UInt32
  let acknowledgment: UInt32
  let flags: TCPFlags
  let window: UInt16
  /// Sequence numbers that the segment takes: its payload, SYN and FIN.
  let advance: UInt32
  /// Of the window, from the option of a SYN (RFC 7323, 2.2); nil: there is none.
  let windowScale: UInt8?
  /// Where the value of the maximum segment size option stands, from the TCP header on; 0: there is none.
  let segmentSizeOffset: Int

  init(_ memory: UnsafeMutableRawPointer, length: Int) {
    let bytes = RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: length)
    // The packet's reader has seen that the header is whole.
    let view = TCPView(bytes)!
    headerLength = view.headerLength
    (sequence, acknowledgment) = (view.sequenceNumber, view.acknowledgmentNumber)
    (flags, window) = (view.flags, view.window)
    advance =
      UInt32(truncatingIfNeeded: length &- view.headerLength) &+ (flags.contains(.syn) ? 1 : 0)
      &+ (flags.contains(.fin) ? 1 : 0)
    var (scale, sizeOffset): (UInt8?, Int) = (nil, 0)
    if flags.contains(.syn) {
      var offset = TCPView.headerLengthMin
      while offset &+ 1 < view.headerLength {
        let kind = memory.load(fromByteOffset: offset, as: UInt8.self)
        // End of options; no operation (RFC 9293, 3.2).
        if kind == 0 { break }
        if kind == 1 {
          offset &+= 1
          continue
        }
        let size = Int(memory.load(fromByteOffset: offset &+ 1, as: UInt8.self))
        guard size >= 2, offset &+ size <= view.headerLength else { break }
        if kind == 2 && size == 4 { sizeOffset = offset &+ 2 }
        // More than 14 counts as 14 (RFC 7323, 2.3).
        if kind == 3 && size == 3 { scale = min(14, memory.load(fromByteOffset: offset &+ 2, as: UInt8.self)) }
        offset &+= size
      }
    }
    (windowScale, segmentSizeOffset) = (scale, sizeOffset)
  }
}
