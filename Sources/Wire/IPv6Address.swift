/// An IPv6 address (RFC 4291). `bits` is in the host's order: ::1 is 1.
@frozen
public struct IPv6Address: Hashable, Sendable, Comparable {
  public let bits: UInt128

  @inlinable
  public init(bits: UInt128) { self.bits = bits }

  @inlinable
  public static func < (left: IPv6Address, right: IPv6Address) -> Bool { left.bits < right.bits }

  public static let any = IPv6Address(bits: 0)

  /// ff00::/8.
  @inlinable
  public var isMulticast: Bool { bits >> 120 == 0xFF }

  /// fe80::/10.
  @inlinable
  public var isLinkLocal: Bool { bits >> 118 == 0x3FA }

  /// fc00::/7 (RFC 4193).
  @inlinable
  public var isUniqueLocal: Bool { bits >> 121 == 0x7E }

  /// ::1.
  @inlinable
  public var isLoopback: Bool { bits == 1 }

  /// The group to which neighbour solicitations for this address go, ff02::1:ffXX:XXXX (RFC 4291, 2.7.1).
  @inlinable
  public var solicitedNode: IPv6Address {
    IPv6Address(bits: (0xFF02 << 112) | (0x1_FF00_0000) | (bits & 0xFF_FFFF))
  }

  /// The sixteen bytes in the order of the wire.
  public var bytes: [UInt8] { (0..<16).map { UInt8(truncatingIfNeeded: bits >> UInt128(120 - 8 * $0)) } }

  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    self.init(bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
  }

  /// The eight 16-bit groups, the first on the wire first.
  var groups: [UInt16] { (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(112 - 16 * $0)) } }
}

extension IPv6Address: LosslessStringConvertible {
  /// RFC 4291, 2.2: groups, one `::`, and a dotted quad in the last 32 bits. No zone.
  public init?(_ description: String) {
    var head: [UInt16] = []
    var tail: [UInt16] = []
    if let gap = description.firstDoubleColon {
      let before = description[..<gap]
      let after = description[description.index(gap, offsetBy: 2)...]
      guard let left = IPv6Address.parse(groups: before, last: false),
        let right = IPv6Address.parse(groups: after, last: true),
        left.count + right.count <= 7
      else { return nil }
      (head, tail) = (left, right)
    } else {
      guard let all = IPv6Address.parse(groups: description[...], last: true), all.count == 8 else { return nil }
      head = all
    }
    let groups = head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    self.init(bits: groups.reduce(0) { $0 << 16 | UInt128($1) })
  }

  /// The groups of one side of `::`. A dotted quad may stand only at the end of the `last` side.
  private static func parse(groups text: Substring, last: Bool) -> [UInt16]? {
    if text.isEmpty { return [] }
    var groups: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if last, index == parts.count - 1, part.contains(".") {
        guard let quad = IPv4Address(String(part)) else { return nil }
        groups += [UInt16(truncatingIfNeeded: quad.bits >> 16), UInt16(truncatingIfNeeded: quad.bits)]
      } else {
        guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(\.isHexadecimalDigit),
          let group = UInt16(part, radix: 16)
        else { return nil }
        groups.append(group)
      }
    }
    return groups.count <= 8 ? groups : nil
  }

  /// The canonical form of RFC 5952.
  public var description: String {
    if bits >> 32 == 0xFFFF { return "::ffff:\(IPv4Address(bits: UInt32(truncatingIfNeeded: bits)))" }
    let groups = self.groups
    var longest = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8 && groups[end] == 0 { end += 1 }
      if end - start > longest.count && end - start > 1 { longest = start..<end }
      start = max(end, start + 1)
    }
    func text(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
    if longest.isEmpty { return text(groups[...]) }
    return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
  }
}

extension String {
  fileprivate var firstDoubleColon: String.Index? {
    var index = startIndex
    while index < endIndex {
      let next = self.index(after: index)
      if self[index] == ":" && next < endIndex && self[next] == ":" { return index }
      index = next
    }
    return nil
  }
}
