import Testing

@testable import LinuxIO

@Suite struct HaltPollingTests {
  static func channels(_ count: Int) throws -> [WorkerChannel] {
    try (0..<count).map { _ in try WorkerChannel { _ in } }
  }

  @Test func `all look for a while after requests and responses`() throws {
    let polling = HaltPolling(channels: try Self.channels(2), processors: 2)
    #expect(!polling.isDue(now: 1_000_000))
    polling.prolong(now: 1_000_000)
    #expect(polling.isDue(now: 1_499_999))
    #expect(!polling.isDue(now: 1_500_000))
    polling.prolong(now: 1_400_000)
    #expect(polling.isDue(now: 1_899_999) && !polling.isDue(now: 1_900_000))
  }

  @Test(arguments: [(1, 1), (1, 2), (2, 4)]) func `nobody does where a processor has no worker, or one is alone`(
    workers: Int, processors: Int
  ) throws {
    let polling = HaltPolling(channels: try Self.channels(workers), processors: processors)
    polling.prolong(now: 1_000_000)
    #expect(!polling.isDue(now: 1_000_001))
  }

  @Test func `who has slept for long is woken, once`() throws {
    let channels = try Self.channels(2)
    #expect(!channels[0].wake(ifAsleepFor: 1000, now: 5_000), "it is awake")
    channels[0].sleeps(since: 5_000)
    #expect(!channels[0].wake(ifAsleepFor: 1000, now: 6_000))
    #expect(channels[0].wake(ifAsleepFor: 1000, now: 6_001))
    #expect(!channels[0].wake(ifAsleepFor: 1000, now: 7_000), "it has been woken")
    channels[0].sleeps(since: 8_000)
    channels[0].sleeps(since: 0)
    #expect(!channels[0].wake(ifAsleepFor: 1000, now: 10_000))
  }
}
