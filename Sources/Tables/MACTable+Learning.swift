import Wire

extension MACTable {
  /// An address that the table does not have.
  @usableFromInline
  @inline(never)
  mutating func learnNew(_ mac: MACAddress, port: UInt16, now: UInt32) -> MACLearning {
    precondition(Int(port) < portCapacity, "no such port")
    guard mac.isValidSource, portLimits[Int(port)] != MACTable.learnsNothing, makeRoom(for: port) else {
      return .refused
    }
    insert(mac.bits, port: port, kind: MACTable.learnedKind, lastSeen: now)
    return .learned
  }

  /// An address that the table has, perhaps on another port, and that was not seen in this second or on this port.
  @usableFromInline
  @inline(never)
  mutating func refresh(_ slot: Int, port: UInt16, now: UInt32) -> MACLearning {
    precondition(Int(port) < portCapacity, "no such port")
    let isMove = slots[slot].port != port
    if isMove && portLimits[Int(port)] == MACTable.learnsNothing { return .refused }
    if slots[slot].kind == MACTable.staticKind {
      if isMove { return .refused }
      slots[slot].lastSeen = now
      return .known
    }
    unlink(slot)
    slots[slot].port = port
    slots[slot].lastSeen = now
    link(slot)
    guard isMove else { return .refreshed }
    // After the move, for an eviction may shift slots. The entry itself is its port's newest and stays.
    trim(port)
    return .moved
  }

  /// Binds `mac` to `port` until it is removed: it does not age, does not move, and is not evicted. An entry that is
  /// there already, learned or static, is taken over.
  ///
  /// - Returns: false where static entries fill the table or `mac` is no unicast address; nothing has changed then.
  public mutating func insertStatic(_ mac: MACAddress, port: UInt16) -> Bool {
    precondition(Int(port) < portCapacity, "no such port")
    guard mac.isValidSource else { return false }
    let slot = find(mac.bits)
    if slot != MACTable.none {
      unlink(slot)
      slots[slot].port = port
      slots[slot].kind = MACTable.staticKind
      link(slot)
      return true
    }
    guard count < limit || evictFairly(for: MACTable.noPort) else { return false }
    insert(mac.bits, port: port, kind: MACTable.staticKind, lastSeen: 0)
    return true
  }

  /// The limit of a port that has static entries only.
  public static let learnsNothing = Int(UInt32.max)

  /// The most learned entries that a port may have; 0: only the table's limit. Entries beyond it go now, the oldest first.
  public mutating func setPortLimit(_ port: UInt16, _ limit: Int) {
    precondition(Int(port) < portCapacity, "no such port")
    portLimits[Int(port)] = UInt32(clamping: limit)
    if limit == Self.learnsNothing { return flush(port: port) }
    trim(port)
  }

  private mutating func trim(_ port: UInt16) {
    let limit = portLimits[Int(port)]
    while limit != 0 && learnedCount(port) > limit { evictOldest(of: port) }
  }

  /// Room for one more learned entry of `port`; false where only static entries are left to evict.
  private mutating func makeRoom(for port: UInt16) -> Bool {
    let portLimit = portLimits[Int(port)]
    if portLimit != 0 && learnedCount(port) >= portLimit {
      evictOldest(of: port)
      return true
    }
    return count < limit || evictFairly(for: port)
  }

  /// Takes the oldest learned entry of the port that has the most: of `port` itself where none has more, so that a
  /// flood never costs those who have as many or fewer.
  mutating func evictFairly(for port: UInt16) -> Bool {
    guard rankedCount > 0 else { return false }
    let largest = ranking[0]
    let isOwn = port != MACTable.noPort && learnedCount(port) == learnedCount(largest)
    evictOldest(of: isOwn ? port : largest)
    return true
  }

  private mutating func evictOldest(of port: UInt16) { removeSlot(Int(learned(port).pointee.oldest)) }
}
