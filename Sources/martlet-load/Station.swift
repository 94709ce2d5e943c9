/// One of the stations that a test of address learning pretends to (RFC 2889 section 5.7): a MAC address of its own for
/// each index, the same in every program that is given the same seed.
///
/// The addresses are locally administered, as those of containers, and scattered over all that there are of these, so that no switch
/// gains or suffers by their order.
struct Station: Equatable {
  /// The receiver keeps one byte for each.
  static let countLimit: UInt64 = 1 << 24

  private static let addressBits: UInt64 = 46
  private static let addressMask = (UInt64(1) << addressBits) - 1

  let seed: UInt64
  let index: UInt64

  /// Whom `mac-learn` sends to and `mac-probe` sends from.
  static func tester(seed: UInt64) -> Station { Station(seed: seed, index: countLimit) }

  /// The six octets in network order, in the lower 48 bits.
  ///
  /// Multiplication by an odd number and a shift folded in are each a bijection of 46 bits, so that no two stations of a
  /// seed share an address. The two bits that are left, the lowest of the first octet, say unicast and locally administered
  /// (IEEE 802, 8.4).
  var address: UInt64 {
    var bits = (index &+ seed &* 0x9e37_79b9_7f4a_7c15) & Self.addressMask
    bits = (bits &* 0xbf58_476d_1ce4_e5b9) & Self.addressMask
    bits ^= bits >> (Self.addressBits / 2)
    bits = (bits &* 0x94d0_49bb_1331_11eb) & Self.addressMask
    bits ^= bits >> (Self.addressBits / 2)
    let (upper, lower) = (bits >> 40, bits & 0xFF_FFFF_FFFF)
    return upper << 42 | 1 << 41 | lower
  }
}
