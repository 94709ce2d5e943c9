import Testing

@testable import martlet_load

/// The names that scripts lean on.
@Suite struct ReportTests {
  @Test func latency() throws {
    let figures = Latency.Figures(
      roundTrips: 1, lost: 2, roundTripsPerSecond: 3, p50Us: 4, p90Us: 5, p99Us: 6, p999Us: 7.5, maxUs: 8)
    #expect(
      try json(figures)
        == #"{"lost":2,"max_us":8,"p50_us":4,"p90_us":5,"p999_us":7.5,"p99_us":6,"round_trips":1,"round_trips_per_second":3}"#
    )
  }

  @Test func streams() throws {
    let (early, late) = (
      StreamArrival.Counted(bytes: 1_000, first: 5_000_000_000, last: 6_000_000_000),
      StreamArrival.Counted(bytes: 3_000, first: 5_500_000_000, last: 7_000_000_000)
    )
    // From the first byte of any to the last of any; one that got nothing has no say.
    #expect(
      try json(StreamSink.figures([early, StreamArrival.Counted(), late]))
        == #"{"bits_per_second":16000,"bytes":4000,"span_seconds":2,"streams":3}"#)
    #expect(StreamSink.figures([]).bitsPerSecond == 0)
  }

  @Test func `streams are shared out among threads, none left out`() throws {
    #expect(Stream.shares([1, 2, 3, 4, 5], threads: 2) == [[1, 3, 5], [2, 4]])
    #expect(Stream.shares([1, 2], threads: nil) == [[1], [2]])
    #expect(throws: (any Error).self) {
      try Stream.parse(["::1", "7000", "--streams", "2", "--threads", "3"]).validate()
    }
    #expect(throws: (any Error).self) { try Stream.parse(["::1", "7000", "--threads", "0"]).validate() }
  }

  @Test func stations() throws {
    #expect(
      try json(StationSender.Figures(sent: 10, seconds: 2, framesPerSecond: 5))
        == #"{"frames_per_second":5,"seconds":2,"sent":10}"#)
    #expect(
      try json(Probes.Figures(matching: 1, duplicates: 2, frames: 3, overruns: 0))
        == #"{"duplicates":2,"frames":3,"matching":1,"overruns":0}"#)
  }
}
