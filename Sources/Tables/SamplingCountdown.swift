import Glibc

/// Picks one in `rate` of a stream of frames, each by chance and by itself, without a look at those in between: how many are
/// skipped is drawn beforehand, from the geometric distribution (sFlow version 5, 3.1: the mean is the rate, and chance keeps the
/// sampling from falling into step with traffic that repeats itself).
@frozen
public struct SamplingCountdown: BitwiseCopyable {
  /// 1 / ln(1 - 1 / rate).
  private let scale: Double
  private var state: UInt64
  /// Frames to come before the next one that is picked.
  @usableFromInline var skip: UInt64 = 0

  /// - Parameter rate: at least 1.
  public init(rate: UInt32, seed: UInt64) {
    scale = 1 / log1p(-1 / Double(rate))
    state = seed
    draw()
  }

  /// Goes past frames, as far as the first that is picked.
  /// - Returns: which of the `count` it is, from 0; nil: none, and all have been passed.
  @inlinable
  public mutating func pass(_ count: Int) -> Int? {
    guard skip < UInt64(count) else {
      skip &-= UInt64(count)
      return nil
    }
    let picked = Int(skip)
    draw()
    return picked
  }

  /// SplitMix64 (Steele, Lea, Flood 2014), made a number above 0 and up to 1, gives the skip by its distribution's inverse.
  @usableFromInline mutating func draw() {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    bits ^= bits >> 31
    let chance = (Double(bits >> 11) + 1) * 0x1p-53
    skip = UInt64(log(chance) * scale)
  }
}
