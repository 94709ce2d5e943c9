import Glibc
import Support
import Tables
import Testing

/// What passes, over a while of made-up time, against the rate.
@Suite struct RateLimitTests {
  /// Bytes that pass of frames that are offered one after the other at twice the rate or more.
  private func passed(_ limit: RateLimit, rate: UInt64, seconds: UInt64, from start: UInt64) -> (
    bytes: UInt64, offered: UInt64
  ) {
    var random = SeededGenerator(seed: rate)
    var (bytes, offered, now) = (UInt64(0), UInt64(0), start)
    while now < start + seconds * 1_000_000_000 {
      let length = UInt32(60 + random.below(65_476))
      offered += UInt64(length)
      if limit.admits(bytes: length, now: now) { bytes += UInt64(length) }
      now += UInt64(length) * 4_000_000_000 / rate
    }
    return (bytes, offered)
  }

  @Test(arguments: [1_000_000, 10_000_000, 1_000_000_000, 40_000_000_000] as [UInt64])
  func `in the long run the rate passes, and in a short one a burst more`(rate: UInt64) {
    let limit = RateLimit(rate: rate)
    defer { limit.deallocate() }
    // Shorter where there are more frames.
    let seconds = max(1, min(60, 100_000_000_000 / rate))
    let (bytes, offered) = passed(limit, rate: rate, seconds: seconds, from: 1 << 50)
    let allowed = rate / 8 * seconds
    let burst = max(rate / 80, 128 << 10)
    #expect(offered > allowed * 3 / 2)
    #expect(bytes >= allowed)
    // Each frame's time is rounded down to a nanosecond.
    #expect(bytes <= allowed + allowed / 1000 + burst + 65_536)
  }

  @Test func `a frame of any length passes after a pause`() {
    let limit = RateLimit(rate: RateLimit.rateRange.lowerBound)
    defer { limit.deallocate() }
    for _ in 0..<2 { #expect(limit.admits(bytes: 65_549, now: 0)) }
    // Two of 64 KB are the burst; at 125 bytes a second the 26 beyond take a fifth of one.
    #expect(!limit.admits(bytes: 1, now: 0) && !limit.admits(bytes: 1, now: 200_000_000))
    #expect(limit.admits(bytes: 60, now: 1_000_000_000))
    #expect(limit.admits(bytes: 65_549, now: 2_000_000_000_000))
  }

  @Test func `frames count whatever their length, and ten pass at once`() {
    let word = zeroedAtomics(1)
    defer { free(word) }
    let meter = RateMeter(frames: 4)
    for length in 0..<10 as Range<UInt32> { #expect(meter.admits(bytes: 60 + length * 7000, now: 1 << 40, at: word)) }
    #expect(!meter.admits(bytes: 60, now: 1 << 40, at: word) && !meter.hasRoom(now: 1 << 40, at: word))
    #expect(meter.hasRoom(now: 1 << 40 + 250_000_000, at: word))
    #expect(meter.admits(bytes: 60, now: 1 << 40 + 250_000_000, at: word))
    #expect(!meter.admits(bytes: 60, now: 1 << 40 + 250_000_000, at: word))
  }

  @Test func `threads share one limit`() async {
    let rate: UInt64 = 8_000_000_000
    let limit = RateLimit(rate: rate)
    defer { limit.deallocate() }
    // At one moment: a tenth of a second's worth, whoever asks.
    let counts = await withTaskGroup(of: UInt64.self) { group in
      for _ in 0..<4 {
        group.addTask {
          (0..<100_000).reduce(UInt64(0)) { sum, _ in limit.admits(bytes: 1000, now: 1 << 40) ? sum + 1000 : sum }
        }
      }
      var sum: UInt64 = 0
      for await count in group { sum += count }
      return sum
    }
    #expect((100_000_000...100_001_000).contains(counts))
  }
}
