import Synchronization

/// A token bucket in the form of the virtual scheduling algorithm (ITU-T I.371, annex A), as `RateLimit` is, with a burst of its own
/// and a way to ask without taking. Its one word is shared by all workers; nobody waits.
struct Meter: BitwiseCopyable, @unchecked Sendable {
  /// Bits a second.
  static let rateRange: ClosedRange<UInt64> = 1000...1_000_000_000_000
  /// Bytes.
  static let burstRange: ClosedRange<UInt64> = 1...(1 << 30)
  /// A tenth of a second's worth, and not less than two frames of 64 KB.
  private static let pauseNanoseconds: UInt64 = 100_000_000
  private static let burstMin: UInt64 = 128 << 10
  /// Binary digits behind the point of `cost`.
  private static let fraction: UInt64 = 24

  /// When all that has passed would have been sent at the rate.
  private let arrival: UnsafeMutablePointer<Atomic<UInt64>>
  /// Nanoseconds of a byte, as a fixed-point number.
  private let cost: UInt64
  /// Nanoseconds that what has passed may be ahead of its time.
  private let tolerance: UInt64

  /// - Parameters:
  ///   - rate: of `rateRange`.
  ///   - burst: of `burstRange`; nil: a tenth of a second's worth.
  init(rate: UInt64, burst: UInt64?) {
    arrival = .allocate(capacity: 1)
    arrival.initialize(to: Atomic(0))
    cost = (8_000_000_000 << Self.fraction) / rate
    let nanoseconds = (burst ?? Self.burstMin) * 8_000_000_000 / rate
    tolerance = burst == nil ? max(Self.pauseNanoseconds, nanoseconds) : nanoseconds
  }

  func deallocate() {
    arrival.deinitialize(count: 1)
    arrival.deallocate()
  }

  /// The frame may pass, and has.
  /// - Parameter now: nanoseconds of a monotonic clock.
  func admits(bytes: UInt32, now: UInt64) -> Bool {
    let duration = (UInt64(bytes) &* cost) >> Self.fraction
    var current = arrival.pointee.load(ordering: .relaxed)
    while true {
      let start = max(current, now)
      if start &- now > tolerance { return false }
      let (exchanged, original) = arrival.pointee.weakCompareExchange(
        expected: current, desired: start &+ duration, ordering: .relaxed)
      if exchanged { return true }
      current = original
    }
  }

  /// A frame may pass; none has.
  func hasRoom(now: UInt64) -> Bool {
    let current = arrival.pointee.load(ordering: .relaxed)
    return current <= now || current &- now <= tolerance
  }
}
