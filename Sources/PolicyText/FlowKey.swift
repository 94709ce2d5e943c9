import Datapath
import Wire

// Theory of operation.
//
// What rules can ask of a frame is read once, into nine words: the flow's key. The words are masked by the fields that the policy's
// rules look at, and a verdict is found by the masked words alone. So the flow cache, which finds verdicts by the same words, cannot
// tell anything else than the rules would, whatever a frame claims.
//
// Reading is more forgiving than `FrameHeaders`: TCP and UDP have ports where these are there, though the rest of the header is
// cut off or lies, as in a datagram's first fragment. A rule that drops by port is not to be evaded so (RFC 1858).

/// What a frame says of itself, as far as rules can ask; what is not there is zero.
@usableFromInline
struct FlowKey: Equatable, BitwiseCopyable {
  /// Bits 0...15: the type behind the tags; 16...23: `Layers`; 24...31: DSCP and ECN; 32...47 and 48...63: source and destination
  /// port as they lie in the packet. ICMP's type and code are in bits 32...39 and 40...47, ARP's operation in 32...47.
  @usableFromInline var header: UInt64 = 0
  /// Bits 0...15: control information of the first tag; 16...23: time to live; 24...31: protocol; 32...47: the port it came in by;
  /// 48...55: TCP's flags; 56: there is a tag; 57: the flags are there.
  @usableFromInline var station: UInt64 = 0
  /// IPv4's addresses or ARP's, sender first, as they lie in the packet.
  @usableFromInline var addresses: UInt64 = 0
  @usableFromInline var destinationMAC: UInt64 = 0
  @usableFromInline var sourceMAC: UInt64 = 0
  /// IPv6's addresses.
  @usableFromInline var source: UInt128 = 0
  @usableFromInline var destination: UInt128 = 0

  @usableFromInline
  struct Layers: OptionSet {
    @usableFromInline let rawValue: UInt8

    @inlinable
    init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable static var arp: Layers { Layers(rawValue: 1) }
    @inlinable static var ipv4: Layers { Layers(rawValue: 2) }
    @inlinable static var ipv6: Layers { Layers(rawValue: 4) }
    /// TCP's or UDP's ports are there.
    @inlinable static var ports: Layers { Layers(rawValue: 8) }
    /// Type and code of ICMP or ICMPv6 are there.
    @inlinable static var icmp: Layers { Layers(rawValue: 16) }
    @inlinable static var firstFragment: Layers { Layers(rawValue: 32) }
    @inlinable static var laterFragment: Layers { Layers(rawValue: 64) }
  }

  static let tagBit: UInt64 = 1 << 56
  static let flagsBit: UInt64 = 1 << 57

  init() {}

  @inlinable
  init(header: UInt64, station: UInt64, addresses: UInt64) {
    (self.header, self.station, self.addresses) = (header, station, addresses)
  }

  var layers: Layers {
    get { Layers(rawValue: UInt8(truncatingIfNeeded: header >> 16)) }
    set { header = header & ~0xFF_0000 | UInt64(newValue.rawValue) << 16 }
  }

  var ipProtocol: UInt8 { UInt8(truncatingIfNeeded: station >> 24) }

  /// Fits the flow cache's shorter entries.
  var isShort: Bool { destinationMAC | sourceMAC == 0 && source | destination == 0 }

  func masked(by mask: FlowKey) -> FlowKey {
    var key = FlowKey(
      header: header & mask.header, station: station & mask.station, addresses: addresses & mask.addresses)
    key.destinationMAC = destinationMAC & mask.destinationMAC
    key.sourceMAC = sourceMAC & mask.sourceMAC
    key.source = source & mask.source
    key.destination = destination & mask.destination
    return key
  }
}

// MARK: Reading a frame

extension FlowKey {
  /// - Parameter isDeep: a rule looks at what is behind the Ethernet header and its tags.
  init(_ frame: borrowing Frame, isDeep: Bool) {
    station = UInt64(frame.port) << 32
    (destinationMAC, sourceMAC) = (frame.destination.bits, frame.source.bits)
    guard let ethernet = EthernetView(frame.bytes) else { return }
    guard let payload = EthernetPayload(ethernet) else {
      header = UInt64(ethernet.etherType.rawValue)
      return
    }
    if let tag = payload.outerTag { station |= UInt64(tag.control) | Self.tagBit }
    header = UInt64(payload.etherType.rawValue)
    guard isDeep else { return }
    switch payload.etherType {
    case .ipv4: readIPv4(payload.bytes)
    case .ipv6: readIPv6(payload.bytes)
    case .arp: readARP(payload.bytes)
    default: break
    }
  }

  private mutating func readARP(_ bytes: RawSpan) {
    guard let packet = ARPView(bytes) else { return }
    layers = .arp
    header |= UInt64(packet.operation.rawValue.bigEndian) << 32
    addresses = Self.pair(packet.senderAddress, packet.targetAddress)
  }

  private mutating func readIPv4(_ bytes: RawSpan) {
    guard let packet = IPv4View(bytes) else { return }
    layers = .ipv4
    addresses = Self.pair(packet.source, packet.destination)
    setIP(packet.trafficClass, packet.timeToLive, packet.protocol)
    if packet.isFragment { layers.insert(packet.payloadPosition == 0 ? .firstFragment : .laterFragment) }
    if packet.payloadPosition == 0 { readTransport(packet.payload, packet.protocol) }
  }

  private mutating func readIPv6(_ bytes: RawSpan) {
    guard let packet = IPv6View(bytes) else { return }
    layers = .ipv6
    (source, destination) = (packet.source.bits, packet.destination.bits)
    guard let upper = IPv6UpperLayer(packet) else {
      return setIP(packet.trafficClass, packet.hopLimit, packet.nextHeader)
    }
    setIP(packet.trafficClass, packet.hopLimit, upper.protocol)
    if upper.isFragment { layers.insert(upper.fragmentPosition == 0 ? .firstFragment : .laterFragment) }
    if upper.fragmentPosition == 0 { readTransport(upper.bytes, upper.protocol) }
  }

  private mutating func readTransport(_ bytes: RawSpan, _ kind: IPProtocol) {
    switch kind {
    case .tcp, .udp:
      guard bytes.byteCount >= 4 else { return }
      layers.insert(.ports)
      header |= UInt64(bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self)) << 32
      guard kind == .tcp, bytes.byteCount > Self.tcpFlagsOffset else { return }
      station |= UInt64(bytes.unsafeLoad(fromByteOffset: Self.tcpFlagsOffset, as: UInt8.self)) << 48 | Self.flagsBit
    case .icmp, .icmpv6:
      guard bytes.byteCount >= 2 else { return }
      layers.insert(.icmp)
      header |= UInt64(bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self)) << 32
    default: break
    }
  }

  /// RFC 9293, 3.1.
  static let tcpFlagsOffset = 13

  private mutating func setIP(_ trafficClass: UInt8, _ timeToLive: UInt8, _ kind: IPProtocol) {
    header |= UInt64(trafficClass) << 24
    station |= UInt64(timeToLive) << 16 | UInt64(kind.rawValue) << 24
  }

  private static func pair(_ first: IPv4Address, _ second: IPv4Address) -> UInt64 {
    UInt64(first.bits.bigEndian) | UInt64(second.bits.bigEndian) << 32
  }
}
