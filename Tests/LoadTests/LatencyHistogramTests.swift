import Testing

@testable import martlet_load

@Suite struct LatencyHistogramTests {
  @Test func smallValuesAreExact() {
    var histogram = LatencyHistogram()
    for value in UInt64(1)...100 { histogram.record(value) }
    #expect(histogram.percentile(0.5) == 50)
    #expect(histogram.percentile(0.99) == 99)
    #expect(histogram.percentile(1) == 100)
  }

  @Test(arguments: [127, 128, 129, 255, 256, 1000, 58_500, 1_300_000, 999_999_999, UInt64.max])
  func anyValueIsWithinOnePartIn256(_ value: UInt64) {
    var histogram = LatencyHistogram()
    histogram.record(value)
    #expect(abs(histogram.percentile(0.5) - Double(value)) <= Double(value) / 256)
    #expect(histogram.maximum == value)
  }

  @Test func percentilesOrderValuesOfAllSizes() {
    var histogram = LatencyHistogram()
    var value = 1.0
    while value < 1e9 {
      histogram.record(UInt64(value))
      value *= 1.01
    }
    let percentiles = stride(from: 0.01, through: 1, by: 0.01).map(histogram.percentile)
    #expect(percentiles == percentiles.sorted())
    #expect(Set(percentiles).count > 90)
  }

  @Test func addsWhatAnotherHasCounted() {
    var (one, other) = (LatencyHistogram(), LatencyHistogram())
    for value in UInt64(1)...50 { one.record(value) }
    for value in UInt64(51)...100 { other.record(value) }
    one.add(other)
    #expect(one.total == 100)
    #expect(one.percentile(0.5) == 50)
    #expect(one.maximum == 100)
  }

  @Test func emptyHasNoPercentile() {
    #expect(LatencyHistogram().percentile(0.5) == 0)
  }
}
