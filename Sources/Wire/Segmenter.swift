// Theory of operation.
//
// A frame with a segmentation kind in its virtio-net header is many: the headers stand once, and the payload of all
// follows. Where a port cannot take it so, each segment gets headers of its own, written into the caller's memory, and
// its payload stays where it is: sent with a gathering write, no payload byte is copied.
//
// What a segment's headers hold is what Linux makes of the same frame (`__tcp_gso_segment`, `__udp_gso_segment`,
// `inet_gso_segment`), to the byte: IPv4 identification counts up, the TCP sequence goes on, FIN and PSH stand in the last
// segment only and CWR in the first only (RFC 3168, 6.1.2).

/// Cuts a segmented frame of TCP or UDP, over IPv4 or IPv6, into segments. Reads nothing outside of the frame, whatever
/// its lengths claim.
@frozen
public struct Segmenter: ~Escapable {
  /// Segments of one frame. 64 KB make 1366 at the least MSS there is (48 bytes, TCP_MIN_SND_MSS of Linux); a
  /// `segmentSize` of one byte would hold up everybody else for 65,000.
  public static let segmentCountMax = 2048
  /// Bytes of a segment's headers, the virtio-net header included. IPv4 and TCP with all options and two tags need 152;
  /// IPv6 has room for 272 of extension headers and TCP without options.
  public static let headersLengthMax = 384

  public enum Checksum: Sendable {
    /// The sum of the pseudo-header, and NEEDS_CSUM: the device or the kernel does the rest.
    case partial
    /// The whole sum, for whoever takes no less.
    case complete
  }

  @usableFromInline let frame: RawSpan
  /// From the Ethernet header, in bytes.
  @usableFromInline let networkOffset: Int
  @usableFromInline let transportOffset: Int
  @usableFromInline let payloadOffset: Int
  /// Where the payload ends: what IP's length does not cover is padding, and left out.
  @usableFromInline let payloadEnd: Int
  @usableFromInline let segmentSize: Int
  @usableFromInline let isIPv4: Bool
  @usableFromInline let isTCP: Bool
  /// The pseudo-header's sum without the length, as in `InternetChecksum.partial`.
  @usableFromInline let addressSum: UInt16

  /// 1...`segmentCountMax`.
  public let count: Int

  /// nil where the frame is not what its virtio-net header claims, or would become more than `segmentCountMax` segments,
  /// or its headers are longer than `headersLengthMax`.
  /// - Parameter frame: from the Ethernet header on.
  @_lifetime(copy frame)
  public init?(_ header: VirtioNetHeader, _ frame: RawSpan) {
    guard let ethernet = EthernetView(frame), let outer = EthernetPayload(ethernet) else { return nil }
    let kind = header.segmentation.kind
    let transport: TransportPart
    switch outer.etherType {
    case .ipv4 where kind == .tcp4 || kind == .udp:
      guard let part = TransportPart(ipv4: outer.bytes) else { return nil }
      transport = part
    case .ipv6 where kind == .tcp6 || kind == .udp:
      guard let part = TransportPart(ipv6: outer.bytes) else { return nil }
      transport = part
    default: return nil
    }
    isIPv4 = outer.etherType == .ipv4
    isTCP = kind != .udp
    networkOffset = outer.offset
    transportOffset = outer.offset &+ transport.offset
    payloadEnd = transportOffset &+ transport.length
    guard transport.protocol == (isTCP ? .tcp : .udp) else { return nil }
    let segment = frame.extracting(transportOffset..<payloadEnd)
    if isTCP {
      guard let tcp = TCPView(segment) else { return nil }
      payloadOffset = transportOffset &+ tcp.headerLength
    } else {
      guard segment.byteCount >= UDPView.headerLength else { return nil }
      payloadOffset = transportOffset &+ UDPView.headerLength
    }
    segmentSize = Int(header.segmentSize)
    guard segmentSize > 0, VirtioNetHeader.length &+ payloadOffset <= Self.headersLengthMax else { return nil }
    count = max(1, (payloadEnd &- payloadOffset &+ segmentSize &- 1) / segmentSize)
    guard count <= Self.segmentCountMax else { return nil }
    let checksumOffset = isTCP ? TCPView.checksumOffset : UDPView.checksumOffset
    if header.flags.contains(.needsChecksum) {
      guard Int(header.checksumStart) == transportOffset, Int(header.checksumOffset) == checksumOffset else {
        return nil
      }
      // What is there is the sum with the whole frame's length; with a routing header, only the sender knew the address.
      addressSum = InternetChecksum.sum(
        segment.uint16(at: checksumOffset), ~UInt16(truncatingIfNeeded: transport.length))
    } else {
      addressSum = transport.addressSum
    }
    self.frame = frame
  }

  /// Bytes that `writeHeaders` writes: the virtio-net header and all headers up to the payload.
  @inlinable public var headersLength: Int { VirtioNetHeader.length &+ payloadOffset }

  /// Where the payload of segment `index` stands, in bytes from the Ethernet header.
  @inlinable
  public func payload(of index: Int) -> Range<Int> {
    precondition(index >= 0 && index < count)
    let start = payloadOffset &+ index &* segmentSize
    return start..<min(start &+ segmentSize, payloadEnd)
  }

  /// Writes the headers of segment `index`.
  /// - Parameter memory: of at least `headersLength` bytes.
  public func writeHeaders(of index: Int, checksum: Checksum, to memory: UnsafeMutableRawBufferPointer) {
    precondition(memory.count >= headersLength)
    let payload = payload(of: index)
    let start = memory.baseAddress!
    let headers = start + VirtioNetHeader.length
    frame.withUnsafeBytes { headers.copyMemory(from: $0.baseAddress!, byteCount: payloadOffset) }
    let length = payloadOffset &- transportOffset &+ payload.count
    writeNetworkHeader(at: headers + networkOffset, index: index, transportLength: length)
    let transport = headers + transportOffset
    if isTCP {
      writeTCPHeader(at: transport, index: index)
    } else {
      transport.storeField(UInt16(truncatingIfNeeded: length), at: UDPView.lengthOffset)
    }
    let checksumOffset = isTCP ? TCPView.checksumOffset : UDPView.checksumOffset
    let pseudoHeader = InternetChecksum.sum(addressSum, UInt16(truncatingIfNeeded: length))
    transport.storeField(pseudoHeader, at: checksumOffset)
    guard checksum == .complete else {
      VirtioNetHeader(
        flags: .needsChecksum, checksumStart: UInt16(transportOffset), checksumOffset: UInt16(checksumOffset)
      ).store(to: start)
      return
    }
    // The field holds the pseudo-header's sum, so summing up from the header on takes it in.
    var sum = InternetChecksum()
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(transport), byteCount: payloadOffset &- transportOffset))
    sum.add(frame.extracting(payload))
    transport.storeField(!isTCP && sum.value == 0 ? 0xFFFF : sum.value, at: checksumOffset)
    VirtioNetHeader().store(to: start)
  }

  private func writeNetworkHeader(at memory: UnsafeMutableRawPointer, index: Int, transportLength: Int) {
    let headerLength = transportOffset &- networkOffset
    guard isIPv4 else {
      let payloadLength = headerLength &- IPv6View.headerLength &+ transportLength
      return memory.storeField(UInt16(truncatingIfNeeded: payloadLength), at: IPv6View.payloadLengthOffset)
    }
    let identification = frame.uint16(at: networkOffset &+ IPv4View.identificationOffset)
    memory.storeField(UInt16(truncatingIfNeeded: headerLength &+ transportLength), at: IPv4View.totalLengthOffset)
    memory.storeField(identification &+ UInt16(truncatingIfNeeded: index), at: IPv4View.identificationOffset)
    memory.storeField(0, at: IPv4View.checksumOffset)
    var sum = InternetChecksum()
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(memory), byteCount: headerLength))
    memory.storeField(sum.value, at: IPv4View.checksumOffset)
  }

  private func writeTCPHeader(at memory: UnsafeMutableRawPointer, index: Int) {
    let sequence = frame.uint32(at: transportOffset &+ TCPView.sequenceNumberOffset)
    let advance = UInt32(truncatingIfNeeded: index &* segmentSize)
    memory.storeBytes(of: (sequence &+ advance).bigEndian, toByteOffset: TCPView.sequenceNumberOffset, as: UInt32.self)
    var flags = TCPFlags(rawValue: frame.uint8(at: transportOffset &+ TCPView.flagsOffset))
    if index > 0 { flags.remove(.cwr) }
    if index < count &- 1 { flags.subtract([.fin, .psh]) }
    memory.storeBytes(of: flags.rawValue, toByteOffset: TCPView.flagsOffset, as: UInt8.self)
  }
}

/// The transport's header and payload within an IP packet.
private struct TransportPart {
  let `protocol`: IPProtocol
  /// From the IP header, in bytes.
  let offset: Int
  let length: Int
  /// The pseudo-header's sum, without the length.
  let addressSum: UInt16

  /// nil where the packet is not whole, or a fragment: its payload need not begin with a header.
  init?(ipv4 bytes: RawSpan) {
    guard let packet = IPv4View(bytes), !packet.isFragment else { return nil }
    `protocol` = packet.protocol
    offset = packet.headerLength
    length = packet.totalLength &- packet.headerLength
    addressSum =
      InternetChecksum(
        source: packet.source, destination: packet.destination, protocol: packet.protocol, length: 0
      ).partial
  }

  init?(ipv6 bytes: RawSpan) {
    guard let packet = IPv6View(bytes), let upper = IPv6UpperLayer(packet), !upper.isFragment else { return nil }
    `protocol` = upper.protocol
    offset = upper.offset
    length = upper.bytes.byteCount
    addressSum =
      InternetChecksum(
        source: packet.source, destination: packet.destination, protocol: upper.protocol, length: 0
      ).partial
  }
}

extension UnsafeMutableRawPointer {
  /// Stores a field of the wire, at any alignment.
  fileprivate func storeField(_ value: UInt16, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
}
