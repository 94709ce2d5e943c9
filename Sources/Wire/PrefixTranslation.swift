/// Translates addresses between two IPv6 prefixes of one length, such that no checksum that covers them changes (RFC 6296).
@frozen
public struct PrefixTranslation: BitwiseCopyable, Hashable, Sendable {
  /// Beyond, no word of the address is left to be adjusted.
  public static let lengthMax = 112

  public let inside: UInt128
  public let outside: UInt128
  public let length: Int
  /// What the inside's sum is more than the outside's, in ones' complement.
  private let adjustment: UInt16

  /// nil where a prefix is no network of IPv6, or their lengths are not the same or beyond `lengthMax`.
  public init?(inside: IPPrefix, outside: IPPrefix) {
    guard case .v6(let first) = inside.address, case .v6(let second) = outside.address, inside.isNetwork,
      outside.isNetwork, inside.length == outside.length, (1...Self.lengthMax).contains(inside.length)
    else { return nil }
    (self.inside, self.outside, length) = (first.bits, second.bits, inside.length)
    adjustment = InternetChecksum.sum(Self.sum(first.bits), ~Self.sum(second.bits))
  }

  private static func sum(_ address: UInt128) -> UInt16 {
    var sum: UInt64 = 0
    for word in 0..<8 { sum &+= UInt64(UInt16(truncatingIfNeeded: address >> UInt128(16 &* word))) }
    return InternetChecksum.folded(sum)
  }

  public var outsidePrefix: IPPrefix { IPPrefix(address: .v6(IPv6Address(bits: outside)), length: length)! }

  private var mask: UInt128 { .max << UInt128(128 &- length) }

  public func holds(outside address: UInt128) -> Bool { address & mask == outside }

  /// The address by which the outside knows an inside one; nil for the one interface identifier that cannot be mapped.
  public func toOutside(_ address: UInt128) -> UInt128? {
    adjusted(outside | address & ~mask, by: adjustment)
  }

  /// The inside address that the outside knows by `address`.
  public func toInside(_ address: UInt128) -> UInt128? {
    adjusted(inside | address & ~mask, by: ~adjustment)
  }

  /// Adds to the subnet's word where the prefix leaves one (3.4), else to the first of the identifier's that is not all ones (3.5).
  private func adjusted(_ address: UInt128, by adjustment: UInt16) -> UInt128? {
    var word = length <= 48 ? 3 : 4
    if length > 48 {
      while word < 8, Self.word(address, word) == 0xFFFF || word &* 16 < length { word &+= 1 }
      guard word < 8 else { return nil }
    }
    var sum = InternetChecksum.sum(Self.word(address, word), adjustment)
    if sum == 0xFFFF { sum = 0 }
    let shift = UInt128(112 &- 16 &* word)
    return address & ~(0xFFFF << shift) | UInt128(sum) << shift
  }

  /// From the left, counted from 0.
  private static func word(_ address: UInt128, _ index: Int) -> UInt16 {
    UInt16(truncatingIfNeeded: address >> UInt128(112 &- 16 &* index))
  }
}
