import Wire

/// What a frame is, in a line: its addresses, tags, and what it carries.
public enum FrameSummary {
  /// - Parameter bytes: from the Ethernet header on, perhaps not all.
  public static func text(_ bytes: RawSpan) -> String {
    guard let ethernet = EthernetView(bytes) else { return "shorter than an Ethernet header" }
    var text = "\(ethernet.source) > \(ethernet.destination)"
    var type = ethernet.etherType
    var offset = EthernetView.headerLength
    while type.isVLAN, bytes.byteCount >= offset + VLANTag.length {
      text += ", VLAN \(number(bytes, offset) & 0xFFF)"
      type = EtherType(rawValue: number(bytes, offset + 2))
      offset += VLANTag.length
    }
    return text + ", " + payload(bytes.extracting(droppingFirst: offset), type)
  }

  private static func payload(_ bytes: RawSpan, _ type: EtherType) -> String {
    switch type {
    case .arp:
      guard let arp = ARPView(bytes) else { return "ARP" }
      return arp.operation == .request
        ? "ARP who has \(arp.targetAddress) tell \(arp.senderAddress)"
        : "ARP \(arp.senderAddress) is at \(arp.senderMAC)"
    case .ipv4: return ipv4(bytes)
    case .ipv6: return ipv6(bytes)
    default:
      let digits = String(type.rawValue, radix: 16)
      return type.isLength
        ? "802.3" : "EtherType 0x" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
  }

  // The views of Wire want whole packets; of a capture there may be less.

  private static func ipv4(_ bytes: RawSpan) -> String {
    guard bytes.byteCount >= IPv4View.headerLengthMin else { return "IPv4" }
    let source = IPAddress(bytes: octets(bytes, IPv4View.sourceOffset, 4))
    let destination = IPAddress(bytes: octets(bytes, IPv4View.destinationOffset, 4))
    let headerLength = Int(bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) & 0xF) * 4
    let isFirst = number(bytes, 6) & 0x1FFF == 0
    let next = bytes.unsafeLoad(fromByteOffset: 9, as: UInt8.self)
    return transport(
      bytes, at: isFirst ? headerLength : nil, next, source.map(String.init) ?? "", destination.map(String.init) ?? "")
  }

  private static func ipv6(_ bytes: RawSpan) -> String {
    guard bytes.byteCount >= IPv6View.headerLength else { return "IPv6" }
    let source = IPAddress(bytes: octets(bytes, IPv6View.sourceOffset, 16))
    let destination = IPAddress(bytes: octets(bytes, IPv6View.destinationOffset, 16))
    let next = bytes.unsafeLoad(fromByteOffset: 6, as: UInt8.self)
    return transport(
      bytes, at: IPv6View.headerLength, next, source.map(String.init) ?? "", destination.map(String.init) ?? "")
  }

  /// - Parameter offset: nil: of a later fragment, which has no ports.
  private static func transport(
    _ bytes: RawSpan, at offset: Int?, _ next: UInt8, _ source: String, _ destination: String
  ) -> String {
    let name: String
    switch IPProtocol(rawValue: next) {
    case .tcp: name = "TCP"
    case .udp: name = "UDP"
    case .icmp: name = "ICMP"
    case .icmpv6: name = "ICMPv6"
    default: return "\(source) > \(destination) protocol \(next)"
    }
    guard let offset, bytes.byteCount >= offset + 4 else { return "\(source) > \(destination) \(name) fragment" }
    if name.hasPrefix("ICMP") {
      return "\(source) > \(destination) \(name) type \(bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))"
    }
    return "\(source).\(number(bytes, offset)) > \(destination).\(number(bytes, offset + 2)) \(name)"
  }

  private static func number(_ bytes: RawSpan, _ offset: Int) -> UInt16 {
    UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  private static func octets(_ bytes: RawSpan, _ offset: Int, _ count: Int) -> [UInt8] {
    (offset..<offset + count).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
  }
}
