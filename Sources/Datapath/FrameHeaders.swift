import Wire

/// What a frame's headers say, from Ethernet to the transport, read once. What is not there, or not whole, is zero.
///
/// Lengths are checked against the frame's; checksums are not looked at.
@frozen
public struct FrameHeaders: BitwiseCopyable {
  /// What the frame carries at each layer.
  @frozen
  public struct Layers: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable public static var vlan: Layers { Layers(rawValue: 1) }
    /// Two tags: `outerTag` is the provider's (IEEE 802.1ad).
    @inlinable public static var stackedVLAN: Layers { Layers(rawValue: 2) }
    @inlinable public static var arp: Layers { Layers(rawValue: 4) }
    @inlinable public static var ipv4: Layers { Layers(rawValue: 8) }
    @inlinable public static var ipv6: Layers { Layers(rawValue: 16) }
    /// A piece of a packet; only the first has a transport header.
    @inlinable public static var fragment: Layers { Layers(rawValue: 32) }
    @inlinable public static var tcp: Layers { Layers(rawValue: 64) }
    @inlinable public static var udp: Layers { Layers(rawValue: 128) }
    /// ICMP or ICMPv6.
    @inlinable public static var icmp: Layers { Layers(rawValue: 256) }
    /// It calls itself IPv4, IPv6 or ARP, and is not whole or contradicts itself.
    @inlinable public static var malformed: Layers { Layers(rawValue: 512) }
  }

  public var layers: Layers = []
  /// Behind the tags.
  public var etherType: UInt16 = 0
  /// Control information of the first and of the second tag (IEEE 802.1Q-2018, 9.6).
  public var outerTag: UInt16 = 0
  public var innerTag: UInt16 = 0
  /// From the Ethernet header to what follows the tags; bytes.
  public var networkOffset = 0
  /// From the Ethernet header to the transport header; 0 where there is none.
  public var transportOffset = 0
  /// Of IP; as `IPAddress.mapped`. Of ARP: the sender's and the target's.
  public var source: UInt128 = 0
  public var destination: UInt128 = 0
  /// Of ARP.
  public var senderMAC = MACAddress.zero
  public var targetMAC = MACAddress.zero
  public var operation: UInt16 = 0
  /// Behind IPv6's extension headers.
  public var ipProtocol: UInt8 = 0
  /// DSCP and ECN.
  public var trafficClass: UInt8 = 0
  /// Time to live, or hop limit.
  public var timeToLive: UInt8 = 0
  public var tcpFlags: UInt8 = 0
  /// Of TCP and UDP.
  public var sourcePort: UInt16 = 0
  public var destinationPort: UInt16 = 0
  public var icmpType: UInt8 = 0
  public var icmpCode: UInt8 = 0

  @inlinable
  public init(_ frame: borrowing Frame) { self.init(frame.bytes) }

  /// - Parameter bytes: from the Ethernet header on.
  @inlinable
  public init(_ bytes: RawSpan) {
    guard let ethernet = EthernetView(bytes), let payload = EthernetPayload(ethernet) else {
      layers = .malformed
      return
    }
    if let tag = payload.outerTag {
      layers = .vlan
      outerTag = tag.control
    }
    if let tag = payload.innerTag {
      layers.insert(.stackedVLAN)
      innerTag = tag.control
    }
    etherType = payload.etherType.rawValue
    networkOffset = payload.offset
    switch payload.etherType {
    case .ipv4: readIPv4(payload.bytes)
    case .ipv6: readIPv6(payload.bytes)
    case .arp: readARP(payload.bytes)
    default: break
    }
  }

  @inlinable
  mutating func readARP(_ bytes: RawSpan) {
    guard let packet = ARPView(bytes) else { return layers.formUnion(.malformed) }
    layers.insert(.arp)
    operation = packet.operation.rawValue
    (senderMAC, targetMAC) = (packet.senderMAC, packet.targetMAC)
    (source, destination) = (packet.senderAddress.mapped, packet.targetAddress.mapped)
  }

  @inlinable
  mutating func readIPv4(_ bytes: RawSpan) {
    guard let packet = IPv4View(bytes) else { return layers.formUnion(.malformed) }
    layers.insert(.ipv4)
    (source, destination) = (packet.source.mapped, packet.destination.mapped)
    (ipProtocol, trafficClass, timeToLive) = (packet.protocol.rawValue, packet.trafficClass, packet.timeToLive)
    if packet.isFragment { layers.insert(.fragment) }
    guard packet.payloadPosition == 0 else { return }
    transportOffset = networkOffset &+ packet.headerLength
    readTransport(packet.payload, packet.protocol)
  }

  @inlinable
  mutating func readIPv6(_ bytes: RawSpan) {
    guard let packet = IPv6View(bytes), let upper = IPv6UpperLayer(packet) else { return layers.formUnion(.malformed) }
    layers.insert(.ipv6)
    (source, destination) = (packet.source.bits, packet.destination.bits)
    (ipProtocol, trafficClass, timeToLive) = (upper.protocol.rawValue, packet.trafficClass, packet.hopLimit)
    if upper.isFragment { layers.insert(.fragment) }
    guard upper.fragmentPosition == 0 else { return }
    transportOffset = networkOffset &+ upper.offset
    readTransport(upper.bytes, upper.protocol)
  }

  @inlinable
  mutating func readTransport(_ bytes: RawSpan, _ kind: IPProtocol) {
    switch kind {
    case .tcp:
      guard let segment = TCPView(bytes) else { break }
      layers.insert(.tcp)
      (sourcePort, destinationPort, tcpFlags) = (segment.sourcePort, segment.destinationPort, segment.flags.rawValue)
      return
    case .udp:
      guard let datagram = UDPView(bytes) else { break }
      layers.insert(.udp)
      (sourcePort, destinationPort) = (datagram.sourcePort, datagram.destinationPort)
      return
    case .icmp, .icmpv6:
      guard bytes.byteCount >= 2 else { break }
      layers.insert(.icmp)
      icmpType = bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)
      icmpCode = bytes.unsafeLoad(fromByteOffset: 1, as: UInt8.self)
      return
    default: return
    }
    transportOffset = 0
  }

  /// VLAN identifier of the first tag; 0 where there is none.
  @inlinable public var vlan: UInt16 { outerTag & 0xFFF }
}
