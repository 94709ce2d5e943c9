import Datapath
import Wire

/// A frame in words, on one line.
enum FrameSummary {
  static func words(_ bytes: RawSpan, originalLength: Int) -> String {
    guard let ethernet = EthernetView(bytes) else { return "\(originalLength) bytes, no Ethernet header" }
    let headers = FrameHeaders(bytes)
    var words = "\(ethernet.source) > \(ethernet.destination), "
    if headers.layers.contains(.vlan) { words += "VLAN \(headers.vlan), " }
    if headers.layers.contains(.stackedVLAN) { words += "VLAN \(headers.innerTag & 0xFFF), " }
    return words + packet(headers) + ", \(originalLength) bytes"
  }

  private static func packet(_ headers: FrameHeaders) -> String {
    let layers = headers.layers
    // Below 0x600 it is a length (IEEE 802.3, 3.2.6).
    if headers.etherType < 0x600 { return "LLC" }
    let type = "EtherType 0x" + hexadecimal(headers.etherType)
    if layers.contains(.malformed) { return type + ", malformed" }
    let (source, destination) = (IPAddress(mapped: headers.source), IPAddress(mapped: headers.destination))
    if layers.contains(.arp) {
      switch ARPOperation(rawValue: headers.operation) {
      case .request: return "ARP who has \(destination), tell \(source)"
      case .reply: return "ARP \(source) is at \(headers.senderMAC)"
      default: return "ARP operation \(headers.operation)"
      }
    }
    guard layers.contains(.ipv4) || layers.contains(.ipv6) else { return type }
    let (from, to) = (text(source), text(destination))
    var words: String
    if layers.contains(.tcp) || layers.contains(.udp) {
      words = layers.contains(.tcp) ? "TCP" : "UDP"
      words += " \(from):\(headers.sourcePort) > \(to):\(headers.destinationPort)"
      if layers.contains(.tcp) { words += flags(headers.tcpFlags) }
    } else if layers.contains(.icmp) {
      words = "ICMP\(layers.contains(.ipv6) ? "v6" : "") type \(headers.icmpType) \(from) > \(to)"
    } else {
      words = "IP\(layers.contains(.ipv6) ? "v6" : "v4") protocol \(headers.ipProtocol) \(from) > \(to)"
    }
    return layers.contains(.fragment) ? words + ", fragment" : words
  }

  private static func text(_ address: IPAddress) -> String { address.isIPv6 ? "[\(address)]" : "\(address)" }

  /// From bit 0 on (RFC 9293, 3.1).
  private static func flags(_ bits: UInt8) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
    return names.enumerated().filter { bits & 1 << $0.offset != 0 }.map { " " + $0.element }.joined()
  }

  private static func hexadecimal(_ value: UInt16) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
  }
}
