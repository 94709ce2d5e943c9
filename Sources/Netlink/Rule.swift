import CLibmnl
import SystemCalls
import Wire

/// A policy rule (ip-rule(8), linux/fib_rules.h): which routing table decides about a packet, or that none does.
public struct Rule: Hashable, Sendable {
  /// FR_ACT_* of linux/fib_rules.h.
  public enum Action: Hashable, Sendable {
    case lookUp(table: UInt32)
    case blackhole
    case unreachable
    case prohibit
    /// One that Martlet never makes, by its number.
    case other(UInt8)
  }

  public var family: AddressFamily
  /// The lowest comes first.
  public var priority: UInt32
  /// The packet came in by the interface of this name, whether there is one now or not.
  public var inputInterface: String?
  public var source: IPPrefix?
  public var destination: IPPrefix?
  public var action: Action
  public var origin: Route.Origin

  public init(
    _ family: AddressFamily, priority: UInt32, inputInterface: String? = nil, source: IPPrefix? = nil,
    destination: IPPrefix? = nil, action: Action, origin: Route.Origin = .administrator
  ) {
    self.family = family
    self.priority = priority
    self.inputInterface = inputInterface
    self.source = source
    self.destination = destination
    self.action = action
    self.origin = origin
  }
}

extension RouteSocket {
  /// The rules of a family in the order in which they are asked. Selectors for which `Rule` has no field (marks, ports,
  /// users) are left out.
  public mutating func rules(_ family: AddressFamily) throws(Errno) -> [Rule] {
    var header = fib_rule_hdr()
    header.family = family.rawValue
    return try dump(Request(RTM_GETRULE, flags: 0, header), "list rules") { Rule($0) }
  }

  /// EEXIST where there is the same rule.
  public mutating func addRule(_ rule: Rule) throws(Errno) {
    try execute(Request(RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, rule), "add rule \(rule.priority)")
  }

  /// ENOENT where there is no such rule.
  public mutating func removeRule(_ rule: Rule) throws(Errno) {
    try execute(Request(RTM_DELRULE, flags: 0, rule), "remove rule \(rule.priority)")
  }
}

extension Request {
  fileprivate init(_ type: Int, flags: Int32, _ rule: Rule) {
    var header = fib_rule_hdr()
    header.family = rule.family.rawValue
    header.src_len = UInt8(rule.source?.length ?? 0)
    header.dst_len = UInt8(rule.destination?.length ?? 0)
    header.action = rule.action.number
    self.init(type, flags: flags, header)
    put(FRA_PRIORITY, rule.priority)
    put(FRA_PROTOCOL, rule.origin.rawValue)
    if let name = rule.inputInterface { put(FRA_IIFNAME, name) }
    // The kernel refuses an address whose length is 0: it stands for all.
    if let source = rule.source, source.length > 0 { put(FRA_SRC, source.address) }
    if let destination = rule.destination, destination.length > 0 { put(FRA_DST, destination.address) }
    if case .lookUp(let table) = rule.action { put(FRA_TABLE, table) }
  }
}

extension Rule.Action {
  fileprivate var number: UInt8 {
    switch self {
    case .lookUp: UInt8(FR_ACT_TO_TBL)
    case .blackhole: UInt8(FR_ACT_BLACKHOLE)
    case .unreachable: UInt8(FR_ACT_UNREACHABLE)
    case .prohibit: UInt8(FR_ACT_PROHIBIT)
    case .other(let number): number
    }
  }

  fileprivate init(number: UInt8, table: UInt32) {
    switch Int(number) {
    case FR_ACT_TO_TBL: self = .lookUp(table: table)
    case FR_ACT_BLACKHOLE: self = .blackhole
    case FR_ACT_UNREACHABLE: self = .unreachable
    case FR_ACT_PROHIBIT: self = .prohibit
    default: self = .other(number)
    }
  }
}

extension Rule {
  fileprivate init?(_ message: Message) {
    guard message.type == RTM_NEWRULE, let header = message.family(fib_rule_hdr.self),
      let family = AddressFamily(rawValue: header.family)
    else { return nil }
    var table = UInt32(header.table)
    self.init(family, priority: 0, action: .other(header.action), origin: Route.Origin(rawValue: 0))
    for attribute in message.attributes(after: fib_rule_hdr.self) {
      switch attribute.type {
      case FRA_PRIORITY: priority = attribute.uint32 ?? 0
      case FRA_TABLE: table = attribute.uint32 ?? table
      case FRA_PROTOCOL: origin = Route.Origin(rawValue: attribute.uint8 ?? 0)
      case FRA_IIFNAME: inputInterface = attribute.string
      case FRA_SRC: source = IPPrefix(attribute, length: header.src_len)
      case FRA_DST: destination = IPPrefix(attribute, length: header.dst_len)
      default: continue
      }
    }
    action = Action(number: header.action, table: table)
  }
}
