import Tables
import Wire

/// Of the traffic class (TOS) of a tunnel's outer headers, what stands beside the ECN field.
@frozen
public enum TunnelTrafficClass: Hashable, Sendable, BitwiseCopyable {
  /// A traffic class, of which the DSCP counts.
  case fixed(UInt8)
  /// The inner packet's DSCP; 0 for what is not IP.
  case inherited
}

/// The other end of a VXLAN tunnel (RFC 7348), a VTEP, in one network: all that the outer headers of frames to it have in common.
@frozen
public struct TunnelRemote: BitwiseCopyable {
  /// Of the outer headers where neither the configuration nor an inner packet says otherwise.
  public static let timeToLiveDefault: UInt8 = 64
  /// Bytes that `encapsulate` needs before the frame's virtio-net header.
  public static let headroom = VirtioNetTunnelHeader.length + headersLengthMax - VirtioNetHeader.length
  /// Over IPv6, from the outer Ethernet header to the inner one.
  @usableFromInline static let headersLengthMax = EthernetView.headerLength + IPv6View.headerLength + belowLength
  /// UDP and VXLAN headers.
  @usableFromInline static let belowLength = UDPView.headerLength + VXLANHeader.length
  /// The first of the dynamic ports, from which the source port is taken (RFC 7348, 5).
  @usableFromInline static let sourcePortFirst: UInt16 = 49_152

  public let isIPv6: Bool
  /// 0: the inner packet's.
  public let timeToLive: UInt8
  public let trafficClass: TunnelTrafficClass
  /// The outer UDP header has a checksum.
  public let sumsDatagrams: Bool
  public let vni: UInt32
  /// In the order of the wire.
  @usableFromInline let destinationPort: UInt16
  /// Of an IPv4 header without traffic class, length and time to live; not complemented.
  @usableFromInline let headerSum: UInt16
  /// Of UDP's pseudo-header without the length; not complemented.
  @usableFromInline let pseudoHeaderSum: UInt16
  /// In the order of the wire; IPv4's in the low 32 bits.
  @usableFromInline let local: UInt128
  @usableFromInline let remote: UInt128
  @usableFromInline let hash: KeyedHash

  /// nil where the addresses are not of one family, or the VNI is more than `VXLANHeader.vniMax`.
  /// - Parameters:
  ///   - timeToLive: of the outer header; 0: the inner packet's, or `timeToLiveDefault` where it is not IP.
  ///   - sumsDatagrams: nil: as the kernel's vxlan does by default, over IPv6 only.
  ///   - hash: chooses the source port of a flow. The same for all remotes.
  public init?(
    local: IPAddress, remote: IPAddress, vni: UInt32, port: UInt16 = VXLANHeader.portDefault,
    timeToLive: UInt8 = timeToLiveDefault, trafficClass: TunnelTrafficClass = .fixed(0), sumsDatagrams: Bool? = nil,
    hash: KeyedHash
  ) {
    guard vni <= VXLANHeader.vniMax else { return nil }
    // IP version and length, DF, and the protocol: what is in every header.
    var header = UInt16(0x4500)
    header = InternetChecksum.sum(header, 0x4000)
    header = InternetChecksum.sum(header, UInt16(IPProtocol.udp.rawValue))
    switch (local, remote) {
    case (.v4(let local), .v4(let remote)):
      let addresses = InternetChecksum(source: local, destination: remote, protocol: .udp, length: 0)
      pseudoHeaderSum = addresses.partial
      header = InternetChecksum.sum(
        header, InternetChecksum.sum(addresses.partial, ~UInt16(IPProtocol.udp.rawValue)))
      self.local = UInt128(local.bits.bigEndian)
      self.remote = UInt128(remote.bits.bigEndian)
    case (.v6(let local), .v6(let remote)):
      pseudoHeaderSum = InternetChecksum(source: local, destination: remote, protocol: .udp, length: 0).partial
      self.local = local.bits.bigEndian
      self.remote = remote.bits.bigEndian
    default: return nil
    }
    isIPv6 = local.isIPv6
    headerSum = header
    self.vni = vni
    destinationPort = port.bigEndian
    self.timeToLive = timeToLive
    self.trafficClass = trafficClass
    self.sumsDatagrams = sumsDatagrams ?? local.isIPv6
    self.hash = hash
  }

  /// From the outer Ethernet header to the inner one, in bytes: 50 or 70.
  @inlinable public var headersLength: Int { outerTransportOffset &+ Self.belowLength }

  /// From the outer Ethernet header to the UDP header, in bytes: 34 or 54.
  @inlinable
  var outerTransportOffset: Int {
    EthernetView.headerLength &+ (isIPv6 ? IPv6View.headerLength : IPv4View.headerLengthMin)
  }

  /// Bytes of the longest frame, from its Ethernet header on, that an outer packet holds: its length is 16 bits, IPv4's with
  /// the header.
  @inlinable
  public var frameLengthMax: Int {
    Int(UInt16.max) &- Self.belowLength &- (isIPv6 ? 0 : IPv4View.headerLengthMin)
  }

  /// The source port of the frame's flow.
  @inlinable
  @inline(__always)
  func sourcePort(_ inner: InnerHeaders) -> UInt16 {
    Self.sourcePortFirst | UInt16(truncatingIfNeeded: inner.flowHash(hash) >> 48) >> 2
  }
}
