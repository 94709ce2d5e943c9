/// Hands out indices from 0 up, the lowest that is free first.
struct Indices {
  private var isTaken: [Bool]

  init(capacity: Int) { isTaken = Array(repeating: false, count: capacity) }

  /// nil: all are taken.
  mutating func take() -> UInt16? {
    guard let index = isTaken.firstIndex(of: false) else { return nil }
    isTaken[index] = true
    return UInt16(index)
  }

  mutating func giveBack(_ index: UInt16) { isTaken[Int(index)] = false }
}
