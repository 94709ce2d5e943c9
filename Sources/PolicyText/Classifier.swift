/// Finds the rules that a frame meets.
struct Classifier: BitwiseCopyable {
  let dimensions: UnsafePointer<DimensionTable>
  let dimensionCount: Int
  let records: UnsafePointer<RuleRecord>

  /// - Parameters:
  ///   - key: masked or not.
  ///   - rules: gets their numbers in order, up to the first behind which the search never goes on; has room for all rules.
  /// - Returns: how many they are.
  func rules(_ key: FlowKey, into rules: UnsafeMutablePointer<UInt32>) -> Int {
    withUnsafeTemporaryAllocation(of: UnsafePointer<UInt64>.self, capacity: dimensionCount) { rows in
      var summary = UInt64.max
      for index in 0..<dimensionCount {
        let row = dimensions[index].row(key)
        rows.initializeElement(at: index, to: row)
        summary &= row[0]
      }
      var count = 0
      while summary != 0 {
        let chunk = summary.trailingZeroBitCount
        summary &= summary &- 1
        if search(chunk, UnsafeBufferPointer(rows), rules, &count) { return count }
      }
      return count
    }
  }

  /// - Returns: true where a rule was met behind which none is looked for.
  @inline(__always)
  private func search(
    _ chunk: Int, _ rows: UnsafeBufferPointer<UnsafePointer<UInt64>>, _ rules: UnsafeMutablePointer<UInt32>,
    _ count: inout Int
  ) -> Bool {
    for word in 0..<BitmapRows.wordsPerChunk {
      var bits = UInt64.max
      for index in 0..<dimensionCount {
        bits &= dimensions[index].bitmaps.chunk(chunk, of: rows[index])[word]
        if bits == 0 { break }
      }
      while bits != 0 {
        let rule = chunk &* BitmapRows.rulesPerChunk &+ word &* 64 &+ bits.trailingZeroBitCount
        bits &= bits &- 1
        rules[count] = UInt32(truncatingIfNeeded: rule)
        count &+= 1
        if !records[rule].goesOn { return true }
      }
    }
    return false
  }
}
