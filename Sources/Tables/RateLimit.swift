import Synchronization

/// How much may pass in a time, told frame by frame: the virtual scheduling algorithm of the generic cell rate algorithm (ITU-T
/// I.371, annex A), with bytes or frames for cells. Its one word, the time at which all that has passed would have been sent at the
/// rate, lies elsewhere: 0 at first, it may be shared by threads; nobody waits.
@frozen
public struct RateMeter: BitwiseCopyable, Sendable {
  /// Bits a second. Below, the cost of the longest frame would not fit; above, that of the shortest is lost in rounding.
  public static let bitRange: ClosedRange<UInt64> = 1000...1_000_000_000_000
  /// Frames a second.
  public static let frameRange: ClosedRange<UInt64> = 1...1_000_000_000
  /// What may pass at once after a pause: a tenth of a second's worth, and not less than two frames of 64 KB, for else TCP, which
  /// sends such, gets nowhere near the rate; of frames, not less than these.
  static let burstNanoseconds: UInt64 = 100_000_000
  static let burstBytesMin: UInt64 = 128 << 10
  static let burstFramesMin: UInt64 = 10
  /// Binary digits behind the point of `cost`.
  @usableFromInline static let fraction: UInt64 = 24

  /// Nanoseconds of a byte, or a frame, as a fixed-point number.
  @usableFromInline let cost: UInt64
  /// Nanoseconds that what has passed may be ahead of its time.
  @usableFromInline let tolerance: UInt64
  /// Frames are counted, whatever their length.
  @usableFromInline let isOfFrames: Bool

  /// Of bytes.
  /// - Parameter rate: bits a second, of `bitRange`.
  public init(bits rate: UInt64) {
    precondition(Self.bitRange.contains(rate))
    cost = (8_000_000_000 << Self.fraction) / rate
    tolerance = max(Self.burstNanoseconds, Self.burstBytesMin &* 8 &* 1_000_000_000 / rate)
    isOfFrames = false
  }

  /// Of bytes, with a burst of its own.
  /// - Parameters:
  ///   - rate: bits a second, of `bitRange`.
  ///   - burst: what may pass at once after a pause: bytes, at most 1 GiB.
  public init(bits rate: UInt64, burst: UInt64) {
    precondition(Self.bitRange.contains(rate) && burst <= 1 << 30)
    cost = (8_000_000_000 << Self.fraction) / rate
    tolerance = burst &* 8_000_000_000 / rate
    isOfFrames = false
  }

  /// Of frames.
  /// - Parameter rate: frames a second, of `frameRange`.
  public init(frames rate: UInt64) {
    precondition(Self.frameRange.contains(rate))
    cost = (1_000_000_000 << Self.fraction) / rate
    // The first frame of a burst is ahead of nothing.
    tolerance = max(Self.burstNanoseconds, Self.burstFramesMin &* 1_000_000_000 / rate) &- 1
    isOfFrames = true
  }

  /// The frame may pass, and has.
  /// - Parameters:
  ///   - bytes: at most 65,535 and some headers.
  ///   - now: nanoseconds of a monotonic clock.
  ///   - word: of what the rate is for.
  @inlinable
  public func admits(bytes: UInt32, now: UInt64, at word: UnsafeMutablePointer<Atomic<UInt64>>) -> Bool {
    let duration = (UInt64(isOfFrames ? 1 : bytes) &* cost) >> Self.fraction
    var arrival = word.pointee.load(ordering: .relaxed)
    while true {
      let start = max(arrival, now)
      if start &- now > tolerance { return false }
      let (exchanged, original) = word.pointee.weakCompareExchange(
        expected: arrival, desired: start &+ duration, ordering: .relaxed)
      if exchanged { return true }
      arrival = original
    }
  }

  /// A frame may pass now; none has.
  public func hasRoom(now: UInt64, at word: UnsafeMutablePointer<Atomic<UInt64>>) -> Bool {
    let arrival = word.pointee.load(ordering: .relaxed)
    return arrival <= now || arrival &- now <= tolerance
  }
}

/// A rate of bits a second, with a word of its own.
///
/// Not freed by itself: `deallocate`, when no thread uses it any more.
public struct RateLimit: BitwiseCopyable, @unchecked Sendable {
  /// Bits a second.
  public static let rateRange = RateMeter.bitRange

  private let theoreticalArrival: UnsafeMutablePointer<Atomic<UInt64>>
  private let meter: RateMeter

  /// - Parameter rate: bits a second, of `rateRange`.
  public init(rate: UInt64) {
    theoreticalArrival = .allocate(capacity: 1)
    theoreticalArrival.initialize(to: Atomic(0))
    meter = RateMeter(bits: rate)
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
    meter.admits(bytes: bytes, now: now, at: theoreticalArrival)
  }
}
