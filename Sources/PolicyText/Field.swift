import Wire

/// What rules can ask of a frame.
enum Field: String, CaseIterable {
  case inPort = "in.port"
  case ethSource = "eth.src"
  case ethDestination = "eth.dst"
  case ethType = "eth.type"
  case vlan
  case vlanPriority = "vlan.pcp"
  case arpOperation = "arp.op"
  case arpSender = "arp.spa"
  case arpTarget = "arp.tpa"
  case ipSource = "ip.src"
  case ipDestination = "ip.dst"
  case ipVersion = "ip.version"
  case ipProtocol = "ip.proto"
  case ipDSCP = "ip.dscp"
  case ipECN = "ip.ecn"
  case ipTTL = "ip.ttl"
  case ipFragment = "ip.frag"
  case tcpSource = "tcp.src"
  case tcpDestination = "tcp.dst"
  case tcpFlags = "tcp.flags"
  case udpSource = "udp.src"
  case udpDestination = "udp.dst"
  case icmpType = "icmp.type"
  case icmpCode = "icmp.code"

  enum Kind {
    case port, mac, ipv4, ip, flags, number
  }

  var kind: Kind {
    switch self {
    case .inPort: .port
    case .ethSource, .ethDestination: .mac
    case .arpSender, .arpTarget: .ipv4
    case .ipSource, .ipDestination: .ip
    case .tcpFlags: .flags
    default: .number
    }
  }

  /// `vlan` has one value more for frames without a tag.
  static let noVLAN: UInt64 = 4096

  /// The greatest value; of addresses of both families: of IPv4's.
  var greatest: UInt64 {
    switch self {
    case .ethSource, .ethDestination: 0xFFFF_FFFF_FFFF
    case .arpSender, .arpTarget, .ipSource, .ipDestination: 0xFFFF_FFFF
    case .inPort, .ethType, .arpOperation, .tcpSource, .tcpDestination, .udpSource, .udpDestination: 0xFFFF
    case .vlan: Self.noVLAN
    case .ipProtocol, .ipTTL, .tcpFlags, .icmpType, .icmpCode: 0xFF
    case .ipDSCP: 63
    case .vlanPriority: 7
    case .ipECN: 3
    case .ipVersion: 15
    case .ipFragment: 2
    }
  }

  /// The greatest that may be written as a number.
  var greatestNumber: UInt64 { self == .vlan ? 4095 : greatest }

  /// The bits of the key that have the field, and those that say whether it is there.
  var mask: FlowKey {
    var mask = FlowKey()
    let layers: UInt64 = 0xFF << 16
    let transport: UInt64 = 0xFF << 24
    switch self {
    case .inPort: mask.station = 0xFFFF << 32
    case .ethSource: mask.sourceMAC = greatest
    case .ethDestination: mask.destinationMAC = greatest
    case .ethType: mask.header = 0xFFFF
    case .vlan: mask.station = 0xFFF | FlowKey.tagBit
    case .vlanPriority: mask.station = 0xE000 | FlowKey.tagBit
    case .arpOperation: mask.header = 0xFFFF << 32 | layers
    case .arpSender: (mask.header, mask.addresses) = (layers, 0xFFFF_FFFF)
    case .arpTarget: (mask.header, mask.addresses) = (layers, 0xFFFF_FFFF << 32)
    case .ipSource: (mask.header, mask.addresses, mask.source) = (layers, 0xFFFF_FFFF, .max)
    case .ipDestination: (mask.header, mask.addresses, mask.destination) = (layers, 0xFFFF_FFFF << 32, .max)
    case .ipVersion, .ipFragment: mask.header = layers
    case .ipProtocol: (mask.header, mask.station) = (layers, transport)
    case .ipDSCP: mask.header = layers | 0xFC << 24
    case .ipECN: mask.header = layers | 3 << 24
    case .ipTTL: (mask.header, mask.station) = (layers, 0xFF << 16)
    case .tcpSource, .udpSource: (mask.header, mask.station) = (layers | 0xFFFF << 32, transport)
    case .tcpDestination, .udpDestination: (mask.header, mask.station) = (layers | 0xFFFF << 48, transport)
    case .tcpFlags: (mask.header, mask.station) = (layers, transport | 0xFF << 48 | FlowKey.flagsBit)
    case .icmpType: mask.header = layers | 0xFF << 32
    case .icmpCode: mask.header = layers | 0xFF << 40
    }
    return mask
  }

  /// Whether it lies behind the Ethernet header and its tags.
  var isDeep: Bool {
    switch self {
    case .inPort, .ethSource, .ethDestination, .ethType, .vlan, .vlanPriority: false
    default: true
    }
  }

  /// Values that have names.
  func value(named name: String) -> ClosedRange<UInt64>? {
    switch self {
    case .ethType: Self.one(Self.ethTypes[name])
    case .vlan:
      switch name {
      case "none": Self.noVLAN...Self.noVLAN
      case "any": 0...4095
      default: nil
      }
    case .arpOperation: Self.one(["request": 1, "reply": 2][name])
    case .ipProtocol: Self.one(Self.protocols[name])
    case .ipDSCP: Self.one(Self.codePoints[name])
    case .ipECN: Self.one(["not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3][name])
    case .ipFragment:
      switch name {
      case "no": 0...0
      case "yes": 1...2
      case "first": 1...1
      case "later": 2...2
      default: nil
      }
    default: nil
    }
  }

  private static func one(_ value: UInt64?) -> ClosedRange<UInt64>? { value.map { $0...$0 } }

  /// For an error's sentence.
  var example: String {
    switch self {
    case .inPort: "the name of a port"
    case .ethSource, .ethDestination:
      "a MAC address, as 02:00:00:00:00:01, with a mask behind / if need be, or group or broadcast"
    case .ethType: "a number, as 0x88cc, or ip, ipv6, arp, lldp, mpls or pppoe"
    case .vlan: "an identifier from 0 to 4095, none or any"
    case .arpOperation: "request, reply or a number up to \(greatest)"
    case .arpSender, .arpTarget: "an IPv4 address or prefix, as 10.0.0.0/24"
    case .ipSource, .ipDestination: "an address or prefix, as 10.0.0.0/24 or fd00::1"
    case .ipProtocol: "a number up to 255 or tcp, udp, icmp, icmp6, igmp, gre, esp, ah, sctp, ospf or vrrp"
    case .ipDSCP: "a number up to 63, or cs0 to cs7, af11 to af43, ef, va or le"
    case .ipECN: "not-ect, ect0, ect1 or ce"
    case .ipFragment: "no, yes, first or later"
    case .tcpFlags: "flags with + or -, as +syn-ack, or value/mask, as 0x02/0x12"
    case .ipVersion: "4 or 6"
    default: "a number or a range, as 80-90, up to \(greatest)"
    }
  }

  /// IANA, "IEEE 802 Numbers".
  private static let ethTypes: [String: UInt64] = [
    "ip": 0x0800, "ipv4": 0x0800, "arp": 0x0806, "ipv6": 0x86DD, "lldp": 0x88CC, "mpls": 0x8847, "pppoe": 0x8864,
  ]

  /// IANA, "Assigned Internet Protocol Numbers".
  private static let protocols: [String: UInt64] = [
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmp6": 58, "icmpv6": 58, "ospf": 89,
    "vrrp": 112, "sctp": 132,
  ]

  /// IANA, "Differentiated Services Field Codepoints".
  private static let codePoints: [String: UInt64] = {
    var points: [String: UInt64] = ["ef": 46, "va": 44, "le": 1]
    for selector in UInt64(0)...7 { points["cs\(selector)"] = selector << 3 }
    for level in UInt64(1)...4 {
      for precedence in UInt64(1)...3 { points["af\(level)\(precedence)"] = level << 3 | precedence << 1 }
    }
    return points
  }()
}

/// A field's value in a frame.
enum FieldValue: Equatable {
  case absent
  case narrow(UInt64)
  /// An address of IPv6.
  case wide(UInt128)
}

extension FlowKey {
  func value(of field: Field) -> FieldValue {
    func part(_ word: UInt64, _ shift: UInt64, _ mask: UInt64, if isThere: Bool = true) -> FieldValue {
      isThere ? .narrow(word >> shift & mask) : .absent
    }
    func swapped(_ shift: UInt64, if isThere: Bool) -> FieldValue {
      isThere ? .narrow(UInt64(UInt16(truncatingIfNeeded: header >> shift).byteSwapped)) : .absent
    }
    func address(_ shift: UInt64) -> FieldValue {
      .narrow(UInt64(UInt32(truncatingIfNeeded: addresses >> shift).byteSwapped))
    }
    let isIP = !layers.isDisjoint(with: [.ipv4, .ipv6])
    let hasPorts = layers.contains(.ports)
    switch field {
    case .inPort: return part(station, 32, 0xFFFF)
    case .ethSource: return .narrow(sourceMAC)
    case .ethDestination: return .narrow(destinationMAC)
    case .ethType: return part(header, 0, 0xFFFF)
    case .vlan: return station & Self.tagBit == 0 ? .narrow(Field.noVLAN) : part(station, 0, 0xFFF)
    case .vlanPriority: return part(station, 13, 7, if: station & Self.tagBit != 0)
    case .arpOperation: return swapped(32, if: layers.contains(.arp))
    case .arpSender: return layers.contains(.arp) ? address(0) : .absent
    case .arpTarget: return layers.contains(.arp) ? address(32) : .absent
    case .ipSource: return layers.contains(.ipv6) ? .wide(source) : layers.contains(.ipv4) ? address(0) : .absent
    case .ipDestination:
      return layers.contains(.ipv6) ? .wide(destination) : layers.contains(.ipv4) ? address(32) : .absent
    case .ipVersion: return isIP ? .narrow(layers.contains(.ipv6) ? 6 : 4) : .absent
    case .ipProtocol: return part(station, 24, 0xFF, if: isIP)
    case .ipDSCP: return part(header, 26, 0x3F, if: isIP)
    case .ipECN: return part(header, 24, 3, if: isIP)
    case .ipTTL: return part(station, 16, 0xFF, if: isIP)
    case .ipFragment:
      return isIP ? .narrow(layers.contains(.laterFragment) ? 2 : layers.contains(.firstFragment) ? 1 : 0) : .absent
    case .tcpSource: return swapped(32, if: hasPorts && ipProtocol == 6)
    case .tcpDestination: return swapped(48, if: hasPorts && ipProtocol == 6)
    case .tcpFlags: return part(station, 48, 0xFF, if: station & Self.flagsBit != 0)
    case .udpSource: return swapped(32, if: hasPorts && ipProtocol == 17)
    case .udpDestination: return swapped(48, if: hasPorts && ipProtocol == 17)
    case .icmpType: return part(header, 32, 0xFF, if: layers.contains(.icmp))
    case .icmpCode: return part(header, 40, 0xFF, if: layers.contains(.icmp))
    }
  }
}
