import Wire

extension MACTable {
  /// Removes an entry, learned or static; false where there is none.
  public mutating func remove(_ mac: MACAddress) -> Bool {
    let slot = find(mac.bits)
    guard slot != MACTable.none else { return false }
    removeSlot(slot)
    return true
  }

  /// Removes all entries of a port, static ones too, and its limit: the port goes. Costs the port's entries only.
  public mutating func removeAll(port: UInt16) {
    precondition(Int(port) < portCapacity, "no such port")
    drain(learned(port))
    drain(statics(port))
    portLimits[Int(port)] = 0
  }

  /// Removes the learned entries of a port, or of all ports. Costs those entries only.
  public mutating func flush(port: UInt16?) {
    if let port {
      precondition(Int(port) < portCapacity, "no such port")
      drain(learned(port))
    } else {
      while rankedCount > 0 { drain(learned(ranking[0])) }
    }
  }

  /// Removes learned entries that were last seen `ageing` seconds ago or longer, at most `budget` of them.
  ///
  /// Looks at the ports that have learned entries and, of each, at the entries that go and the first that stays. As in
  /// the kernel bridge (net/bridge/br_fdb.c, `br_fdb_update` and `br_fdb_cleanup`), an `ageing` of 0 means that nothing
  /// learned is kept; a network with that setting does not learn, so that every frame is flooded.
  ///
  /// - Returns: how many were removed; where it is `budget`, more may wait.
  public mutating func expire(now: UInt32, ageing: UInt32, budget: Int) -> Int {
    var removed = 0
    // From the heap's end. When a port has lost entries, its place is looked at once more: what stands there now came
    // from behind, where all are done, or from the place's parent, which is not.
    var rank = rankedCount - 1
    while rank >= 0 && removed < budget {
      let list = learned(ranking[rank])
      let before = removed
      while removed < budget && list.pointee.count > 0 && isAged(Int(list.pointee.oldest), now: now, ageing: ageing) {
        removeSlot(Int(list.pointee.oldest))
        removed += 1
      }
      rank = removed > before ? min(rank, rankedCount - 1) : rank - 1
    }
    return removed
  }

  /// Sets another limit and keeps all entries, or those that fair eviction leaves. Costs the whole table: an
  /// operator's command, not for every second. The order of ageing within each port is kept.
  ///
  /// - Returns: false where there are more static entries than `limit`; nothing has changed then.
  public mutating func resize(limit: Int) -> Bool {
    var staticCount = 0
    for port in 0..<portCapacity { staticCount += Int(statics(UInt16(port)).pointee.count) }
    guard staticCount <= limit else { return false }
    while count > limit { _ = evictFairly(for: MACTable.noPort) }
    var resized = MACTable(limit: limit, portCapacity: portCapacity, seed: seed)
    for list in 0..<2 * portCapacity {
      var slot = Int(lists[list].oldest)
      while slot != MACTable.none {
        let entry = slots[slot]
        resized.insert(entry.mac, port: entry.port, kind: entry.kind, lastSeen: entry.lastSeen)
        slot = Int(links[slot].newer)
      }
    }
    for port in 0..<portCapacity where portLimits[port] != 0 { resized.portLimits[port] = portLimits[port] }
    self = resized
    return true
  }

  private func isAged(_ slot: Int, now: UInt32, ageing: UInt32) -> Bool {
    let lastSeen = slots[slot].lastSeen
    return now >= lastSeen && now - lastSeen >= ageing
  }

  private mutating func drain(_ list: UnsafeMutablePointer<SlotList>) {
    while list.pointee.count > 0 { removeSlot(Int(list.pointee.oldest)) }
  }
}

extension MACTable {
  /// Entries of a port, learned and static.
  public func count(port: UInt16) -> Int {
    precondition(Int(port) < portCapacity, "no such port")
    return Int(learned(port).pointee.count + statics(port).pointee.count)
  }

  /// Hands over entries, in no order, and can go on where it stopped. Looks at no more than `max` slots (the table has
  /// up to four for each entry of its limit), so that a call takes a bounded time and hands over at most `max` entries.
  ///
  /// Entries that come, go or move to another slot between two calls may be missed or be handed over twice.
  ///
  /// - Parameter cursor: 0, then what the call before returned.
  /// - Returns: where to go on, or nil when all slots were looked at.
  public func entries(from cursor: Int, max: Int, _ body: (MACTableEntry) -> Void) -> Int? {
    let slotCount = mask + 1
    let end = min(slotCount, cursor + max)
    // Downwards: a removal shifts entries to lower slots, so an entry may be seen again rather than be missed.
    for visited in cursor..<end {
      let slot = slots[slotCount - visited]
      if slot.mac != 0 {
        body(
          MACTableEntry(
            mac: MACAddress(bits: slot.mac), port: slot.port, isStatic: slot.kind == MACTable.staticKind,
            lastSeen: slot.lastSeen))
      }
    }
    return end < slotCount ? end : nil
  }
}
