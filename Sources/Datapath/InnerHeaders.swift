import Tables
import Wire

/// What a tunnel looks at in the frame that it carries: where its IP header is, behind up to two tags, and what is in it.
@frozen
@usableFromInline
struct InnerHeaders: BitwiseCopyable {
  @usableFromInline let bytes: UnsafeRawPointer
  @usableFromInline let length: Int
  /// From the Ethernet header to what follows its tags.
  @usableFromInline let networkOffset: Int
  @usableFromInline let etherType: UInt16
  /// The IP header is there, of that version, and whole but for options and extension headers.
  @usableFromInline let isIPv4: Bool
  @usableFromInline let isIPv6: Bool

  /// - Parameter bytes: from the Ethernet header on, `length` bytes, at least those of an Ethernet header.
  @inlinable
  @inline(__always)
  init(_ bytes: UnsafeRawPointer, length: Int) {
    var type = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self))
    var offset = EthernetView.headerLength
    let end = EthernetView.headerLength &+ EthernetPayload.tagCountMax &* VLANTag.length
    while EtherType(rawValue: type).isVLAN && offset < end && offset &+ VLANTag.length <= length {
      type = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset &+ 2, as: UInt16.self))
      offset &+= VLANTag.length
    }
    var (isIPv4, isIPv6) = (false, false)
    if type == EtherType.ipv4.rawValue && offset &+ IPv4View.headerLengthMin <= length {
      let first = bytes.load(fromByteOffset: offset, as: UInt8.self)
      isIPv4 = first >> 4 == 4 && first & 0x0F >= 5
    } else if type == EtherType.ipv6.rawValue && offset &+ IPv6View.headerLength <= length {
      isIPv6 = bytes.load(fromByteOffset: offset, as: UInt8.self) >> 4 == 6
    }
    (self.bytes, self.length, networkOffset, etherType) = (bytes, length, offset, type)
    (self.isIPv4, self.isIPv6) = (isIPv4, isIPv6)
  }

  @inlinable
  @inline(__always)
  func uint8(_ offset: Int) -> UInt8 { bytes.load(fromByteOffset: networkOffset &+ offset, as: UInt8.self) }

  /// DSCP and ECN; 0 where there is no IP header.
  @inlinable
  @inline(__always)
  var trafficClass: UInt8 {
    if isIPv4 { return uint8(1) }
    return isIPv6 ? uint8(0) << 4 | uint8(1) >> 4 : 0
  }

  /// Or hop limit; 0 where there is no IP header.
  @inlinable
  @inline(__always)
  var timeToLive: UInt8 { isIPv4 ? uint8(8) : isIPv6 ? uint8(7) : 0 }

  /// Bytes from the Ethernet header to the transport's, or to IPv6's extension headers.
  @inlinable
  @inline(__always)
  var transportOffset: Int {
    networkOffset &+ (isIPv4 ? Int(uint8(0) & 0x0F) &* 4 : isIPv6 ? IPv6View.headerLength : 0)
  }

  /// The same for every packet of a flow and direction: addresses, protocol and ports; of fragments, which but for the first
  /// have no ports, without them; of what is not IP, MAC addresses and type.
  @inlinable
  @inline(__always)
  func flowHash(_ hash: KeyedHash) -> UInt64 {
    let header = bytes + networkOffset
    if isIPv4 {
      let addresses = header.loadUnaligned(fromByteOffset: IPv4View.sourceOffset, as: UInt64.self)
      let `protocol` = uint8(9)
      // More fragments, or an offset.
      let isFragment = UInt16(bigEndian: header.loadUnaligned(fromByteOffset: 6, as: UInt16.self)) & 0x3FFF != 0
      return hash(UInt128(addresses), UInt64(isFragment ? 0 : ports(`protocol`)) << 8 | UInt64(`protocol`))
    }
    if isIPv6 {
      let source = header.loadUnaligned(fromByteOffset: IPv6View.sourceOffset, as: UInt128.self)
      let destination = header.loadUnaligned(fromByteOffset: IPv6View.destinationOffset, as: UInt128.self)
      return hash(source, destination, UInt64(ports(uint8(6))) << 8 | UInt64(uint8(6)))
    }
    let addresses =
      UInt128(bytes.loadUnaligned(as: UInt64.self)) << 32
      | UInt128(bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    return hash(addresses, UInt64(etherType))
  }

  /// Both, of TCP and UDP; 0 where there are none or they are beyond the frame.
  @inlinable
  @inline(__always)
  func ports(_ protocol: UInt8) -> UInt32 {
    guard `protocol` == IPProtocol.tcp.rawValue || `protocol` == IPProtocol.udp.rawValue,
      transportOffset &+ 4 <= length
    else { return 0 }
    return bytes.loadUnaligned(fromByteOffset: transportOffset, as: UInt32.self)
  }
}

extension VirtioNetHeader {
  /// What it says is yet to be done can be done with the frame: offsets are within, and a segmentation is of the frame's own
  /// packet. What a tunnel takes in and hands out.
  @inlinable
  @inline(__always)
  func fits(_ inner: InnerHeaders) -> Bool {
    let start = Int(checksumStart)
    if flags.contains(.needsChecksum) {
      // No checksum stands before an IP header's end.
      guard start >= EthernetView.headerLength &+ IPv4View.headerLengthMin,
        start &+ Int(checksumOffset) &+ 2 <= inner.length
      else { return false }
    }
    guard segmentation != .none else { return true }
    let isTCP: Bool
    switch segmentation.kind {
    case .tcp4 where inner.isIPv4: isTCP = true
    case .tcp6 where inner.isIPv6: isTCP = true
    case .udp where (inner.isIPv4 || inner.isIPv6) && !segmentation.hasECN: isTCP = false
    default: return false
    }
    let (headerLength, offset) =
      isTCP
      ? (TCPView.headerLengthMin, TCPView.checksumOffset) : (UDPView.headerLength, UDPView.checksumOffset)
    // 0xFFFF is GSO_BY_FRAGS to the kernel.
    return flags.contains(.needsChecksum) && Int(checksumOffset) == offset && segmentSize > 0 && segmentSize < 0xFFFF
      && start &+ headerLength <= inner.length
      && (inner.isIPv4 ? start == inner.transportOffset : start >= inner.transportOffset)
  }

  /// Where a segmented frame's payload begins, from its Ethernet header on. The header fits.
  @inlinable
  @inline(__always)
  func payloadOffset(in inner: InnerHeaders) -> Int {
    let start = Int(checksumStart)
    guard segmentation.kind != .udp else { return start &+ UDPView.headerLength }
    // The header's length, in words of four bytes.
    return start &+ Int(inner.bytes.load(fromByteOffset: start &+ TCPView.dataOffsetOffset, as: UInt8.self) >> 4) &* 4
  }
}
