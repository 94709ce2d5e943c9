import Wire

// Slots, the lists that run through them, and the ranking of ports by the length of their lists. A slot in use is always
// in exactly one list, and a port is ranked exactly while its list of learned entries is not empty.

extension MACTable {
  func learned(_ port: UInt16) -> UnsafeMutablePointer<SlotList> { lists + (2 * Int(port) + Int(MACTable.learnedKind)) }

  func statics(_ port: UInt16) -> UnsafeMutablePointer<SlotList> { lists + (2 * Int(port) + Int(MACTable.staticKind)) }

  func learnedCount(_ port: UInt16) -> UInt32 { learned(port).pointee.count }

  private func list(of slot: Int) -> UnsafeMutablePointer<SlotList> {
    lists + (2 * Int(slots[slot].port) + Int(slots[slot].kind))
  }

  /// The address must not be in the table, and there must be room.
  mutating func insert(_ mac: UInt64, port: UInt16, kind: UInt16, lastSeen: UInt32) {
    var slot = home(mac)
    while slots[slot].mac != 0 { slot = after(slot) }
    slots[slot] = Slot(mac: mac, lastSeen: lastSeen, port: port, kind: kind)
    count += 1
    link(slot)
  }

  /// Removes the entry and closes the gap: every entry of the cluster that could stand nearer to its home moves back
  /// (Knuth, The Art of Computer Programming 3, 6.4, algorithm R).
  mutating func removeSlot(_ slot: Int) {
    unlink(slot)
    count -= 1
    var gap = slot
    var candidate = after(gap)
    while slots[candidate].mac != 0 {
      let fromHome = (candidate - home(slots[candidate].mac)) & mask
      let fromGap = (candidate - gap) & mask
      if fromHome >= fromGap {
        move(candidate, to: gap)
        gap = candidate
      }
      candidate = after(candidate)
    }
    slots[gap].mac = 0
  }

  private mutating func move(_ from: Int, to: Int) {
    slots[to] = slots[from]
    let link = links[from]
    links[to] = link
    let list = list(of: to)
    if link.older == MACTable.none {
      list.pointee.oldest = UInt32(to)
    } else {
      links[Int(link.older)].newer = UInt32(to)
    }
    if link.newer == MACTable.none {
      list.pointee.newest = UInt32(to)
    } else {
      links[Int(link.newer)].older = UInt32(to)
    }
  }

  /// Puts a slot at the end of its list, as the newest.
  mutating func link(_ slot: Int) {
    let list = list(of: slot)
    let newest = list.pointee.newest
    links[slot] = Link(older: newest, newer: UInt32(MACTable.none))
    if newest == MACTable.none {
      list.pointee.oldest = UInt32(slot)
    } else {
      links[Int(newest)].newer = UInt32(slot)
    }
    list.pointee.newest = UInt32(slot)
    list.pointee.count += 1
    if slots[slot].kind == MACTable.learnedKind { rankUp(slots[slot].port) }
  }

  mutating func unlink(_ slot: Int) {
    let list = list(of: slot)
    let link = links[slot]
    if link.older == MACTable.none {
      list.pointee.oldest = link.newer
    } else {
      links[Int(link.older)].newer = link.newer
    }
    if link.newer == MACTable.none {
      list.pointee.newest = link.older
    } else {
      links[Int(link.newer)].older = link.older
    }
    list.pointee.count -= 1
    if slots[slot].kind == MACTable.learnedKind { rankDown(slots[slot].port) }
  }
}

extension MACTable {
  private func count(atRank rank: Int) -> UInt32 { learnedCount(ranking[rank]) }

  private mutating func place(_ port: UInt16, at rank: Int) {
    ranking[rank] = port
    rankOfPort[Int(port)] = UInt32(rank + 1)
  }

  /// The port has one learned entry more than before.
  private mutating func rankUp(_ port: UInt16) {
    if rankOfPort[Int(port)] == 0 {
      place(port, at: rankedCount)
      rankedCount += 1
    }
    siftUp(Int(rankOfPort[Int(port)]) - 1)
  }

  /// The port has one learned entry less than before.
  private mutating func rankDown(_ port: UInt16) {
    let rank = Int(rankOfPort[Int(port)]) - 1
    guard learnedCount(port) == 0 else { return siftDown(rank) }
    rankedCount -= 1
    let last = ranking[rankedCount]
    rankOfPort[Int(port)] = 0
    guard rank < rankedCount else { return }
    place(last, at: rank)
    siftUp(rank)
    siftDown(Int(rankOfPort[Int(last)]) - 1)
  }

  private mutating func siftUp(_ start: Int) {
    var rank = start
    let port = ranking[rank]
    let count = learnedCount(port)
    while rank > 0 {
      let parent = (rank - 1) / 2
      guard self.count(atRank: parent) < count else { break }
      place(ranking[parent], at: rank)
      rank = parent
    }
    place(port, at: rank)
  }

  private mutating func siftDown(_ start: Int) {
    var rank = start
    let port = ranking[rank]
    let count = learnedCount(port)
    while true {
      var child = 2 * rank + 1
      guard child < rankedCount else { break }
      if child + 1 < rankedCount && self.count(atRank: child + 1) > self.count(atRank: child) { child += 1 }
      guard self.count(atRank: child) > count else { break }
      place(ranking[child], at: rank)
      rank = child
    }
    place(port, at: rank)
  }
}
