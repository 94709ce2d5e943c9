import Wire

/// Values of a field: ranges in ascending order that neither overlap nor touch.
struct ValueSet: Hashable {
  var narrow: [ClosedRange<UInt64>] = []
  /// Addresses of IPv6.
  var wide: [ClosedRange<UInt128>] = []

  init() {}

  init(_ range: ClosedRange<UInt64>) { narrow = [range] }

  init(_ first: IPAddress, _ last: IPAddress) {
    if first.isIPv6 { wide = [first.bits...last.bits] } else { narrow = [UInt64(first.bits)...UInt64(last.bits)] }
  }

  mutating func formUnion(_ other: ValueSet) {
    narrow += other.narrow
    wide += other.wide
  }

  /// To be called when all were added.
  mutating func normalize() {
    narrow = Self.merged(narrow)
    wide = Self.merged(wide)
  }

  /// All other values of the field.
  func complement(of field: Field) -> ValueSet {
    var set = ValueSet()
    set.narrow = Self.gaps(narrow, greatest: field.greatest)
    if field.kind == .ip { set.wide = Self.gaps(wide, greatest: UInt128.max) }
    return set
  }

  func contains(_ value: FieldValue) -> Bool {
    switch value {
    case .absent: false
    case .narrow(let value): narrow.contains { $0.contains(value) }
    case .wide(let value): wide.contains { $0.contains(value) }
    }
  }

  private static func merged<Value: FixedWidthInteger>(_ ranges: [ClosedRange<Value>]) -> [ClosedRange<Value>] {
    var merged: [ClosedRange<Value>] = []
    merged.reserveCapacity(ranges.count)
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      guard let last = merged.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 else {
        merged.append(range)
        continue
      }
      merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
    }
    return merged
  }

  private static func gaps<Value: FixedWidthInteger>(
    _ ranges: [ClosedRange<Value>], greatest: Value
  ) -> [ClosedRange<Value>] {
    var gaps: [ClosedRange<Value>] = []
    var next: Value? = 0
    for range in ranges {
      guard let start = next else { break }
      if range.lowerBound > start { gaps.append(start...(range.lowerBound - 1)) }
      next = range.upperBound >= greatest ? nil : range.upperBound + 1
    }
    if let next { gaps.append(next...greatest) }
    return gaps
  }
}

/// Reads what a policy's text gives for a field.
enum ValueReader {
  /// What cannot be taken as the field's value: a sentence's end, behind the value.
  struct Refusal: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
  }

  static func read(_ text: String, for field: Field) throws(Refusal) -> ValueSet {
    switch field.kind {
    case .mac: return ValueSet(try mac(text))
    case .ip, .ipv4: return try addresses(text, for: field)
    case .flags: return try flags(text)
    case .port, .number:
      if let range = field.value(named: text) { return ValueSet(range) }
      return ValueSet(try numbers(text, for: field))
    }
  }

  /// Decimal, or hexadecimal behind 0x.
  static func number(_ text: some StringProtocol) -> UInt64? {
    guard let first = text.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
    return text.hasPrefix("0x") ? hexadecimal(text.dropFirst(2)) : UInt64(text)
  }

  private static func hexadecimal(_ digits: some StringProtocol) -> UInt64? {
    guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
    return UInt64(digits, radix: 16)
  }

  static func numbers(_ text: String, for field: Field) throws(Refusal) -> ClosedRange<UInt64> {
    let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = number(parts[0]), let last = number(parts[parts.count - 1]) else {
      throw Refusal("give \(field.example)")
    }
    guard first <= last else { throw Refusal("the range begins behind its end") }
    guard last <= field.greatestNumber else { throw Refusal("\(field.rawValue) goes up to \(field.greatestNumber)") }
    return first...last
  }

  private static func addresses(_ text: String, for field: Field) throws(Refusal) -> ValueSet {
    let (first, last): (IPAddress, IPAddress)
    if let prefix = IPPrefix(text) {
      guard prefix.isNetwork else { throw Refusal("the prefix has bits of hosts set; write \(prefix.network)") }
      (first, last) = (prefix.first, prefix.last)
    } else {
      let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
      guard let lower = IPAddress(String(parts[0])), let upper = IPAddress(String(parts[parts.count - 1])),
        lower.isIPv6 == upper.isIPv6
      else { throw Refusal("give \(field.example)") }
      guard lower.bits <= upper.bits else { throw Refusal("the range begins behind its end") }
      (first, last) = (lower, upper)
    }
    guard field.kind == .ip || !first.isIPv6 else { throw Refusal("ARP has addresses of IPv4 only") }
    return ValueSet(first, last)
  }

  /// An address, or one with a mask that is a prefix.
  private static func mac(_ text: String) throws(Refusal) -> ClosedRange<UInt64> {
    let (value, mask) = try maskedMAC(text)
    let rest = ~mask & MACAddress.broadcast.bits
    guard rest & (rest &+ 1) == 0 else {
      throw Refusal("a mask that is no prefix must stand alone, not with other values")
    }
    return value...(value | rest)
  }

  /// The bits that must be, and which bits these are.
  static func maskedMAC(_ text: String) throws(Refusal) -> (value: UInt64, mask: UInt64) {
    if text == "broadcast" { return (MACAddress.broadcast.bits, MACAddress.broadcast.bits) }
    if text == "group" { return (groupBit, groupBit) }
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = MACAddress(String(parts[0])) else { throw Refusal("give \(Field.ethDestination.example)") }
    guard parts.count == 2 else { return (address.bits, MACAddress.broadcast.bits) }
    guard let mask = macMask(parts[1]) else {
      throw Refusal("a mask is written as a MAC address, or as a number of bits up to 48")
    }
    guard address.bits & ~mask == 0 else { throw Refusal("bits are set that the mask leaves out") }
    return (address.bits, mask)
  }

  /// The I/G bit (IEEE 802-2014, 8.2.2).
  private static let groupBit: UInt64 = 0x0100_0000_0000

  private static func macMask(_ text: Substring) -> UInt64? {
    if let mask = MACAddress(String(text)) { return mask.bits }
    guard let length = number(text), length <= 48 else { return nil }
    return MACAddress.broadcast.bits & ~((1 << (48 - length)) - 1)
  }

  // MARK: TCP's flags

  private static let flagNames: [String: UInt64] = [
    "fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128,
  ]

  private static func flags(_ text: String) throws(Refusal) -> ValueSet {
    let (value, mask) = try maskedFlags(text)
    var set = ValueSet()
    for flags in UInt64(0)...255 where flags & mask == value { set.narrow.append(flags...flags) }
    return set
  }

  private static func maskedFlags(_ text: String) throws(Refusal) -> (value: UInt64, mask: UInt64) {
    let wrong = Refusal("give \(Field.tcpFlags.example)")
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    if let value = number(parts[0]) {
      guard let mask = parts.count == 2 ? number(parts[1]) : 0xFF, value <= 0xFF, mask <= 0xFF else { throw wrong }
      guard value & ~mask == 0 else { throw Refusal("bits are set that the mask leaves out") }
      return (value, mask)
    }
    var (value, mask): (UInt64, UInt64) = (0, 0)
    var rest = text[...]
    while let sign = rest.first {
      guard sign == "+" || sign == "-" else { throw wrong }
      let name = rest.dropFirst().prefix { $0 != "+" && $0 != "-" }
      guard let flag = flagNames[String(name)], mask & flag == 0 else { throw wrong }
      mask |= flag
      if sign == "+" { value |= flag }
      rest = rest.dropFirst(1 + name.count)
    }
    return (value, mask)
  }
}
