import Synchronization
import Tables

/// A meter of a policy's text: a rate with a word that all workers share; nobody waits.
struct Meter: BitwiseCopyable, @unchecked Sendable {
  /// Bits a second.
  static let rateRange = RateMeter.bitRange
  /// Bytes.
  static let burstRange: ClosedRange<UInt64> = 1...(1 << 30)

  /// When all that has passed would have been sent at the rate.
  private let arrival: UnsafeMutablePointer<Atomic<UInt64>>
  private let meter: RateMeter

  /// - Parameters:
  ///   - rate: of `rateRange`.
  ///   - burst: of `burstRange`; nil: as any rate's.
  init(rate: UInt64, burst: UInt64?) {
    arrival = .allocate(capacity: 1)
    arrival.initialize(to: Atomic(0))
    meter = if let burst { RateMeter(bits: rate, burst: burst) } else { RateMeter(bits: rate) }
  }

  func deallocate() {
    arrival.deinitialize(count: 1)
    arrival.deallocate()
  }

  /// The frame may pass, and has.
  /// - Parameter now: nanoseconds of a monotonic clock.
  func admits(bytes: UInt32, now: UInt64) -> Bool { meter.admits(bytes: bytes, now: now, at: arrival) }

  /// A frame may pass; none has.
  func hasRoom(now: UInt64) -> Bool { meter.hasRoom(now: now, at: arrival) }
}
