import Datapath
import Wire

extension Parser {
  private static let keywords: Set = [
    "learn", "flood", "forward", "drop", "next", "mirror", "count", "meter", "set", "strip", "dec",
  ]

  /// Behind the arrow, up to the line's end.
  mutating func actions(of rule: inout DraftRule) throws(Broken) {
    var tagging = DraftTagging.unchanged
    while true {
      let word = take()
      let name = word.kind == .word ? text(word) : ""
      if let ending = Ending(word: name) {
        rule.ending = DraftEnding(kind: ending, tagging: tagging)
        if ending == .forward { rule.ending.ports = try forwardPorts() }
        if token.kind == .comma { throw broken("\(name) ends the rule: what else it does stands before it", at: token) }
        if tagging != .unchanged && ending != .forward {
          complain("a VLAN tag can be changed only where the frame is forwarded to ports: end with forward", at: word)
        }
        return try endLine()
      }
      try action(name, at: word, &rule.actions, &tagging)
      guard rule.actions.count <= PolicyLimits.actionCountMax else {
        throw broken("a rule has at most \(PolicyLimits.actionCountMax) actions", at: word)
      }
      guard token.kind == .comma else {
        throw broken("a rule ends with learn, forward, flood, drop or next; actions are separated by commas", at: token)
      }
      take()
      skipNewlines()
    }
  }

  private mutating func action(
    _ name: String, at word: Token, _ actions: inout [DraftAction], _ tagging: inout DraftTagging
  ) throws(Broken) {
    switch name {
    case "count": actions.append(.count(try counter()))
    case "meter": try meter(&actions)
    case "mirror":
      // As in: mirror port monitor.
      if token.kind == .word, text(token) == "port" { take() }
      actions.append(.mirror(try port("mirror")))
    case "set": try set(&actions, &tagging)
    case "strip":
      guard takeWord("vlan") else { throw broken("say strip vlan", at: token) }
      tagging = .removed
    case "dec":
      guard takeWord("ttl") else { throw broken("say dec ttl", at: token) }
      actions.append(.rewrite(.decrementTimeToLive, .ipTTL))
    default:
      throw broken(
        "an action is learn, forward, flood, drop, next, mirror, count, meter, set, strip vlan or dec ttl", at: word)
    }
  }

  private mutating func counter() throws(Broken) -> Int {
    let place = token
    let name = try name(of: "counter")
    if let known = counterPlaces[name] { return known }
    guard draft.rules.count + draft.counters.count < PolicyLimits.countersMax else {
      throw broken("a policy has at most \(PolicyLimits.countersMax) rules and counters", at: place)
    }
    counterPlaces[name] = draft.counters.count
    draft.counters.append(name)
    return draft.counters.count - 1
  }

  private mutating func meter(_ actions: inout [DraftAction]) throws(Broken) {
    let place = token
    let name = try name(of: "meter")
    let meter = meterPlaces[name]
    if meter == nil { complain("no meter is called \(name); a meter stands above the rules that use it", at: place) }
    var exceeded = DraftEnding(kind: .drop)
    if takeWord("else") {
      let word = take()
      guard word.kind == .word, let ending = Ending(word: text(word)) else {
        throw broken("behind else stands learn, forward PORT, flood, drop or next", at: word)
      }
      exceeded.kind = ending
      if ending == .forward { exceeded.ports = [try port("forward")] }
    }
    if let meter { actions.append(.meter(meter, exceeded: exceeded)) }
  }

  // MARK: Ports

  private mutating func forwardPorts() throws(Broken) -> [Int] {
    var ports = [try port("forward")]
    while token.kind == .comma {
      take()
      skipNewlines()
      ports.append(try port("forward"))
    }
    guard ports.count <= PolicyLimits.portCountMax else {
      throw broken("a rule forwards to at most \(PolicyLimits.portCountMax) ports", at: token)
    }
    return ports
  }

  private mutating func port(_ action: String) throws(Broken) -> Int {
    guard token.kind == .word || token.kind == .quoted else {
      throw broken("\(action) wants the name of a port", at: token)
    }
    let name = text(token)
    guard isPortName(name) else {
      throw broken(
        "a port's name has at most \(PolicyLimits.portNameLengthMax) bytes, and at least one", at: token)
    }
    if token.kind == .word && Self.keywords.contains(name) {
      throw broken(
        "the name of a port is expected here, and what else the rule does before forward; a port that is called \(name) "
          + "stands between quotes", at: token)
    }
    take()
    if let known = portPlaces[name] { return known }
    portPlaces[name] = draft.ports.count
    draft.ports.append(name)
    return draft.ports.count - 1
  }

  // MARK: Rewriting

  private mutating func set(_ actions: inout [DraftAction], _ tagging: inout DraftTagging) throws(Broken) {
    let word = take()
    let field = word.kind == .word ? Field(rawValue: text(word)) : nil
    guard let field, Self.settable.contains(field) else {
      throw broken(
        "set changes " + Self.settable.map(\.rawValue).joined(separator: ", ") + "; this cannot be set", at: word)
    }
    let place = token
    guard place.kind == .word else { throw broken("set \(field.rawValue) wants a value", at: place) }
    let value = text(take())
    do throws(ValueReader.Refusal) {
      if field == .vlan {
        let identifier = try ValueReader.numbers(value, for: field)
        guard identifier.count == 1, (1...4094).contains(identifier.lowerBound) else {
          throw ValueReader.Refusal("give an identifier from 1 to 4094; strip vlan takes the tag away")
        }
        tagging = .identifier(UInt16(identifier.lowerBound))
      } else {
        actions.append(.rewrite(try rewrite(field, value), field))
      }
    } catch {
      complain("set \(field.rawValue) \(value): \(error.reason)", at: place)
    }
  }

  private static let settable: [Field] = [
    .ethSource, .ethDestination, .ipSource, .ipDestination, .ipDSCP, .tcpSource, .tcpDestination, .udpSource,
    .udpDestination, .vlan,
  ]

  private func rewrite(_ field: Field, _ value: String) throws(ValueReader.Refusal) -> FieldRewrite {
    switch field {
    case .ethSource, .ethDestination:
      guard let mac = MACAddress(value) else { throw ValueReader.Refusal("give a MAC address, as 02:00:00:00:00:01") }
      guard field == .ethDestination || mac.isValidSource else {
        throw ValueReader.Refusal("a group's address cannot be a source")
      }
      return field == .ethSource ? .sourceMAC(mac) : .destinationMAC(mac)
    case .ipSource, .ipDestination:
      guard let address = IPAddress(value) else {
        throw ValueReader.Refusal("give one address, as 10.0.0.1 or fd00::1")
      }
      // `IPAddress.mapped` cannot tell these from IPv4's.
      guard !address.isIPv6 || address.bits >> 32 != 0xFFFF else {
        throw ValueReader.Refusal("an IPv4 address in IPv6's notation is on no wire")
      }
      return field == .ipSource ? .sourceAddress(address.mapped) : .destinationAddress(address.mapped)
    default:
      let set = try ValueReader.read(value, for: field)
      guard let range = set.narrow.first, range.count == 1 else { throw ValueReader.Refusal("give one value") }
      switch field {
      case .ipDSCP: return .differentiatedServices(UInt8(range.lowerBound))
      case .tcpSource, .udpSource: return .sourcePort(UInt16(range.lowerBound))
      default: return .destinationPort(UInt16(range.lowerBound))
      }
    }
  }
}
