import Wire

// Theory of operation.
//
// A receiver is woken, and its stack walked, once for each frame that is written to its TAP. Small UDP frames of one flow that
// arrive in one burst can be written as one frame with VIRTIO_NET_HDR_GSO_UDP_L4: the headers of the first, then all payloads,
// each of the same size. The receiver's kernel walks its stack once and cuts the payloads apart at the socket, so programs
// see the datagrams as they were sent.
//
// A datagram that has crossed a wire has a complete checksum: where that is right it is made a partial one again (`leaveChecksum`).
//
// Only frames whose checksum is still to be completed can join (their bytes need not be summed again), whose headers differ
// in nothing but length, identification and checksum, without options, extension headers, tags or fragments. The order within
// a flow is kept: whoever gathers must write what it has of a port before it writes to that port a frame that did not join.

/// What must be equal for UDP frames to be joined, and how long their payload is.
@frozen
public struct UDPFlow: BitwiseCopyable {
  /// A payload larger than this gains nothing: the frame is as large as the MTU.
  public static let payloadBytesMax = 1400
  /// Frames that one segmented frame may hold (UDP_MAX_SEGMENTS of linux/udp.h before Linux 6.9).
  public static let framesMax = 64
  /// Of all payloads together: the IPv4 total length is 16 bits.
  public static let gatheredBytesMax = 64_000
  /// With the headers, from the Ethernet header on.
  static let gatheredFrameBytesMax = gatheredBytesMax + 62

  @usableFromInline let destinationAndType: UInt64
  @usableFromInline let source: UInt64
  /// Version, traffic class, time to live and protocol.
  @usableFromInline let network: UInt64
  @usableFromInline let ports: UInt32
  @usableFromInline let addressesHigh: UInt128
  @usableFromInline let addressesLow: UInt128
  public let payloadLength: UInt16
  /// Bytes from the Ethernet header to the UDP header: 34 (IPv4) or 54 (IPv6).
  public let transportOffset: UInt16

  /// Bytes from the Ethernet header to the payload.
  @inlinable
  public var headersLength: Int { Int(transportOffset) &+ 8 }

  /// nil where the frame cannot be joined with others.
  @inlinable
  @inline(__always)
  public init?(_ frame: FrameDescriptor) {
    let length = Int(frame.length) &- Engine.headerLength
    let bytes = UnsafeRawPointer(frame.start + Engine.headerLength)
    guard length >= 34 &+ 8 else { return nil }
    // Both fields of the virtio-net header at once: flags NEEDS_CSUM alone, and no segmentation.
    guard frame.start.loadUnaligned(as: UInt16.self) == UInt16(littleEndian: 0x0001) else { return nil }
    let type = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    let udpLength: Int
    if type == EtherType.ipv4.rawValue {
      // Version 4 without options; DF or nothing, no fragment.
      let fragment = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 20, as: UInt16.self))
      guard bytes.load(fromByteOffset: 14, as: UInt8.self) == 0x45, fragment & 0xBFFF == 0,
        bytes.load(fromByteOffset: 23, as: UInt8.self) == IPProtocol.udp.rawValue
      else { return nil }
      transportOffset = 34
      network =
        UInt64(bytes.loadUnaligned(fromByteOffset: 14, as: UInt16.self)) << 32
        | UInt64(bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self))
      addressesHigh = 0
      addressesLow = UInt128(bytes.loadUnaligned(fromByteOffset: 26, as: UInt64.self))
    } else if type == EtherType.ipv6.rawValue {
      guard length >= 54 &+ 8, bytes.load(fromByteOffset: 14, as: UInt8.self) >> 4 == 6,
        bytes.load(fromByteOffset: 20, as: UInt8.self) == IPProtocol.udp.rawValue
      else { return nil }
      transportOffset = 54
      network =
        UInt64(bytes.loadUnaligned(fromByteOffset: 14, as: UInt32.self)) << 16
        | UInt64(bytes.loadUnaligned(fromByteOffset: 20, as: UInt16.self))
      addressesHigh = bytes.loadUnaligned(fromByteOffset: 22, as: UInt128.self)
      addressesLow = bytes.loadUnaligned(fromByteOffset: 38, as: UInt128.self)
    } else {
      return nil
    }
    let transport = bytes + Int(transportOffset)
    ports = transport.loadUnaligned(as: UInt32.self)
    udpLength = Int(UInt16(bigEndian: transport.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
    // Lengths lie: UDP's must be the frame's, to the byte.
    guard udpLength == length &- Int(transportOffset), udpLength > 8, udpLength &- 8 <= Self.payloadBytesMax else {
      return nil
    }
    payloadLength = UInt16(truncatingIfNeeded: udpLength &- 8)
    destinationAndType = bytes.loadUnaligned(as: UInt64.self)
    source = bytes.loadUnaligned(fromByteOffset: 6, as: UInt64.self)
  }

  /// The same flow, whatever the length of its payloads.
  @inlinable
  @inline(__always)
  public func isSameFlow(as other: UDPFlow) -> Bool {
    addressesLow == other.addressesLow && ports == other.ports && destinationAndType == other.destinationAndType
      && source == other.source && network == other.network && addressesHigh == other.addressesHigh
  }

  /// Rewrites the headers of the first of `count` frames of this flow so that they head one segmented frame: lengths,
  /// checksums, virtio-net header. The payloads follow one another behind it.
  public func rewriteHeaders(_ first: FrameDescriptor, count: Int) {
    let bytes = first.start + Engine.headerLength
    let udpLength = 8 + count * Int(payloadLength)
    let transport = bytes + Int(transportOffset)
    func store(_ value: Int, at offset: Int, in memory: UnsafeMutableRawPointer) {
      memory.storeBytes(of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: offset, as: UInt16.self)
    }
    // NEEDS_CSUM: the UDP checksum's field holds the sum of the pseudo-header, not complemented.
    let pseudoHeader: InternetChecksum
    if transportOffset == 34 {
      store(20 + udpLength, at: 16, in: bytes)
      store(0, at: 24, in: bytes)
      var header = InternetChecksum()
      header.add(RawSpan(_unsafeStart: UnsafeRawPointer(bytes + 14), byteCount: 20))
      store(Int(header.value), at: 24, in: bytes)
      pseudoHeader = InternetChecksum(
        source: IPv4Address(bits: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 26, as: UInt32.self))),
        destination: IPv4Address(bits: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 30, as: UInt32.self))),
        protocol: .udp, length: udpLength)
    } else {
      store(udpLength, at: 18, in: bytes)
      pseudoHeader = InternetChecksum(
        source: IPv6Address(bits: UInt128(bigEndian: bytes.loadUnaligned(fromByteOffset: 22, as: UInt128.self))),
        destination: IPv6Address(bits: UInt128(bigEndian: bytes.loadUnaligned(fromByteOffset: 38, as: UInt128.self))),
        protocol: .udp, length: udpLength)
    }
    store(udpLength, at: 4, in: transport)
    store(Int(pseudoHeader.partial), at: 6, in: transport)
    VirtioNetHeader(
      flags: .needsChecksum, segmentation: .udp, headerLength: transportOffset + 8, segmentSize: payloadLength,
      checksumStart: transportOffset, checksumOffset: 6
    ).store(to: first.start)
  }
}

extension UDPFlow {
  /// Bytes of a payload whose checksum `leaveChecksum` looks at. What summing costs is then little beside what a write of its own does.
  static let leftPayloadBytesMax: UInt16 = 256

  /// Makes a small datagram's complete checksum a partial one, where both it and the IP header's are right and the datagram can be joined
  /// with others; the frame is else left alone. What comes of a checksum that is completed again is the one that was there.
  /// - Parameter frame: with a virtio-net header that leaves nothing undone.
  public static func leaveChecksum(_ frame: FrameDescriptor) {
    frame.start.storeBytes(of: VirtioNetHeader.Flags.needsChecksum.rawValue, as: UInt8.self)
    guard let flow = UDPFlow(frame), flow.payloadLength <= leftPayloadBytesMax,
      let pseudoHeader = flow.pseudoHeaderOfRightChecksum(frame)
    else { return VirtioNetHeader().store(to: frame.start) }
    let field = Engine.headerLength &+ Int(flow.transportOffset) &+ UDPView.checksumOffset
    frame.start.storeBytes(of: pseudoHeader.bigEndian, toByteOffset: field, as: UInt16.self)
    VirtioNetHeader(
      flags: .needsChecksum, checksumStart: flow.transportOffset, checksumOffset: UInt16(UDPView.checksumOffset)
    ).store(to: frame.start)
  }

  /// The partial checksum in place of the complete one; nil where that is wrong, or there is none.
  private func pseudoHeaderOfRightChecksum(_ frame: FrameDescriptor) -> UInt16? {
    let bytes = RawSpan(
      _unsafeStart: UnsafeRawPointer(frame.start + (Engine.headerLength &+ Engine.ethernetHeaderLength)),
      byteCount: Int(frame.length) &- Engine.headerLength &- Engine.ethernetHeaderLength)
    let datagram = bytes.extracting(droppingFirst: Int(transportOffset) &- Engine.ethernetHeaderLength)
    let length = datagram.byteCount
    guard UDPView(datagram)?.checksum != 0 else { return nil }
    let pseudoHeader: InternetChecksum
    if let packet = IPv4View(bytes) {
      guard packet.totalLength == bytes.byteCount, packet.isChecksumValid else { return nil }
      pseudoHeader = InternetChecksum(
        source: packet.source, destination: packet.destination, protocol: .udp, length: length)
    } else if let packet = IPv6View(bytes) {
      guard packet.payload.byteCount == length else { return nil }
      pseudoHeader = InternetChecksum(
        source: packet.source, destination: packet.destination, protocol: .udp, length: length)
    } else {
      return nil
    }
    var sum = pseudoHeader
    sum.add(datagram)
    return sum.value == 0 ? pseudoHeader.partial : nil
  }
}
