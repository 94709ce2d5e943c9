/// Entries that keep their index while they live, with a queue in which each may stand once, for what is due in the order in
/// which it was put there. Not thread-safe. No operation but growth and `indices` takes longer with more entries.
struct SlotTable<Entry> {
  static var countMax: Int { 1 << Int(Token.indexBits) }

  private struct Slot {
    var entry: Entry?
    var generation: UInt32 = 0
    /// Within the queue, or -1: there is none. They mean nothing where the slot is not queued.
    var previous = -1
    var next = -1
    var isQueued = false
  }

  private var slots: [Slot] = []
  private var free: [Int] = []
  /// The head of the queue: what was put there first.
  private(set) var first: Int?
  private var last: Int?
  private(set) var count = 0

  /// Of all entries.
  var indices: [Int] { slots.indices.filter { slots[$0].entry != nil } }

  /// The index of the new entry, or nil where there is no room.
  mutating func insert(_ entry: Entry) -> Int? {
    if let index = free.popLast() {
      slots[index].entry = entry
      count += 1
      return index
    }
    guard slots.count < Self.countMax else { return nil }
    slots.append(Slot(entry: entry))
    count += 1
    return slots.count - 1
  }

  mutating func remove(_ index: Int) {
    unqueue(index)
    slots[index].entry = nil
    slots[index].generation = (slots[index].generation + 1) & (1 << UInt32(Token.generationBits) - 1)
    free.append(index)
    count -= 1
  }

  func generation(_ index: Int) -> UInt32 { slots[index].generation }

  /// Whether the entry for which `token` was made still lives.
  func holds(_ token: Token) -> Bool {
    token.index < slots.count && slots[token.index].entry != nil && slots[token.index].generation == token.generation
  }

  /// Only of an entry that lives.
  subscript(index: Int) -> Entry {
    get { slots[index].entry! }
    _modify { yield &slots[index].entry! }
  }

  /// Puts the entry at the end of the queue, wherever it stood.
  mutating func queue(_ index: Int) {
    unqueue(index)
    (slots[index].previous, slots[index].next, slots[index].isQueued) = (last ?? -1, -1, true)
    if let last { slots[last].next = index } else { first = index }
    last = index
  }

  mutating func unqueue(_ index: Int) {
    guard slots[index].isQueued else { return }
    slots[index].isQueued = false
    let (previous, next) = (slots[index].previous, slots[index].next)
    if previous >= 0 { slots[previous].next = next } else { first = next >= 0 ? next : nil }
    if next >= 0 { slots[next].previous = previous } else { last = previous >= 0 ? previous : nil }
  }
}
