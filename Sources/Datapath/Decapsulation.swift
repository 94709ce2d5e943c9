import Wire

/// What a frame that came by the tunnel's carrier is.
@frozen
public enum Decapsulated: BitwiseCopyable {
  case frame(TunnelledFrame)
  /// Many VXLAN datagrams in one segmented frame: to be taken out one by one.
  case train(TrainSplitter)
  case drop(DropReason)
}

/// A frame that was in a VXLAN datagram.
@frozen
public struct TunnelledFrame: BitwiseCopyable {
  public let vni: UInt32
  /// The VTEP that sent it and the address of ours that it sent it to, as `IPAddress.mapped`.
  public let source: UInt128
  public let destination: UInt128
  /// With a 10-byte virtio-net header, where the outer headers were.
  public let frame: FrameDescriptor

  @inlinable
  public init(vni: UInt32, source: UInt128, destination: UInt128, frame: FrameDescriptor) {
    (self.vni, self.source, self.destination, self.frame) = (vni, source, destination, frame)
  }
}

/// What a carrier takes from the underlay.
@frozen
public struct TunnelIngress: BitwiseCopyable, Sendable {
  /// The UDP port of our VTEP.
  public var port: UInt16
  /// Datagrams over IPv6 need no checksum (RFC 6935); the kernel's `udp6zerocsumrx`.
  public var takesIPv6WithoutChecksum: Bool

  @inlinable
  public init(port: UInt16 = VXLANHeader.portDefault, takesIPv6WithoutChecksum: Bool = false) {
    (self.port, self.takesIPv6WithoutChecksum) = (port, takesIPv6WithoutChecksum)
  }

  /// Takes a frame out of its VXLAN datagram, in place.
  ///
  /// - Parameter frame: with a 24-byte virtio-net header and the outer headers from the Ethernet header on. Lengths and offsets may
  ///   lie: what comes out is within what came in, and its virtio-net header is true of it.
  @inlinable
  public func decapsulate(_ frame: FrameDescriptor) -> Decapsulated {
    let outer = frame.start + VirtioNetTunnelHeader.length
    let available = Int(frame.length) &- VirtioNetTunnelHeader.length
    guard available >= EthernetView.headerLength else { return .drop(.vxlanMalformed) }
    let header = VirtioNetHeader(loadingFrom: frame.start)
    let datagram: OuterDatagram
    switch OuterDatagram.read(outer, available: available, port: port) {
    case .datagram(let value): datagram = value
    case .drop(let reason): return .drop(reason)
    }
    guard isChecksumRight(datagram, header, outer) else { return .drop(.vxlanChecksum) }
    if header.segmentation == .udp && Int(header.checksumStart) == datagram.offset {
      let splitter = TrainSplitter(frame, datagram, at: outer, segmentSize: header.segmentSize)
      return splitter.map { .train($0) } ?? .drop(.vxlanMalformed)
    }
    let overhead = datagram.offset &+ TunnelRemote.belowLength
    let length = datagram.length &- TunnelRemote.belowLength
    guard length >= EthernetView.headerLength,
      let tunnel = VXLANHeader(loadingFrom: outer + (datagram.offset &+ UDPView.headerLength))
    else { return .drop(.vxlanMalformed) }
    let inner = InnerHeaders(outer + overhead, length: length)
    guard let left = Self.workLeft(header, datagram, inner) else { return .drop(.vxlanMalformed) }
    guard Self.combineCongestion(inner, at: outer + overhead, outer: datagram.trafficClass) else {
      return .drop(.ecnIllegal)
    }
    let start = outer + (overhead &- VirtioNetHeader.length)
    left.store(to: start)
    let result = FrameDescriptor(
      start: start, length: UInt32(truncatingIfNeeded: VirtioNetHeader.length &+ length), port: frame.port,
      buffer: frame.buffer)
    return .frame(
      TunnelledFrame(
        vni: tunnel.vni, source: datagram.source, destination: datagram.destination, frame: result))
  }

  /// A partial checksum has not been on a wire yet, and one that the kernel has verified need not be summed again.
  @inlinable
  @inline(__always)
  func isChecksumRight(
    _ datagram: OuterDatagram, _ header: VirtioNetHeader, _ outer: UnsafeMutableRawPointer
  ) -> Bool {
    if datagram.checksum == 0 { return !datagram.isIPv6 || takesIPv6WithoutChecksum }
    if !header.flags.isDisjoint(with: [.needsChecksum, .dataValid]) { return true }
    return datagram.sumsUp(outer)
  }

  /// The inner frame's virtio-net header; nil where it would not be true.
  @inlinable
  @inline(__always)
  static func workLeft(
    _ header: VirtioNetHeader, _ datagram: OuterDatagram, _ inner: InnerHeaders
  ) -> VirtioNetHeader? {
    var left = VirtioNetHeader()
    let overhead = UInt16(truncatingIfNeeded: datagram.offset &+ TunnelRemote.belowLength)
    left.segmentation = header.segmentation.withoutTunnel
    guard header.flags.contains(.needsChecksum) else { return left.segmentation == .none ? left : nil }
    if header.checksumStart < overhead {
      // The outer checksum is the partial one: of the inner packet nothing is left to do.
      return left.segmentation == .none && Int(header.checksumStart) == datagram.offset ? left : nil
    }
    left.flags = .needsChecksum
    left.checksumStart = header.checksumStart &- overhead
    left.checksumOffset = header.checksumOffset
    if left.segmentation != .none {
      left.segmentSize = header.segmentSize
      let headers = Int(header.headerLength) &- Int(overhead)
      left.headerLength = UInt16(truncatingIfNeeded: min(max(headers, 0), inner.length))
    }
    return left.fits(inner) ? left : nil
  }

  /// - Returns: false where the frame is to be dropped.
  @inlinable
  @inline(__always)
  static func combineCongestion(
    _ inner: InnerHeaders, at memory: UnsafeMutableRawPointer, outer trafficClass: UInt8
  ) -> Bool {
    let outer = ExplicitCongestionNotification(rawValue: trafficClass)
    // ECT(0) and no mark change nothing in any row of the figure.
    guard outer.rawValue & 1 != 0, inner.isIPv4 || inner.isIPv6 else { return true }
    let old = ExplicitCongestionNotification(rawValue: inner.trafficClass)
    guard let new = old.leavingTunnel(outer: outer) else { return false }
    if new != old {
      let header = memory + inner.networkOffset
      inner.isIPv4 ? new.store(toIPv4Header: header) : new.store(toIPv6Header: header)
    }
    return true
  }
}

/// The outer headers of a VXLAN datagram, checked and read once.
@frozen
@usableFromInline
struct OuterDatagram: BitwiseCopyable {
  @usableFromInline let isIPv6: Bool
  @usableFromInline let trafficClass: UInt8
  /// As `IPAddress.mapped`.
  @usableFromInline let source: UInt128
  @usableFromInline let destination: UInt128
  /// From the Ethernet header to the UDP header, in bytes.
  @usableFromInline let offset: Int
  /// Of the UDP datagram, in bytes: at least its header.
  @usableFromInline let length: Int
  @usableFromInline let checksum: UInt16

  @frozen
  @usableFromInline
  enum Result {
    case datagram(OuterDatagram)
    case drop(DropReason)
  }

  @inlinable
  init(
    isIPv6: Bool, trafficClass: UInt8, source: UInt128, destination: UInt128, offset: Int,
    _ datagram: borrowing UDPView
  ) {
    (self.isIPv6, self.trafficClass, self.offset) = (isIPv6, trafficClass, offset)
    (self.source, self.destination) = (source, destination)
    length = UDPView.headerLength &+ datagram.payload.byteCount
    checksum = datagram.checksum
  }

  /// - Parameter available: bytes from the Ethernet header on, at least its own.
  @inlinable
  @inline(__always)
  static func read(_ outer: UnsafeRawPointer, available: Int, port: UInt16) -> Result {
    let bytes = RawSpan(_unsafeStart: outer, byteCount: available)
    let type = UInt16(bigEndian: outer.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    let packet = bytes.extracting(droppingFirst: EthernetView.headerLength)
    if type == EtherType.ipv4.rawValue { return readIPv4(packet, port) }
    return type == EtherType.ipv6.rawValue ? readIPv6(packet, port) : .drop(.notVXLAN)
  }

  @inlinable
  @inline(__always)
  static func readIPv4(_ bytes: RawSpan, _ port: UInt16) -> Result {
    guard let packet = IPv4View(bytes), packet.isChecksumValid else { return .drop(.vxlanMalformed) }
    guard packet.protocol == .udp else { return .drop(.notVXLAN) }
    guard !packet.isFragment else { return .drop(.vxlanFragment) }
    guard let datagram = UDPView(packet.payload) else { return .drop(.vxlanMalformed) }
    guard datagram.destinationPort == port else { return .drop(.notVXLAN) }
    return .datagram(
      OuterDatagram(
        isIPv6: false, trafficClass: packet.trafficClass, source: packet.source.mapped,
        destination: packet.destination.mapped, offset: EthernetView.headerLength &+ packet.headerLength, datagram))
  }

  @inlinable
  @inline(__always)
  static func readIPv6(_ bytes: RawSpan, _ port: UInt16) -> Result {
    guard let packet = IPv6View(bytes), let upper = IPv6UpperLayer(packet),
      // An address of IPv4 that no packet of IPv6 may have (RFC 4291, 2.5.5.2): another VTEP's, as `mapped`.
      packet.source.bits >> 32 != 0xFFFF
    else { return .drop(.vxlanMalformed) }
    guard !upper.isFragment else { return .drop(.vxlanFragment) }
    guard upper.protocol == .udp else { return .drop(.notVXLAN) }
    guard let datagram = UDPView(upper.bytes) else { return .drop(.vxlanMalformed) }
    guard datagram.destinationPort == port else { return .drop(.notVXLAN) }
    return .datagram(
      OuterDatagram(
        isIPv6: true, trafficClass: packet.trafficClass, source: packet.source.bits,
        destination: packet.destination.bits, offset: EthernetView.headerLength &+ upper.offset, datagram))
  }

  /// Sums up the whole datagram.
  @usableFromInline
  func sumsUp(_ outer: UnsafeMutableRawPointer) -> Bool {
    var sum: InternetChecksum
    if isIPv6 {
      sum = InternetChecksum(
        source: IPv6Address(bits: source), destination: IPv6Address(bits: destination), protocol: .udp, length: length)
    } else {
      sum = InternetChecksum(
        source: IPv4Address(bits: UInt32(truncatingIfNeeded: source)),
        destination: IPv4Address(bits: UInt32(truncatingIfNeeded: destination)), protocol: .udp, length: length)
    }
    sum.add(RawSpan(_unsafeStart: UnsafeRawPointer(outer + offset), byteCount: length))
    return sum.value == 0
  }
}
