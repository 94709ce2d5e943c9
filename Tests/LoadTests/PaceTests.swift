import Testing

@testable import martlet_load

@Suite struct PaceTests {
  private let second: UInt64 = 1_000_000_000

  @Test func owesWhatTheRateSays() {
    let pace = Pace(rate: 100)
    #expect(pace.due(at: pace.start, sent: 0) == 0)
    #expect(pace.due(at: pace.start + second / 10, sent: 0) == 10)
    #expect(pace.due(at: pace.start + second / 10, sent: 8) == 2)
    #expect(pace.due(at: pace.start + second / 10, sent: 11) == 0)
    #expect(pace.due(at: pace.start + 100 * second, sent: 0) == MessageBatch.capacity)
    #expect(pace.isAhead(at: pace.start + second / 10, sent: 11))
    #expect(!pace.isAhead(at: pace.start + second / 10, sent: 9))
  }

  @Test func zeroIsWithoutLimit() {
    let pace = Pace(rate: 0)
    #expect(pace.due(at: pace.start, sent: 1 << 40) == MessageBatch.capacity)
    #expect(!pace.isAhead(at: pace.start, sent: 1 << 40))
  }
}
