// Theory of operation.
//
// A dimension's look-up gives a row: a bit for each rule, set where the rule has no condition for the field or its condition holds.
// The rules that a frame meets are those whose bits are set in the rows of all dimensions, and the lowest bit is the first of
// them (Lakshman and Stiliadis, "High-speed policy-based packet forwarding using efficient multi-dimensional range matching",
// SIGCOMM 1998). Rows of many rules are mostly empty: a word of summary says which chunks of 1024 rules have a bit set (Baboescu and
// Varghese, "Scalable packet classification", SIGCOMM 2001), and equal chunks are kept once.
//
// The cost has a bound that no set of rules and no frame exceeds, unlike that of tuple-space search: a binary search for each
// dimension, and at most a word of each for each 64 rules.

/// The place of rows and their chunks in memory. Read by any thread; nothing changes after it was made.
struct BitmapRows: BitwiseCopyable {
  static let wordsPerChunk = 16
  static let rulesPerChunk = 64 * wordsPerChunk

  /// Of each row: its summary, then the places of its chunks, of 32 bits each.
  let rows: UnsafePointer<UInt64>
  let chunks: UnsafePointer<UInt64>
  /// Words of a row.
  let stride: Int

  @inline(__always)
  func row(_ index: UInt32) -> UnsafePointer<UInt64> { rows + Int(index) &* stride }

  /// The words of a row's chunk.
  @inline(__always)
  func chunk(_ index: Int, of row: UnsafePointer<UInt64>) -> UnsafePointer<UInt64> {
    let pair = row[1 &+ index >> 1]
    let place = UInt32(truncatingIfNeeded: index & 1 == 0 ? pair : pair >> 32)
    return chunks + Int(place) &* Self.wordsPerChunk
  }
}

/// Makes rows: bits are changed one by one, and the row that they are is kept when it is wanted.
struct BitmapBuilder {
  private let chunkCount: Int
  private var current: [UInt64]
  private var places: [UInt32]
  private var isChanged: [Bool]
  private var chunkPlaces: [SIMD16<UInt64>: UInt32] = [:]
  private(set) var chunks: [UInt64] = []
  private(set) var rows: [UInt64] = []
  private(set) var rowCount: UInt32 = 0

  /// - Parameter ruleCount: at most 65,536: a summary has 64 bits.
  init(ruleCount: Int) {
    chunkCount = max(1, (ruleCount + BitmapRows.rulesPerChunk - 1) / BitmapRows.rulesPerChunk)
    current = Array(repeating: 0, count: chunkCount * BitmapRows.wordsPerChunk)
    places = Array(repeating: 0, count: chunkCount)
    isChanged = Array(repeating: true, count: chunkCount)
  }

  /// Words of a row.
  var stride: Int { 1 + (chunkCount + 1) / 2 }

  var byteCount: Int { (chunks.count + rows.count) * 8 }

  mutating func flip(_ rule: UInt32) {
    current[Int(rule) / 64] ^= 1 << UInt64(rule % 64)
    isChanged[Int(rule) / BitmapRows.rulesPerChunk] = true
  }

  /// The bits as they are now, as a row's number.
  mutating func keep() -> UInt32 {
    var summary: UInt64 = 0
    for index in 0..<chunkCount {
      let words = SIMD16(current[(index * BitmapRows.wordsPerChunk)..<((index + 1) * BitmapRows.wordsPerChunk)])
      if words != .zero { summary |= 1 << UInt64(index) }
      if isChanged[index] { places[index] = place(of: words) }
      isChanged[index] = false
    }
    rows.append(summary)
    for index in stride(from: 0, to: chunkCount, by: 2) {
      rows.append(UInt64(places[index]) | (index + 1 < chunkCount ? UInt64(places[index + 1]) << 32 : 0))
    }
    rowCount += 1
    return rowCount - 1
  }

  private func stride(from start: Int, to end: Int, by step: Int) -> StrideTo<Int> {
    Swift.stride(from: start, to: end, by: step)
  }

  private mutating func place(of words: SIMD16<UInt64>) -> UInt32 {
    if let place = chunkPlaces[words] { return place }
    let place = UInt32(chunkPlaces.count)
    chunkPlaces[words] = place
    for index in 0..<BitmapRows.wordsPerChunk { chunks.append(words[index]) }
    return place
  }
}
