import PolicyText
import Support

/// A value of a field, told apart by its family: numbers and IPv4's addresses are of the first.
struct ReferenceValue: Equatable {
  var isWide = false
  var bits: UInt128
}

/// What a rule asks of a field, in the plainest form.
struct ReferenceCondition {
  struct Range {
    var isWide = false
    var first: UInt128
    var last: UInt128
  }

  var field: String
  var isNegated: Bool
  var mask: UInt128 = .max
  var ranges: [Range]

  func holds(for frame: SampleFrame) -> Bool {
    guard let value = frame.value(of: field) else { return false }
    let isIn = ranges.contains { $0.isWide == value.isWide && $0.first...$0.last ~= value.bits & mask }
    return isIn != isNegated
  }
}

/// A rule with its text, and what it means by the language's description alone.
struct ReferenceRule {
  enum Ending: Equatable {
    case forward(UInt16), drop, flood, next
  }

  var text: String
  var conditions: [ReferenceCondition]
  var ending: Ending
}

extension SampleFrame {
  /// nil where the frame has no such field.
  func value(of field: String) -> ReferenceValue? {
    switch field {
    case "in.port": number(port)
    case "eth.src": ReferenceValue(bits: UInt128(source))
    case "eth.dst": ReferenceValue(bits: UInt128(destination))
    case "eth.type": number(etherType)
    case "vlan": number(tag.map { $0 & 0xFFF } ?? 4096)
    case "vlan.pcp": tag.flatMap { number($0 >> 13) }
    default: field.hasPrefix("arp.") ? arpValue(field) : field.hasPrefix("ip.") ? ipValue(field) : portValue(field)
    }
  }

  private func number(_ value: some BinaryInteger) -> ReferenceValue? { ReferenceValue(bits: UInt128(value)) }

  private var etherType: UInt16 {
    switch content {
    case .arp: 0x0806
    case .ipv4: 0x0800
    case .ipv6: 0x86DD
    case .type(let type): type
    }
  }

  private func arpValue(_ field: String) -> ReferenceValue? {
    guard case .arp(let operation, let sender, let target) = content else { return nil }
    switch field {
    case "arp.op": return number(operation)
    case "arp.spa": return number(sender)
    default: return number(target)
    }
  }

  private func ipValue(_ field: String) -> ReferenceValue? {
    let ends: (source: ReferenceValue, destination: ReferenceValue)
    var version = 4
    switch content {
    case .ipv4(let source, let destination):
      ends = (ReferenceValue(bits: UInt128(source)), ReferenceValue(bits: UInt128(destination)))
    case .ipv6(let source, let destination):
      version = 6
      ends = (ReferenceValue(isWide: true, bits: source), ReferenceValue(isWide: true, bits: destination))
    default: return nil
    }
    switch field {
    case "ip.src": return ends.source
    case "ip.dst": return ends.destination
    case "ip.version": return number(version)
    case "ip.proto": return number(number)
    case "ip.dscp": return number(trafficClass >> 2)
    case "ip.ecn": return number(trafficClass & 3)
    case "ip.ttl": return number(timeToLive)
    default: return number(fragment == .none ? 0 : fragment == .first ? 1 : 2)
    }
  }

  private func portValue(_ field: String) -> ReferenceValue? {
    guard ipValue("ip.version") != nil, fragment != .later else { return nil }
    switch (transport, field) {
    case (.tcp(let source, _, _), "tcp.src"), (.udp(let source, _), "udp.src"): return number(source)
    case (.tcp(_, let destination, _), "tcp.dst"), (.udp(_, let destination), "udp.dst"): return number(destination)
    case (.tcp(_, _, let flags), "tcp.flags"): return number(flags)
    case (.icmp(let type, _), "icmp.type"): return number(type)
    case (.icmp(_, let code), "icmp.code"): return number(code)
    default: return nil
    }
  }
}

/// Looks at one rule after the other.
struct ReferenceMatcher {
  var rules: [ReferenceRule]

  /// The rules that the frame meets, and what decides; nil: the default.
  func decide(_ frame: SampleFrame) -> (met: [Int], ending: ReferenceRule.Ending?) {
    var met: [Int] = []
    for (index, rule) in rules.enumerated() where rule.conditions.allSatisfy({ $0.holds(for: frame) }) {
      met.append(index)
      if rule.ending != .next { return (met, rule.ending) }
    }
    return (met, nil)
  }
}
