import Synchronization

/// How much may pass in a time, told frame by frame: the virtual scheduling algorithm of the generic cell rate algorithm (ITU-T
/// I.371, annex A), with bytes for cells. Its one word, the time at which all that has passed would have been sent at the rate,
/// may be shared by threads; nobody waits.
///
/// Not freed by itself: `deallocate`, when no thread uses it any more.
public struct RateLimit: BitwiseCopyable, @unchecked Sendable {
  /// Bits a second. Below, the cost of the longest frame would not fit; above, that of the shortest is lost in rounding.
  public static let rateRange: ClosedRange<UInt64> = 1000...1_000_000_000_000
  /// What may pass at once after a pause: a tenth of a second's worth, and not less than two frames of 64 KB, for else TCP, which
  /// sends such, gets nowhere near the rate.
  static let burstNanoseconds: UInt64 = 100_000_000
  static let burstBytesMin: UInt64 = 128 << 10
  /// Binary digits behind the point of `cost`.
  private static let fraction: UInt64 = 24

  private let theoreticalArrival: UnsafeMutablePointer<Atomic<UInt64>>
  /// Nanoseconds of a byte, as a fixed-point number.
  private let cost: UInt64
  /// Nanoseconds that what has passed may be ahead of its time.
  private let tolerance: UInt64

  /// - Parameter rate: bits a second, of `rateRange`.
  public init(rate: UInt64) {
    precondition(Self.rateRange.contains(rate))
    theoreticalArrival = .allocate(capacity: 1)
    theoreticalArrival.initialize(to: Atomic(0))
    cost = (8_000_000_000 << Self.fraction) / rate
    tolerance = max(Self.burstNanoseconds, Self.burstBytesMin &* 8 &* 1_000_000_000 / rate)
  }

  public func deallocate() {
    theoreticalArrival.deinitialize(count: 1)
    theoreticalArrival.deallocate()
  }

  /// The frame may pass, and has.
  /// - Parameters:
  ///   - bytes: at most 65,535 and some headers.
  ///   - now: nanoseconds of a monotonic clock.
  public func admits(bytes: UInt32, now: UInt64) -> Bool {
    let duration = (UInt64(bytes) &* cost) >> Self.fraction
    var arrival = theoreticalArrival.pointee.load(ordering: .relaxed)
    while true {
      let start = max(arrival, now)
      if start &- now > tolerance { return false }
      let (exchanged, original) = theoreticalArrival.pointee.weakCompareExchange(
        expected: arrival, desired: start &+ duration, ordering: .relaxed)
      if exchanged { return true }
      arrival = original
    }
  }
}
