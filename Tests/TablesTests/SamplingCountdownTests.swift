import Tables
import Testing

@Suite("Which frames are sampled")
struct SamplingCountdownTests {
  /// Places of the samples in a stream of `count` frames that comes in bursts of the lengths `burst` gives.
  private func picked(rate: UInt32, of count: Int, seed: UInt64 = 1, burst: (Int) -> Int) -> [Int] {
    var countdown = SamplingCountdown(rate: rate, seed: seed)
    var (places, begin) = ([Int](), 0)
    while begin < count {
      let end = min(count, begin + burst(begin))
      var passed = begin
      while let index = countdown.pass(end - passed) {
        places.append(passed + index)
        passed += index + 1
      }
      begin = end
    }
    return places
  }

  @Test("bursts do not matter: the same frames are picked of the same stream")
  func bursts() {
    let alone = picked(rate: 10, of: 50_000) { _ in 1 }
    #expect(picked(rate: 10, of: 50_000) { _ in 64 } == alone)
    #expect(picked(rate: 10, of: 50_000) { 1 + $0 % 61 } == alone)
  }

  @Test("at one in one all frames are picked")
  func all() { #expect(picked(rate: 1, of: 1000) { _ in 64 } == Array(0..<1000)) }

  /// Of n frames each is picked with p = 1/rate: the number has the mean np and the variance np(1-p). Five standard deviations:
  /// less than one seed in a million is beyond.
  @Test("one in so many is picked", arguments: [2, 10, 400, 5000] as [UInt32], [1, 2, 3] as [UInt64])
  func rate(rate: UInt32, seed: UInt64) {
    let (n, p) = (1_000_000.0, 1 / Double(rate))
    let count = Double(picked(rate: rate, of: Int(n), seed: seed) { _ in 64 }.count)
    #expect(abs(count - n * p) < 5 * (n * p * (1 - p)).squareRoot(), "\(count)")
  }

  /// Each picked by itself: how far apart they are has the geometric distribution, so that the share that is no further than k frames
  /// is 1 - (1-p)^k; and every place in a period of 10 is picked as often.
  @Test("by chance, each by itself, and in step with nothing")
  func distribution() {
    let places = picked(rate: 10, of: 1_000_000, seed: 4) { _ in 64 }
    let gaps = zip(places, places.dropFirst()).map { $1 - $0 }
    var later = 1.0
    for distance in 1...40 {
      later *= 0.9
      let share = Double(gaps.count { $0 <= distance }) / Double(gaps.count)
      #expect(abs(share - (1 - later)) < 5 * (later * (1 - later) / Double(gaps.count)).squareRoot(), "\(distance)")
    }
    for phase in 0..<10 {
      let share = Double(places.count { $0 % 10 == phase }) / Double(places.count)
      #expect(abs(share - 0.1) < 5 * (0.09 / Double(places.count)).squareRoot(), "\(phase)")
    }
  }
}
