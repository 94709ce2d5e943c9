import Glibc

/// Members ordered by how much each holds, the greediest first: a binary heap in fixed memory. One thread.
///
/// Who changes a member's amount says so; each change costs a step for each doubling of the number of members.
struct Ranking: ~Copyable {
  private let amounts: UnsafeMutablePointer<UInt32>
  private let heap: UnsafeMutablePointer<UInt16>
  /// The place of each member in `heap`, counted from 1; 0: it holds nothing.
  private let places: UnsafeMutablePointer<UInt32>
  private var count = 0

  /// - Parameter capacity: members are numbered from 0 to `capacity - 1`, at most 65,535 of them.
  init(capacity: Int) {
    amounts = zeroed(capacity)
    heap = zeroed(capacity)
    places = zeroed(capacity)
  }

  deinit {
    free(amounts)
    free(heap)
    free(places)
  }

  /// Who holds the most; nil where nobody holds anything.
  var greediest: UInt16? { count > 0 ? heap[0] : nil }

  func amount(_ member: UInt16) -> UInt32 { amounts[Int(member)] }

  mutating func increment(_ member: UInt16) {
    amounts[Int(member)] += 1
    if places[Int(member)] == 0 {
      place(member, at: count)
      count += 1
    }
    siftUp(Int(places[Int(member)]) - 1)
  }

  mutating func decrement(_ member: UInt16) {
    amounts[Int(member)] -= 1
    let position = Int(places[Int(member)]) - 1
    guard amounts[Int(member)] == 0 else { return siftDown(position) }
    count -= 1
    places[Int(member)] = 0
    let last = heap[count]
    guard position < count else { return }
    place(last, at: position)
    siftUp(position)
    siftDown(Int(places[Int(last)]) - 1)
  }

  private func place(_ member: UInt16, at position: Int) {
    heap[position] = member
    places[Int(member)] = UInt32(position + 1)
  }

  private func siftUp(_ start: Int) {
    var position = start
    let member = heap[position]
    while position > 0 {
      let parent = (position - 1) / 2
      guard amounts[Int(heap[parent])] < amounts[Int(member)] else { break }
      place(heap[parent], at: position)
      position = parent
    }
    place(member, at: position)
  }

  private func siftDown(_ start: Int) {
    var position = start
    let member = heap[position]
    while true {
      var child = 2 * position + 1
      guard child < count else { break }
      if child + 1 < count && amounts[Int(heap[child + 1])] > amounts[Int(heap[child])] { child += 1 }
      guard amounts[Int(heap[child])] > amounts[Int(member)] else { break }
      place(heap[child], at: position)
      position = child
    }
    place(member, at: position)
  }
}
