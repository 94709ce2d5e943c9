import Wire

// Theory of operation.
//
// A frame to another host leaves by the carrier, a TAP whose frames a tc program hands to the underlay, which fills in the outer
// MAC addresses. The frame stays where it is; the outer headers and the 24-byte virtio-net header are written before it. What is
// left undone on it stays so: a segmented frame leaves in one piece (VIRTIO_NET_HDR_GSO_UDP_TUNNEL), a partial checksum stays
// partial. The outer checksum, where there is one, costs no pass over the payload either:
//
// * Segmented: the field holds the pseudo-header's sum, and the flag UDP_TUNNEL_CSUM asks for one in each segment.
// * The inner checksum is partial: once it is filled in, what it covers sums up to the complement of what stands in its field now,
//   so the outer sum follows from the headers alone (local checksum offload, Documentation/networking/checksum-offloads.rst).
// * Otherwise the outer checksum is the partial one.

extension TunnelRemote {
  /// Makes the frame one to this remote, in place.
  ///
  /// - Parameter frame: with a 10-byte virtio-net header; `headroom` bytes before it are overwritten.
  /// - Returns: the frame with a 24-byte virtio-net header and outer headers, whose MAC addresses are zero; nil, and nothing is
  ///   written, where the frame is longer than `frameLengthMax` or not what its virtio-net header claims
  ///   (`DropReason.vxlanUnsendable`).
  @inlinable
  public func encapsulate(_ frame: FrameDescriptor) -> FrameDescriptor? {
    let length = Int(frame.length) &- VirtioNetHeader.length
    guard length >= EthernetView.headerLength, length <= frameLengthMax else { return nil }
    let header = VirtioNetHeader(loadingFrom: frame.start)
    let inner = InnerHeaders(frame.start + VirtioNetHeader.length, length: length)
    let overhead = headersLength
    guard header.fits(inner), Int(header.checksumStart) &+ overhead <= Int(UInt16.max) else { return nil }
    // The header that was there is overwritten from here on.
    let outer = frame.start + (VirtioNetHeader.length &- overhead)
    writeHeaders(at: outer, inner, payloadLength: VXLANHeader.length &+ length)
    VXLANHeader(vni: vni).store(to: outer + (overhead &- VXLANHeader.length))
    let start = outer - VirtioNetTunnelHeader.length
    leaveWork(header, inner, at: outer).store(to: start)
    return FrameDescriptor(
      start: start, length: UInt32(truncatingIfNeeded: VirtioNetTunnelHeader.length &+ overhead &+ length),
      port: frame.port, buffer: frame.buffer)
  }

  /// What is left undone on the frame now; writes the outer checksum.
  @inlinable
  @inline(__always)
  func leaveWork(
    _ header: VirtioNetHeader, _ inner: InnerHeaders, at outer: UnsafeMutableRawPointer
  ) -> VirtioNetTunnelHeader {
    let overhead = UInt16(truncatingIfNeeded: headersLength)
    let transport = UInt16(truncatingIfNeeded: outerTransportOffset)
    let pseudoHeader = InternetChecksum.sum(
      pseudoHeaderSum, UInt16(truncatingIfNeeded: Self.belowLength &+ inner.length))
    var left = VirtioNetHeader()
    guard header.flags.contains(.needsChecksum) else {
      guard sumsDatagrams else { return VirtioNetTunnelHeader(left) }
      storeChecksum(pseudoHeader, at: outer)
      left.flags = .needsChecksum
      left.checksumStart = transport
      left.checksumOffset = UInt16(UDPView.checksumOffset)
      return VirtioNetTunnelHeader(left)
    }
    left.flags = .needsChecksum
    left.checksumStart = header.checksumStart &+ overhead
    left.checksumOffset = header.checksumOffset
    // One segment is none to the kernel, whatever the header says: nobody would complete the outer checksum.
    guard header.segmentation != .none, inner.length &- header.payloadOffset(in: inner) > Int(header.segmentSize) else {
      if sumsDatagrams { storeChecksum(localOffload(header, pseudoHeader, at: outer), at: outer) }
      return VirtioNetTunnelHeader(left)
    }
    if sumsDatagrams {
      storeChecksum(pseudoHeader, at: outer)
      left.flags.insert(.tunnelChecksum)
    }
    left.segmentation = header.segmentation.tunnelled(isIPv6: isIPv6)
    left.segmentSize = header.segmentSize
    let headers = min(Int(header.headerLength), inner.length) &+ Int(overhead)
    left.headerLength = UInt16(clamping: headers)
    return VirtioNetTunnelHeader(
      left, outerTransportOffset: transport,
      innerNetworkOffset: UInt16(truncatingIfNeeded: inner.networkOffset) &+ overhead)
  }

  /// The outer checksum as it is once the inner one is filled in: from there to the end all sums up to the complement of what
  /// the inner field holds now.
  @inlinable
  @inline(__always)
  func localOffload(_ header: VirtioNetHeader, _ pseudoHeader: UInt16, at outer: UnsafeMutableRawPointer) -> UInt16 {
    let start = Int(header.checksumStart)
    let datagram = UnsafeRawPointer(outer + outerTransportOffset)
    var sum = InternetChecksum()
    sum.add(RawSpan(_unsafeStart: datagram, byteCount: Self.belowLength &+ start))
    let field = (datagram + (Self.belowLength &+ start &+ Int(header.checksumOffset))).loadUnaligned(as: UInt16.self)
    let total = InternetChecksum.sum(InternetChecksum.sum(sum.partial, pseudoHeader), ~UInt16(bigEndian: field))
    // UDP sends 0xFFFF in place of 0 (RFC 768).
    return total == 0xFFFF ? 0xFFFF : ~total
  }

  @inlinable
  @inline(__always)
  func storeChecksum(_ value: UInt16, at outer: UnsafeMutableRawPointer) {
    outer.storeBytes(
      of: value.bigEndian, toByteOffset: outerTransportOffset &+ UDPView.checksumOffset, as: UInt16.self)
  }

  /// Writes the outer Ethernet, IP and UDP headers, with no UDP checksum.
  /// - Parameter payloadLength: of the UDP datagram, in bytes.
  @inlinable
  @inline(__always)
  func writeHeaders(at outer: UnsafeMutableRawPointer, _ inner: InnerHeaders, payloadLength: Int) {
    let innerClass = inner.trafficClass
    let dscp: UInt8
    switch trafficClass {
    case .fixed(let value): dscp = value & ~3
    case .inherited: dscp = innerClass & ~3
    }
    // The inner ECN field, as it is (RFC 6040, 4.1, normal mode).
    let outerClass = dscp | innerClass & 3
    var hops = timeToLive != 0 ? timeToLive : inner.timeToLive
    if hops == 0 { hops = Self.timeToLiveDefault }
    let length = UInt16(truncatingIfNeeded: UDPView.headerLength &+ payloadLength)
    let type: EtherType = isIPv6 ? .ipv6 : .ipv4
    outer.storeBytes(of: 0, as: UInt64.self)
    outer.storeBytes(of: 0, toByteOffset: 8, as: UInt32.self)
    outer.storeBytes(of: type.rawValue.bigEndian, toByteOffset: 12, as: UInt16.self)
    let packet = outer + EthernetView.headerLength
    if isIPv6 {
      writeIPv6Header(at: packet, outerClass, hops, length)
    } else {
      writeIPv4Header(at: packet, outerClass, hops, length)
    }
    let datagram = outer + outerTransportOffset
    datagram.storeBytes(of: sourcePort(inner).bigEndian, as: UInt16.self)
    datagram.storeBytes(of: destinationPort, toByteOffset: UDPView.destinationPortOffset, as: UInt16.self)
    datagram.storeBytes(of: length.bigEndian, toByteOffset: 4, as: UInt16.self)
    datagram.storeBytes(of: 0, toByteOffset: UDPView.checksumOffset, as: UInt16.self)
  }

  /// With DF, and so without an identification that would mean anything (RFC 6864, 4.1).
  @inlinable
  @inline(__always)
  func writeIPv4Header(at packet: UnsafeMutableRawPointer, _ trafficClass: UInt8, _ hops: UInt8, _ length: UInt16) {
    let totalLength = length &+ UInt16(IPv4View.headerLengthMin)
    let first = UInt32(0x45) << 24 | UInt32(trafficClass) << 16 | UInt32(totalLength)
    packet.storeBytes(of: first.bigEndian, as: UInt32.self)
    packet.storeBytes(of: UInt32(0x4000).bigEndian, toByteOffset: 4, as: UInt32.self)
    packet.storeBytes(of: hops, toByteOffset: 8, as: UInt8.self)
    packet.storeBytes(of: IPProtocol.udp.rawValue, toByteOffset: 9, as: UInt8.self)
    let sum = InternetChecksum.sum(
      headerSum, InternetChecksum.sum(InternetChecksum.sum(UInt16(trafficClass), totalLength), UInt16(hops) << 8))
    packet.storeBytes(of: (~sum).bigEndian, toByteOffset: IPv4View.checksumOffset, as: UInt16.self)
    packet.storeBytes(
      of: UInt32(truncatingIfNeeded: local), toByteOffset: IPv4View.sourceOffset, as: UInt32.self)
    packet.storeBytes(
      of: UInt32(truncatingIfNeeded: remote), toByteOffset: IPv4View.destinationOffset, as: UInt32.self)
  }

  @inlinable
  @inline(__always)
  func writeIPv6Header(at packet: UnsafeMutableRawPointer, _ trafficClass: UInt8, _ hops: UInt8, _ length: UInt16) {
    let first = UInt32(6) << 28 | UInt32(trafficClass) << 20
    packet.storeBytes(of: first.bigEndian, as: UInt32.self)
    packet.storeBytes(of: length.bigEndian, toByteOffset: 4, as: UInt16.self)
    packet.storeBytes(of: IPProtocol.udp.rawValue, toByteOffset: 6, as: UInt8.self)
    packet.storeBytes(of: hops, toByteOffset: 7, as: UInt8.self)
    packet.storeBytes(of: local, toByteOffset: IPv6View.sourceOffset, as: UInt128.self)
    packet.storeBytes(of: remote, toByteOffset: IPv6View.destinationOffset, as: UInt128.self)
  }
}
