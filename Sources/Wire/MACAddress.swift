/// A 48-bit IEEE 802 address. The first byte on the wire is the most significant of the low 48 bits of `bits`.
@frozen
public struct MACAddress: Hashable, Sendable {
  /// Bits 47...0 hold the address; bits 63...48 are zero.
  public let bits: UInt64

  @inlinable
  public init(bits: UInt64) { self.bits = bits & 0xFFFF_FFFF_FFFF }

  public static let zero = MACAddress(bits: 0)
  public static let broadcast = MACAddress(bits: 0xFFFF_FFFF_FFFF)

  /// The I/G bit (IEEE 802-2014, 8.2.2): multicast or broadcast.
  @inlinable
  public var isGroup: Bool { bits & 0x0100_0000_0000 != 0 }

  /// The U/L bit: assigned by an administrator, not by the manufacturer.
  @inlinable
  public var isLocallyAdministered: Bool { bits & 0x0200_0000_0000 != 0 }

  /// May stand as a source address: neither group nor zero.
  @inlinable
  public var isValidSource: Bool { bits != 0 && !isGroup }

  /// 01:80:C2:00:00:00 to 0F, which a bridge never forwards (IEEE 802.1Q-2018, table 8-1).
  @inlinable
  public var isLinkLocalControl: Bool { bits & 0xFFFF_FFFF_FFF0 == 0x0180_C200_0000 }

  /// The six bytes in the order of the wire.
  public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: bits >> UInt64(40 - 8 * $0)) } }

  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 6 else { return nil }
    self.init(bits: bytes.reduce(0) { $0 << 8 | UInt64($1) })
  }
}

extension MACAddress: LosslessStringConvertible {
  /// `02:42:ac:11:00:02`; hyphens are taken too.
  public init?(_ description: String) {
    let separator: Character = description.contains("-") ? "-" : ":"
    let parts = description.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.count == 6 else { return nil }
    var bits: UInt64 = 0
    for part in parts {
      guard (1...2).contains(part.utf8.count), part.utf8.allSatisfy(\.isHexadecimalDigit),
        let byte = UInt8(part, radix: 16)
      else { return nil }
      bits = bits << 8 | UInt64(byte)
    }
    self.init(bits: bits)
  }

  public var description: String {
    bytes.map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined(separator: ":")
  }
}

extension UInt8 {
  var isHexadecimalDigit: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"):
      true
    default: false
    }
  }
}
