import Wire

@testable import Tables

extension MACTable {
  /// The first thing in the table that contradicts itself, or nil.
  borrowing func contradiction() -> String? {
    var used = 0
    for slot in 1...mask + 1 where slots[slot].mac != 0 {
      used += 1
      if find(slots[slot].mac) != slot { return "slot \(slot) cannot be found" }
    }
    if used != count { return "\(used) slots in use, count says \(count)" }
    if count > limit { return "\(count) entries exceed the limit \(limit)" }
    var linked = 0
    var ranked = 0
    for port in 0..<portCapacity {
      for kind in [MACTable.learnedKind, MACTable.staticKind] {
        if let broken = listContradiction(port: UInt16(port), kind: kind) { return broken }
      }
      linked += count(port: UInt16(port))
      let portLimit = portLimits[port]
      let learnedCount = learned(UInt16(port)).pointee.count
      if portLimit != 0 && learnedCount > portLimit { return "port \(port) exceeds its limit" }
      let rank = Int(rankOfPort[port])
      if (rank != 0) != (learnedCount != 0) { return "port \(port) with \(learnedCount) entries has rank \(rank)" }
      if rank != 0 {
        ranked += 1
        if Int(ranking[rank - 1]) != port { return "rank \(rank) is not port \(port)'s" }
        if rank > 1 && learned(ranking[rank / 2 - 1]).pointee.count < learnedCount {
          return "port \(port) has more entries than the port ranked before it"
        }
      }
    }
    if linked != count { return "\(linked) entries linked, count says \(count)" }
    return ranked == rankedCount ? nil : "\(ranked) ports ranked, not \(rankedCount)"
  }

  private borrowing func listContradiction(port: UInt16, kind: UInt16) -> String? {
    let list = lists[2 * Int(port) + Int(kind)]
    var previous = MACTable.none
    var slot = Int(list.oldest)
    var seen = 0
    while slot != MACTable.none {
      seen += 1
      if seen > count { return "the list of port \(port) has a loop" }
      if slots[slot].mac == 0 || slots[slot].port != port || slots[slot].kind != kind {
        return "slot \(slot) is in the list of port \(port)"
      }
      if Int(links[slot].older) != previous { return "slot \(slot) does not link back" }
      if kind == MACTable.learnedKind, previous != MACTable.none, slots[previous].lastSeen > slots[slot].lastSeen {
        return "the list of port \(port) is out of order"
      }
      (previous, slot) = (slot, Int(links[slot].newer))
    }
    if list.count > 0 && Int(list.newest) != previous { return "the list of port \(port) does not end at its newest" }
    return seen == Int(list.count) ? nil : "the list of port \(port) has \(seen) entries, its count says \(list.count)"
  }

  /// The number of slots that a lookup of each entry looks at: the most, and the mean.
  borrowing func probeLengths() -> (longest: Int, mean: Double) {
    var longest = 0
    var total = 0
    for slot in 1...mask + 1 where slots[slot].mac != 0 {
      let length = (slot - home(slots[slot].mac)) & mask + 1
      longest = max(longest, length)
      total += length
    }
    return (longest, Double(total) / Double(max(count, 1)))
  }

  borrowing func allEntries() -> [MACTableEntry] {
    var all: [MACTableEntry] = []
    var cursor: Int? = 0
    while let from = cursor { cursor = entries(from: from, max: 7) { all.append($0) } }
    return all
  }
}
