/// Counts durations in buckets whose width grows with the value, in fixed memory.
///
/// Below 128 ns each bucket is 1 ns wide; above, every power of two is cut into 128 buckets. A percentile is the middle
/// of its bucket, so it is wrong by at most 1/256 of its value.
struct LatencyHistogram {
  private static let subBits = 7
  private static let subBuckets = 1 << subBits

  private var counts = [UInt64](repeating: 0, count: (UInt64.bitWidth - subBits + 1) * subBuckets)
  private(set) var total: UInt64 = 0
  private(set) var maximum: UInt64 = 0

  mutating func record(_ nanoseconds: UInt64) {
    counts[Self.bucket(nanoseconds)] += 1
    total += 1
    maximum = max(maximum, nanoseconds)
  }

  /// Counts what another has counted as well.
  mutating func add(_ other: LatencyHistogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    total += other.total
    maximum = max(maximum, other.maximum)
  }

  /// The duration that the given share (0 to 1) of all was no longer than; 0 when nothing was recorded.
  func percentile(_ share: Double) -> Double {
    let rank = max(1, UInt64((share * Double(total)).rounded(.up)))
    var seen: UInt64 = 0
    for (index, count) in counts.enumerated() where count > 0 {
      seen += count
      if seen >= rank { return min(Self.middle(index), Double(maximum)) }
    }
    return 0
  }

  private static func bucket(_ value: UInt64) -> Int {
    let shift = max(0, UInt64.bitWidth - value.leadingZeroBitCount - subBits - 1)
    return shift * subBuckets + Int(value >> UInt64(shift))
  }

  private static func middle(_ bucket: Int) -> Double {
    let shift = max(0, bucket / subBuckets - 1)
    let width = UInt64(1) << UInt64(shift)
    let lower = UInt64(bucket - shift * subBuckets) << UInt64(shift)
    return Double(lower) + Double(width - 1) / 2
  }
}
