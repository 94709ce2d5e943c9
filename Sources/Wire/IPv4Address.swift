/// An IPv4 address (RFC 791). `bits` is in the host's order: 10.0.0.1 is 0x0A00_0001.
@frozen
public struct IPv4Address: Hashable, Sendable, Comparable {
  public let bits: UInt32

  @inlinable
  public init(bits: UInt32) { self.bits = bits }

  @inlinable
  public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.bits < right.bits }

  public static let any = IPv4Address(bits: 0)

  /// 224.0.0.0/4.
  @inlinable
  public var isMulticast: Bool { bits >> 28 == 0xE }

  /// 127.0.0.0/8.
  @inlinable
  public var isLoopback: Bool { bits >> 24 == 127 }

  /// The four bytes in the order of the wire.
  public var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: bits >> UInt32(24 - 8 * $0)) } }

  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 4 else { return nil }
    self.init(bits: bytes.reduce(0) { $0 << 8 | UInt32($1) })
  }
}

extension IPv4Address: LosslessStringConvertible {
  /// Dotted quad, decimal, four parts, no leading zeros (as inet_pton(3)).
  public init?(_ description: String) {
    let parts = description.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var bits: UInt32 = 0
    for part in parts {
      guard part.isDecimalNumber, let byte = UInt8(part) else { return nil }
      bits = bits << 8 | UInt32(byte)
    }
    self.init(bits: bits)
  }

  public var description: String { bytes.map { String($0) }.joined(separator: ".") }
}

extension Substring {
  /// Digits only, no sign, no leading zeros, which some would read as octal.
  var isDecimalNumber: Bool {
    utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      && (utf8.count == 1 || utf8.first != UInt8(ascii: "0"))
  }
}
