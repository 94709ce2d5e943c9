/// Reads a policy's text: one statement after the other, each of which begins a line.
struct Parser {
  /// The statement makes no sense from here on; what is wrong has been said.
  struct Broken: Error {
    /// The line is no statement: the next may be one.
    var isOneLine = false
  }

  private var scanner: Scanner
  /// The next one.
  private(set) var token: Token
  /// Where the last one ended.
  private(set) var lastEnd = 0
  private(set) var diagnostics: [PolicyDiagnostic] = []
  var draft = PolicyDraft()
  /// By name, for those that a text may have many of.
  var setPlaces: [String: Int] = [:]
  var meterPlaces: [String: Int] = [:]
  var counterPlaces: [String: Int] = [:]
  var portPlaces: [String: Int] = [:]
  var portConditionPlaces: [PortCondition: Int] = [:]
  var setConditions: [SetUse: ValueSet] = [:]
  private var hasDefault = false

  init(_ bytes: [UInt8]) {
    scanner = Scanner(bytes)
    token = scanner.next()
  }

  /// Reads all of it; nothing that was refused is part of the draft.
  mutating func parse() {
    while true {
      skipNewlines()
      guard token.kind != .end, diagnostics.count < PolicyLimits.diagnosticCountMax else { return }
      do { try statement() } catch { recover(error) }
    }
  }

  private mutating func statement() throws(Broken) {
    let keyword = take()
    switch keyword.kind == .word ? text(keyword) : "" {
    case "policy":
      let place = token
      let name = try name(of: "policy")
      if draft.name != nil { complain("the policy has a name already", at: place) }
      draft.name = name
    case "default": try defaultEnding()
    case "set": try set()
    case "meter": try meter()
    case "rule": return try rule(keyword)
    default:
      complain("a line begins with policy, default, set, meter or rule", at: keyword)
      throw Broken(isOneLine: true)
    }
    try endLine()
  }

  private mutating func defaultEnding() throws(Broken) {
    let word = take()
    guard word.kind == .word, let ending = Ending(word: text(word)), ending != .forward, ending != .next else {
      throw broken("say default learn, drop or flood", at: word)
    }
    if hasDefault { complain("there is a default already", at: word) }
    hasDefault = true
    draft.ending = ending
  }

  // MARK: Sets and meters

  private mutating func set() throws(Broken) {
    let place = token
    let name = try name(of: "set")
    let elements = try elements(of: name)
    if setPlaces[name] != nil { return complain("there is a set \(name) already", at: place) }
    guard draft.sets.count < PolicyLimits.setCountMax else {
      return complain("a policy has at most \(PolicyLimits.setCountMax) sets", at: place)
    }
    setPlaces[name] = draft.sets.count
    draft.sets.append(DraftSet(name: name, elements: elements))
  }

  /// What stands between braces, with commas or line ends between.
  private mutating func elements(of name: String) throws(Broken) -> [String] {
    let begin = token
    try expect(.open, "a set's elements stand between { and }")
    var elements: [String] = []
    while true {
      skipNewlines()
      if token.kind == .close { break }
      guard token.kind == .word || token.kind == .quoted else {
        throw broken(
          token.kind == .end ? "} is missing at the end of set \(name)" : "an element is expected here", at: token)
      }
      elements.append(text(take()))
      if token.kind == .comma {
        take()
      } else if token.kind != .newline && token.kind != .close && token.kind != .end {
        throw broken("elements are separated by commas", at: token)
      }
    }
    take()
    if elements.isEmpty { complain("set \(name) is empty", at: begin) }
    if elements.count > PolicyLimits.setElementCountMax {
      complain("a set has at most \(PolicyLimits.setElementCountMax) elements", at: begin)
    }
    return elements
  }

  private mutating func meter() throws(Broken) {
    let place = token
    let name = try name(of: "meter")
    try expect(.open, "what a meter lets pass stands between { and }, as { rate 10M burst 64k }")
    var rate: UInt64?
    var burst: UInt64?
    let before = diagnostics.count
    while true {
      skipNewlines()
      if token.kind == .close { break }
      let key = take()
      switch key.kind == .word ? text(key) : "" {
      case "rate": rate = rateValue() ?? rate
      case "burst": burst = burstValue() ?? burst
      default: throw broken("a meter has a rate and a burst, as { rate 10M burst 64k }", at: key)
      }
    }
    take()
    if meterPlaces[name] != nil { return complain("there is a meter \(name) already", at: place) }
    guard draft.meters.count < PolicyLimits.meterCountMax else {
      return complain("a policy has at most \(PolicyLimits.meterCountMax) meters", at: place)
    }
    guard diagnostics.count == before else { return }
    guard let rate else { return complain("meter \(name) has no rate", at: place) }
    meterPlaces[name] = draft.meters.count
    draft.meters.append(DraftMeter(name: name, rate: rate, burst: burst))
  }

  private mutating func rateValue() -> UInt64? {
    let word = take()
    let range = Meter.rateRange
    guard word.kind == .word, let value = Self.scaled(text(word), kilo: 1000), range.contains(value) else {
      complain("a rate is bits a second from \(range.lowerBound) to \(range.upperBound), as 500k, 10M or 1G", at: word)
      return nil
    }
    return value
  }

  private mutating func burstValue() -> UInt64? {
    let word = take()
    guard word.kind == .word, let value = Self.scaled(text(word), kilo: 1024), Meter.burstRange.contains(value) else {
      complain("a burst is bytes up to \(Meter.burstRange.upperBound >> 20)M, as 64k or 1M", at: word)
      return nil
    }
    return value
  }

  /// A number, perhaps with k, M or G behind it.
  private static func scaled(_ text: String, kilo: UInt64) -> UInt64? {
    let factor: UInt64? =
      switch text.last {
      case "k", "K": kilo
      case "m", "M": kilo * kilo
      case "g", "G": kilo * kilo * kilo
      default: nil
      }
    guard let value = ValueReader.number(factor == nil ? text[...] : text.dropLast()) else { return nil }
    let (product, overflow) = value.multipliedReportingOverflow(by: factor ?? 1)
    return overflow ? nil : product
  }

  // MARK: Tokens

  @discardableResult
  mutating func take() -> Token {
    let taken = token
    // What ends a line stays, for who looks for the next one.
    if taken.kind != .newline { lastEnd = taken.kind == .quoted ? taken.end + 1 : taken.end }
    if taken.kind != .end { token = scanner.next() }
    return taken
  }

  mutating func skipNewlines() { while token.kind == .newline { take() } }

  func text(_ token: Token) -> String { String(decoding: scanner.bytes[token.start..<token.end], as: UTF8.self) }

  mutating func expect(_ kind: Token.Kind, _ message: String) throws(Broken) {
    guard token.kind == kind else { throw broken(message, at: token) }
    take()
  }

  mutating func endLine() throws(Broken) {
    guard token.kind == .newline || token.kind == .end else { throw broken("the line should end here", at: token) }
  }

  /// A name of the policy's own.
  mutating func name(of kind: String) throws(Broken) -> String {
    let word = token
    guard word.kind == .word, Self.isName(text(word)) else {
      throw broken(
        "a \(kind)'s name is of letters, digits, - _ and ., begins with a letter, and has at most "
          + "\(PolicyLimits.nameLengthMax)", at: word)
    }
    return text(take())
  }

  private static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, text.utf8.count <= PolicyLimits.nameLengthMax else { return false }
    func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z") }
    return isLetter(first)
      && text.utf8.allSatisfy {
        isLetter($0) || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || $0 == UInt8(ascii: "-")
          || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
      }
  }

  // MARK: What is wrong

  mutating func complain(_ message: String, at token: Token) {
    guard diagnostics.count < PolicyLimits.diagnosticCountMax else { return }
    let bytes = scanner.bytes
    var start = token.start
    while start > 0 && bytes[start - 1] != UInt8(ascii: "\n") { start -= 1 }
    let before = token.kind == .quoted ? token.start - 1 : token.start
    let column = String(decoding: bytes[start..<before], as: UTF8.self).count + 1
    diagnostics.append(PolicyDiagnostic(line: token.line, column: column, message: message))
  }

  mutating func broken(_ message: String, at token: Token) -> Broken {
    complain(message, at: token)
    return Broken()
  }

  /// Goes on at the next line that begins as a statement does: what is between may belong to the broken one.
  private mutating func recover(_ error: Broken) {
    let statements: Set = ["policy", "default", "set", "meter", "rule"]
    while true {
      while token.kind != .newline && token.kind != .end { take() }
      skipNewlines()
      if token.kind == .end || error.isOneLine || statements.contains(text(token)) { return }
    }
  }
}
