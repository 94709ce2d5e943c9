import Support
import Wire

/// Makes rules and frames that meet each other often: both are of few values.
struct SeededPolicy {
  var generator: SeededGenerator
  /// Which fields rules may ask for.
  let fields: [String]
  private(set) var sets: [String] = []

  init(seed: UInt64, fields: [String]) {
    generator = SeededGenerator(seed: seed)
    self.fields = fields
  }

  static let allFields = [
    "in.port", "eth.src", "eth.dst", "eth.type", "vlan", "vlan.pcp", "arp.op", "arp.spa", "arp.tpa", "ip.src", "ip.dst",
    "ip.version", "ip.proto", "ip.dscp", "ip.ecn", "ip.ttl", "ip.frag", "tcp.src", "tcp.dst", "tcp.flags", "udp.src",
    "udp.dst", "icmp.type", "icmp.code",
  ]

  // MARK: Frames

  mutating func frame() -> SampleFrame {
    var frame = SampleFrame()
    frame.port = UInt16(generator.below(4))
    frame.source = mac() & ~0x0100_0000_0000
    frame.destination = mac()
    if generator.below(4) == 0 { frame.tag = UInt16(generator.below(8)) << 13 | UInt16(generator.below(6)) }
    switch generator.below(8) {
    case 0: frame.content = .arp(operation: UInt16(1 + generator.below(2)), sender: ipv4(), target: ipv4())
    case 1: frame.content = .type([0x88CC, 0x88B5, 0x0040][generator.below(3)])
    case 2, 3: frame.content = .ipv6(source: ipv6(), destination: ipv6())
    default: frame.content = .ipv4(source: ipv4(), destination: ipv4())
    }
    switch generator.below(8) {
    case 0: frame.transport = .icmp(type: UInt8(generator.below(3)) * 64, code: UInt8(generator.below(2)))
    case 1: frame.transport = .other([2, 47, 132][generator.below(3)])
    case 2, 3, 4: frame.transport = .tcp(source: port(), destination: port(), flags: UInt8(generator.below(64)))
    default: frame.transport = .udp(source: port(), destination: port())
    }
    if generator.below(4) == 0 { frame.trafficClass = UInt8(generator.below(256)) }
    if generator.below(4) == 0 { frame.timeToLive = UInt8(generator.below(4)) }
    if generator.below(8) == 0 { frame.fragment = generator.below(2) == 0 ? .first : .later }
    if generator.below(8) == 0 { frame.optionsLength = 8 * (1 + generator.below(2)) }
    return frame
  }

  private mutating func mac() -> UInt64 {
    (generator.below(6) == 0 ? 0x0300_0000_0000 : 0x0200_0000_0000) + UInt64(generator.below(4)) << 24
      + UInt64(generator.below(8))
  }

  private mutating func ipv4() -> UInt32 { 0x0A00_0000 + UInt32(generator.below(4)) << 8 + UInt32(generator.below(8)) }

  private mutating func ipv6() -> UInt128 {
    // Sometimes as IPv4 stands in IPv6, which must not be taken for it.
    let low = UInt128(ipv4())
    return generator.below(6) == 0 ? 0xFFFF << 32 | low : 0xFD00 << 112 | low
  }

  private mutating func port() -> UInt16 { UInt16(generator.below(64) * (generator.below(2) == 0 ? 1 : 1000)) }

  // MARK: Rules

  mutating func rule() -> ReferenceRule {
    var rest = fields
    var conditions: [ReferenceCondition] = []
    var texts: [String] = []
    for _ in 0..<(1 + generator.below(3)) where !rest.isEmpty {
      let field = rest.remove(at: generator.below(rest.count))
      let (condition, text) = condition(field)
      conditions.append(condition)
      texts.append(text)
    }
    let ending: ReferenceRule.Ending
    let action: String
    switch generator.below(6) {
    case 0: (ending, action) = (.drop, "drop")
    case 1: (ending, action) = (.flood, "flood")
    case 2, 3: (ending, action) = (.next, "count seen, next")
    default:
      let port = generator.below(4)
      (ending, action) = (.forward(UInt16(port)), "forward \(PolicyBed.name(port))")
    }
    let text = "rule \(texts.joined(separator: " ")) -> \(action)"
    return ReferenceRule(text: text, conditions: conditions, ending: ending)
  }

  private mutating func condition(_ field: String) -> (ReferenceCondition, String) {
    let isNegated = generator.below(5) == 0
    let not = isNegated ? "not " : ""
    if field == "eth.dst" && generator.below(4) == 0 {
      let (mask, value): (UInt64, UInt64) =
        generator.below(2) == 0 ? (1 << 40, 1 << 40) : (0xFF, UInt64(generator.below(8)))
      let text = mask == 0xFF ? "\(MACAddress(bits: value))/\(MACAddress(bits: mask))" : "group"
      let range = ReferenceCondition.Range(first: UInt128(value), last: UInt128(value))
      return (
        ReferenceCondition(field: field, isNegated: isNegated, mask: UInt128(mask), ranges: [range]),
        "\(field) \(not)\(text)"
      )
    }
    let values = (0..<(1 + generator.below(3))).map { _ in value(field) }
    let condition = ReferenceCondition(field: field, isNegated: isNegated, ranges: values.flatMap(\.ranges))
    if generator.below(4) == 0 {
      sets.append("set s\(sets.count) { \(values.map(\.text).joined(separator: ", ")) }")
      return (condition, "\(field) \(not)in s\(sets.count - 1)")
    }
    return (condition, "\(field) \(not)\(values.map(\.text).joined(separator: ", "))")
  }

  private mutating func value(_ field: String) -> (ranges: [ReferenceCondition.Range], text: String) {
    func one(_ value: some BinaryInteger, _ text: String? = nil) -> ([ReferenceCondition.Range], String) {
      ([.init(first: UInt128(value), last: UInt128(value))], text ?? "\(value)")
    }
    func upTo(_ first: some BinaryInteger, _ last: some BinaryInteger, _ text: String) -> (
      [ReferenceCondition.Range], String
    ) {
      ([.init(first: UInt128(first), last: UInt128(last))], text)
    }
    switch field {
    case "in.port":
      let port = generator.below(5)
      return port == 4 ? ([], "gone") : one(port, generator.below(2) == 0 ? PolicyBed.name(port) : "id-\(port)")
    case "eth.src", "eth.dst":
      let mac = mac()
      if generator.below(3) > 0 { return one(mac, MACAddress(bits: mac).description) }
      let prefix = mac & ~0xFF_FFFF
      return upTo(prefix, prefix | 0xFF_FFFF, "\(MACAddress(bits: prefix))/24")
    case "eth.type":
      return [
        one(0x0800, "ip"), one(0x0806, "arp"), one(0x86DD, "ipv6"), one(0x88CC, "0x88cc"), upTo(0, 0x5FF, "0-0x5ff"),
      ][
        generator.below(5)]
    case "vlan": return generator.below(3) == 0 ? one(4096, "none") : numbers(below: 8)
    case "vlan.pcp": return numbers(below: 8)
    case "arp.op": return [one(1, "request"), one(2)][generator.below(2)]
    case "arp.spa", "arp.tpa": return addresses(isWide: false)
    case "ip.src", "ip.dst": return addresses(isWide: generator.below(3) == 0)
    case "ip.version": return [one(4), one(6)][generator.below(2)]
    case "ip.proto":
      return [one(6, "tcp"), one(17, "udp"), one(1, "icmp"), one(58, "icmp6"), one(47)][generator.below(5)]
    case "ip.dscp": return generator.below(4) == 0 ? one(46, "ef") : numbers(below: 64)
    case "ip.ecn": return [one(0, "not-ect"), one(1, "ect1"), one(2, "ect0"), one(3, "ce")][generator.below(4)]
    case "ip.frag":
      return [one(0, "no"), upTo(1, 2, "yes"), one(1, "first"), one(2, "later")][generator.below(4)]
    case "tcp.flags": return flags()
    case "icmp.type", "icmp.code", "ip.ttl": return numbers(below: 130)
    default: return numbers(below: generator.below(2) == 0 ? 64 : 65_536)
    }
  }

  private mutating func numbers(below bound: Int) -> ([ReferenceCondition.Range], String) {
    let first = generator.below(bound)
    if generator.below(2) == 0 { return ([.init(first: UInt128(first), last: UInt128(first))], "\(first)") }
    let last = first + generator.below(bound - first)
    return ([.init(first: UInt128(first), last: UInt128(last))], "\(first)-\(last)")
  }

  private mutating func flags() -> ([ReferenceCondition.Range], String) {
    let mask = generator.below(64)
    let value = generator.below(64) & mask
    let all = (0..<256).filter { $0 & mask == value }
    return (all.map { .init(first: UInt128($0), last: UInt128($0)) }, "\(value)/\(mask)")
  }

  private mutating func addresses(isWide: Bool) -> ([ReferenceCondition.Range], String) {
    let address = isWide ? ipv6() & ~(0xFFFF << 32) | 0xFD00 << 112 : UInt128(ipv4())
    func text(_ bits: UInt128) -> String {
      isWide ? IPv6Address(bits: bits).description : IPv4Address(bits: UInt32(bits)).description
    }
    let host: UInt128
    switch generator.below(4) {
    case 0: return ([.init(isWide: isWide, first: address, last: address + 3)], "\(text(address))-\(text(address + 3))")
    case 1: host = isWide ? .max : 0xFFFF_FFFF
    case 2: host = 0xFF
    default: host = 0
    }
    let (first, last) = (address & ~host, isWide ? address | host : (address | host) & 0xFFFF_FFFF)
    let length = (isWide ? 128 : 32) - (host.nonzeroBitCount)
    return ([.init(isWide: isWide, first: first, last: last)], host == 0 ? text(first) : "\(text(first))/\(length)")
  }
}
