import Wire

// What a router changes in a packet, where it lies: addresses, ports, time to live, MSS. Checksums are brought up to date by
// what has changed (RFC 1624); the payload is not read. Where the transport's checksum is still to be completed
// (VIRTIO_NET_HDR_F_NEEDS_CSUM) its field holds the sum of the pseudo-header, not complemented, in which ports have no part.

/// Which end of a packet.
enum PacketEnd: Sendable {
  case source, destination
}

/// How the transport's checksum stands.
enum ChecksumState: Sendable {
  case complete
  /// The sum of the pseudo-header: the device is to do the rest.
  case partial
  /// The header is not in this packet: a later fragment.
  case absent
}

extension Packet {
  /// How the checksum of the packet's transport stands, by the frame's virtio-net header; nil where that is not what the packet is.
  func checksumState(_ frameHeader: VirtioNetHeader, networkOffset: Int) -> ChecksumState? {
    if (fragment?.position ?? 0) != 0 { return frameHeader.flags.contains(.needsChecksum) ? nil : .absent }
    guard frameHeader.flags.contains(.needsChecksum) else { return .complete }
    guard Int(frameHeader.checksumStart) == networkOffset &+ transport,
      Int(frameHeader.checksumOffset) == checksumOffset
    else { return nil }
    return .partial
  }

  /// From the transport's header on; -1 where the protocol has none that a router knows.
  var checksumOffset: Int {
    switch `protocol` {
    case .tcp: TCPView.checksumOffset
    case .udp: UDPView.checksumOffset
    case .icmp, .icmpv6: 2
    default: -1
    }
  }

  /// Gives one end another address, and where `port` is not nil another port (or identifier).
  func rewrite(_ end: PacketEnd, to address: UInt128, port: UInt16?, _ state: ChecksumState) {
    let old = end == .source ? source : destination
    var checksum = loadChecksum(state)
    if isIPv6 {
      let offset = end == .source ? IPv6View.sourceOffset : IPv6View.destinationOffset
      header.storeBytes(of: address.bigEndian, toByteOffset: offset, as: UInt128.self)
      if `protocol` != .icmp { checksum = InternetChecksum.updated(checksum, from: old, to: address) }
    } else {
      let (from, to) = (UInt32(truncatingIfNeeded: old), UInt32(truncatingIfNeeded: address))
      let offset = end == .source ? IPv4View.sourceOffset : IPv4View.destinationOffset
      header.storeBytes(of: to.bigEndian, toByteOffset: offset, as: UInt32.self)
      let own = header.loadUnaligned(fromByteOffset: IPv4View.checksumOffset, as: UInt16.self).bigEndian
      header.storeBytes(
        of: InternetChecksum.updated(own, from: from, to: to).bigEndian, toByteOffset: IPv4View.checksumOffset,
        as: UInt16.self)
      // ICMP has no pseudo-header (RFC 792).
      if `protocol` != .icmp { checksum = InternetChecksum.updated(checksum, from: from, to: to) }
    }
    if let port, state != .absent, checksumOffset >= 0 {
      let isEcho = `protocol` == .icmp || `protocol` == .icmpv6
      let offset = isEcho ? 4 : end == .source ? 0 : 2
      let from = (header + transport).loadUnaligned(fromByteOffset: offset, as: UInt16.self).bigEndian
      (header + transport).storeBytes(of: port.bigEndian, toByteOffset: offset, as: UInt16.self)
      if state == .complete { checksum = InternetChecksum.updated(checksum, from: from, to: port) }
    }
    storeChecksum(checksum, state)
  }

  /// The field as a checksum: complemented.
  func loadChecksum(_ state: ChecksumState) -> UInt16 {
    guard state != .absent, checksumOffset >= 0 else { return 0 }
    let field = (header + transport).loadUnaligned(fromByteOffset: checksumOffset, as: UInt16.self).bigEndian
    return state == .partial ? ~field : field
  }

  func storeChecksum(_ checksum: UInt16, _ state: ChecksumState) {
    guard state != .absent, checksumOffset >= 0 else { return }
    var field = state == .partial ? ~checksum : checksum
    if `protocol` == .udp && state == .complete {
      // No checksum stays no checksum; one that comes to zero is sent as ones (RFC 768).
      let old = (header + transport).loadUnaligned(fromByteOffset: checksumOffset, as: UInt16.self)
      if old == 0 { return }
      if field == 0 { field = 0xFFFF }
    }
    (header + transport).storeBytes(of: field.bigEndian, toByteOffset: checksumOffset, as: UInt16.self)
  }

  /// Whether the checksum of TCP or UDP is right, where it can be told: not of a fragment, nor before the device has made it. Reads
  /// the payload.
  func isSummedRight(_ state: ChecksumState) -> Bool {
    guard state == .complete, fragment == nil else { return true }
    let length = length &- transport
    // The prefix of mapped IPv4 addresses adds 0xFFFF, which is nothing.
    var sum = InternetChecksum(
      source: IPv6Address(bits: source), destination: IPv6Address(bits: destination), protocol: `protocol`,
      length: length)
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(header + transport), byteCount: length))
    return sum.value == 0
  }

  /// One hop less; the caller has seen that one is left (RFC 1812, 5.3.1).
  func decrementTimeToLive() {
    if isIPv6 {
      header.storeBytes(of: timeToLive &- 1, toByteOffset: 7, as: UInt8.self)
      return
    }
    let from = header.loadUnaligned(fromByteOffset: 8, as: UInt16.self).bigEndian
    header.storeBytes(of: timeToLive &- 1, toByteOffset: 8, as: UInt8.self)
    let checksum = header.loadUnaligned(fromByteOffset: IPv4View.checksumOffset, as: UInt16.self).bigEndian
    header.storeBytes(
      of: InternetChecksum.updated(checksum, from: from, to: from &- 0x100).bigEndian,
      toByteOffset: IPv4View.checksumOffset, as: UInt16.self)
  }

  /// Lowers the maximum segment size that a SYN offers to what the path takes. The option may stand at an odd offset, so its bytes
  /// are summed where they stand.
  func clampSegmentSize(_ segment: TCPSegment, pathMTU: Int, _ state: ChecksumState) {
    guard segment.segmentSizeOffset > 0 else { return }
    let limit = UInt16(clamping: pathMTU - (isIPv6 ? IPv6View.headerLength : IPv4View.headerLengthMin) - 20)
    let field = header + (transport + segment.segmentSizeOffset)
    let offered = field.loadUnaligned(as: UInt16.self).bigEndian
    guard offered > limit else { return }
    field.storeBytes(of: limit.bigEndian, as: UInt16.self)
    guard state == .complete else { return }
    let isOdd = segment.segmentSizeOffset & 1 == 1
    let checksum = InternetChecksum.updated(
      loadChecksum(state), from: isOdd ? offered.byteSwapped : offered, to: isOdd ? limit.byteSwapped : limit)
    storeChecksum(checksum, state)
  }
}
