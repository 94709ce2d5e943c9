import Glibc

/// CLOCK_MONOTONIC in nanoseconds. The vDSO answers it, without a system call.
enum MonotonicClock {
  static let nanosecondsPerSecond: UInt64 = 1_000_000_000

  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * nanosecondsPerSecond + UInt64(time.tv_nsec)
  }

  static func nanoseconds(_ seconds: Double) -> UInt64 { UInt64(seconds * Double(nanosecondsPerSecond)) }
  static func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / Double(nanosecondsPerSecond) }
}
