/// Finds a dimension's row for a frame's value. Read by any thread; nothing changes after it was made.
struct DimensionTable: BitwiseCopyable {
  let field: Field
  /// Applied to values that are no addresses of IPv6.
  let mask: UInt64
  let narrow: RangeTable<UInt64>
  let wide: RangeTable<UInt128>
  let bitmaps: BitmapRows

  /// The row of rules that may match where the field is not there: the first.
  static let absentRow: UInt32 = 0

  @inline(__always)
  func row(_ key: FlowKey) -> UnsafePointer<UInt64> {
    switch key.value(of: field) {
    case .absent: bitmaps.row(Self.absentRow)
    case .narrow(let value): bitmaps.row(narrow.row(value & mask))
    case .wide(let value): bitmaps.row(wide.row(value))
    }
  }
}

/// Ranges that cover all values, by where each begins.
struct RangeTable<Value: FixedWidthInteger & BitwiseCopyable>: BitwiseCopyable {
  /// Ascending; the first is 0.
  let starts: UnsafePointer<Value>
  let rows: UnsafePointer<UInt32>
  let count: Int

  @inline(__always)
  func row(_ value: Value) -> UInt32 {
    var low = 0
    var length = count
    while length > 1 {
      let half = length >> 1
      if starts[low &+ half] <= value { low &+= half }
      length &-= half
    }
    return rows[low]
  }
}

/// A dimension's table while it is made, as arrays.
struct DimensionDraft {
  var narrowStarts: [UInt64] = []
  var narrowRows: [UInt32] = []
  var wideStarts: [UInt128] = []
  var wideRows: [UInt32] = []
  var bitmaps: BitmapBuilder

  /// - Parameters:
  ///   - conditions: what holds for which values.
  ///   - rules: of each condition, the rules that have it.
  ///   - free: the rules that have none of them.
  init(conditions: [ValueSet], rules: [[UInt32]], free: [UInt32], ruleCount: Int) {
    bitmaps = BitmapBuilder(ruleCount: ruleCount)
    for rule in free { bitmaps.flip(rule) }
    // Row 0: the field is not there.
    var kept: [UInt128: UInt32] = [0: bitmaps.keep()]
    var generator = SystemRandomNumberGenerator()
    // A set of conditions is known by the sum of its members' random numbers.
    let tokens = conditions.map { _ in UInt128(generator.next()) << 64 | UInt128(generator.next()) }
    sweep(conditions.map(\.narrow), tokens, rules, &kept) {
      $0.narrowStarts.append($1)
      $0.narrowRows.append($2)
    }
    sweep(conditions.map(\.wide), tokens, rules, &kept) {
      $0.wideStarts.append($1)
      $0.wideRows.append($2)
    }
  }

  var byteCount: Int {
    bitmaps.byteCount + narrowStarts.count * 12 + wideStarts.count * 20
  }

  /// Goes through all places where a range begins or ends, in ascending order.
  private mutating func sweep<Value: FixedWidthInteger>(
    _ ranges: [[ClosedRange<Value>]], _ tokens: [UInt128], _ rules: [[UInt32]], _ kept: inout [UInt128: UInt32],
    add: (inout DimensionDraft, Value, UInt32) -> Void
  ) {
    var changes: [(start: Value, condition: Int)] = []
    for (condition, ranges) in ranges.enumerated() {
      for range in ranges {
        changes.append((range.lowerBound, condition))
        if range.upperBound < .max { changes.append((range.upperBound + 1, condition)) }
      }
    }
    changes.sort { $0.start < $1.start }
    // Conditions whose rules' bits are not yet as `held` has them.
    var pending: Set<Int> = []
    var held: UInt128 = 0
    var next = 0
    if changes.first?.start != 0 { add(&self, 0, DimensionTable.absentRow) }
    var isHeld = Array(repeating: false, count: ranges.count)
    while next < changes.count {
      let start = changes[next].start
      while next < changes.count && changes[next].start == start {
        let condition = changes[next].condition
        held ^= tokens[condition]
        isHeld[condition].toggle()
        if pending.remove(condition) == nil { pending.insert(condition) }
        next += 1
      }
      add(&self, start, row(held, &pending, rules, &kept))
    }
    // As it was, for the next sweep.
    for condition in isHeld.indices where isHeld[condition] {
      if pending.remove(condition) == nil { pending.insert(condition) }
    }
    flip(&pending, rules)
  }

  private mutating func row(
    _ held: UInt128, _ pending: inout Set<Int>, _ rules: [[UInt32]], _ kept: inout [UInt128: UInt32]
  ) -> UInt32 {
    if let row = kept[held] { return row }
    flip(&pending, rules)
    let row = bitmaps.keep()
    kept[held] = row
    return row
  }

  private mutating func flip(_ pending: inout Set<Int>, _ rules: [[UInt32]]) {
    for condition in pending { for rule in rules[condition] { bitmaps.flip(rule) } }
    pending.removeAll(keepingCapacity: true)
  }
}

/// Memory of one dimension's table.
struct DimensionMemory {
  let table: DimensionTable
  private let narrowStarts: UnsafeMutablePointer<UInt64>
  private let narrowRows: UnsafeMutablePointer<UInt32>
  private let wideStarts: UnsafeMutablePointer<UInt128>
  private let wideRows: UnsafeMutablePointer<UInt32>
  private let rows: UnsafeMutablePointer<UInt64>
  private let chunks: UnsafeMutablePointer<UInt64>

  init(_ draft: DimensionDraft, field: Field, mask: UInt64) {
    narrowStarts = copied(draft.narrowStarts)
    narrowRows = copied(draft.narrowRows)
    wideStarts = copied(draft.wideStarts)
    wideRows = copied(draft.wideRows)
    rows = copied(draft.bitmaps.rows)
    chunks = copied(draft.bitmaps.chunks)
    table = DimensionTable(
      field: field, mask: mask,
      narrow: RangeTable(starts: narrowStarts, rows: narrowRows, count: draft.narrowStarts.count),
      wide: RangeTable(starts: wideStarts, rows: wideRows, count: draft.wideStarts.count),
      bitmaps: BitmapRows(rows: rows, chunks: chunks, stride: draft.bitmaps.stride))
  }

  func deallocate() {
    narrowStarts.deallocate()
    narrowRows.deallocate()
    wideStarts.deallocate()
    wideRows.deallocate()
    rows.deallocate()
    chunks.deallocate()
  }
}

/// The elements in memory of their own.
func copied<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
  let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
  elements.withUnsafeBufferPointer { if let base = $0.baseAddress { memory.initialize(from: base, count: $0.count) } }
  return memory
}
