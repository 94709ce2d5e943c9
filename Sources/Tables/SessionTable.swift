import Glibc
import Wire

// Theory of operation.
//
// Sessions lie in one array, numbered from 1, and are found by two hash tables of chains: by their inside and by their
// outside addresses. Each is in two lists, the longest idle first: one of its timer, so that expiry looks at those only
// that end, and one of its owner's, so that all go with the owner, and the oldest goes first when there is no room.
//
// Room: an owner at its own limit loses a session of its own for a new one; a full table takes one of the owner that has
// the most. Of that owner's sessions the expendable go first (`SessionTimer.isExpendable`): a flood of half-open connections
// pushes out itself. A session is touched at most once a second, so lists have the granularity of a second.
//
// Memory comes zeroed from calloc and is touched when it is used. One thread owns the table.

/// The sessions of a router, with the mappings they use, in fixed memory.
public struct SessionTable: ~Copyable {
  public static let capacityDefault = 1_000_000

  struct List: BitwiseCopyable {
    var oldest: UInt32 = 0
    var newest: UInt32 = 0
  }

  @usableFromInline let sessions: UnsafeMutablePointer<Session>
  private let ownsMemory: Bool
  @usableFromInline let insideChains: HashChains
  @usableFromInline let outsideChains: HashChains
  /// Sessions of mappings, by mapping and far address: who may come in, where a mapping's filter asks for the address.
  @usableFromInline let peerChains: HashChains
  @usableFromInline let hash: KeyedHash
  let timers: UnsafeMutablePointer<List>
  /// Two for each owner: expendable, kept.
  let owned: UnsafeMutablePointer<List>
  var ranking: Ranking
  public var mappings: MappingTable
  /// Sessions never used so far begin here.
  private var unused: UInt32 = 1
  /// A chain of sessions that were given back.
  private var free: UInt32 = 0

  public let capacity: Int
  public private(set) var count = 0
  public private(set) var counts = SessionCounts()
  /// Sessions that one owner may have.
  public var ownerLimit: Int
  /// Sessions that went to make room.
  public private(set) var evictions: UInt64 = 0

  /// Bytes of the array of sessions.
  public static func memorySize(capacity: Int) -> Int { (capacity + 1) * MemoryLayout<Session>.stride }

  /// - Parameters:
  ///   - ownerCapacity: owners are numbered from 0.
  ///   - seed: a secret.
  ///   - memory: `memorySize` zero bytes for the sessions, aligned to 16, which stay the caller's and outlive the table: who maps a
  ///     file there can read the sessions when this process has ended. nil: memory of the table's own.
  public init(
    capacity: Int = Self.capacityDefault, ownerCapacity: Int, seed: UInt64, memory: UnsafeMutableRawPointer? = nil
  ) {
    precondition(capacity > 0 && capacity < Int(UInt32.max), "\(capacity) sessions")
    self.capacity = capacity
    ownerLimit = capacity
    sessions = memory?.bindMemory(to: Session.self, capacity: capacity + 1) ?? zeroed(capacity + 1)
    ownsMemory = memory == nil
    insideChains = HashChains(capacity: capacity)
    outsideChains = HashChains(capacity: capacity)
    peerChains = HashChains(capacity: capacity)
    hash = KeyedHash(seed: seed)
    timers = zeroed(SessionTimer.count)
    owned = zeroed(2 * ownerCapacity)
    ranking = Ranking(capacity: ownerCapacity)
    mappings = MappingTable(seed: seed &+ 1)
  }

  deinit {
    if ownsMemory { Glibc.free(sessions) }
    insideChains.deallocate()
    outsideChains.deallocate()
    peerChains.deallocate()
    Glibc.free(timers)
    Glibc.free(owned)
  }

  /// A session in the table; its keys are not to be changed.
  @inlinable
  @inline(__always)
  public subscript(index: UInt32) -> UnsafeMutablePointer<Session> { sessions + Int(index) }

  /// The session with that inside, or 0.
  @inlinable
  @inline(__always)
  public func find(inside key: SessionKey) -> UInt32 {
    var index = insideChains.head(hash(key.near, key.far, key.word)).pointee
    while index != 0 {
      let session = sessions + Int(index)
      if session.pointee.insideKey == key { return index }
      index = session.pointee.nextInside
    }
    return 0
  }

  /// The session with that outside, or 0.
  @inlinable
  @inline(__always)
  public func find(outside key: SessionKey) -> UInt32 {
    var index = outsideChains.head(hash(key.near, key.far, ~key.word)).pointee
    while index != 0 {
      let session = sessions + Int(index)
      if session.pointee.outsideKey == key { return index }
      index = session.pointee.nextOutside
    }
    return 0
  }

  /// Adds a session of which there is none with the same keys.
  /// - Parameter mapping: which it uses, or 0.
  /// - Returns: its number, or 0 where its owner has no session that could go for it.
  public mutating func insert(_ new: Session, mapping: UInt32, timer: SessionTimer, now: UInt32) -> UInt32 {
    // The mapping must not go with the last session that makes room.
    mappings.retain(mapping)
    guard makeRoom(for: new.owner) else {
      mappings.release(mapping)
      return 0
    }
    let index = take()
    let session = sessions + Int(index)
    session.pointee = new
    session.pointee.mapping = mapping
    session.pointee.timer = timer
    session.pointee.lastSeen = now
    let inside = insideChains.head(hash(new.inside, new.remote, new.insideKey.word))
    session.pointee.nextInside = inside.pointee
    inside.pointee = index
    let outside = outsideChains.head(hash(new.external, new.remote, ~new.outsideKey.word))
    session.pointee.nextOutside = outside.pointee
    outside.pointee = index
    if mapping != 0 {
      let peers = peerChains.head(hash(new.remote, UInt64(mapping)))
      session.pointee.nextPeer = peers.pointee
      peers.pointee = index
    }
    appendToTimer(index)
    appendToOwner(index)
    ranking.increment(new.owner)
    count += 1
    counts.add(1, protocol: new.protocol)
    return index
  }

  /// Takes a session out; its mapping goes with the last of its sessions.
  public mutating func remove(_ index: UInt32) {
    let session = sessions + Int(index)
    unchain(session)
    removeFromTimer(index)
    removeFromOwner(index)
    ranking.decrement(session.pointee.owner)
    mappings.release(session.pointee.mapping)
    count -= 1
    counts.add(-1, protocol: session.pointee.protocol)
    session.pointee = Session()
    session.pointee.nextInside = free
    free = index
  }

  private func unchain(_ session: UnsafeMutablePointer<Session>) {
    let key = (inside: session.pointee.insideKey, outside: session.pointee.outsideKey)
    let inside = insideChains.head(hash(key.inside.near, key.inside.far, key.inside.word))
    let outside = outsideChains.head(hash(key.outside.near, key.outside.far, ~key.outside.word))
    var before = sessions + Int(inside.pointee)
    if before == session {
      inside.pointee = session.pointee.nextInside
    } else {
      while sessions + Int(before.pointee.nextInside) != session { before = sessions + Int(before.pointee.nextInside) }
      before.pointee.nextInside = session.pointee.nextInside
    }
    before = sessions + Int(outside.pointee)
    if before == session {
      outside.pointee = session.pointee.nextOutside
    } else {
      while sessions + Int(before.pointee.nextOutside) != session {
        before = sessions + Int(before.pointee.nextOutside)
      }
      before.pointee.nextOutside = session.pointee.nextOutside
    }
    guard session.pointee.mapping != 0 else { return }
    let peers = peerChains.head(hash(session.pointee.remote, UInt64(session.pointee.mapping)))
    before = sessions + Int(peers.pointee)
    if before == session {
      peers.pointee = session.pointee.nextPeer
    } else {
      while sessions + Int(before.pointee.nextPeer) != session { before = sessions + Int(before.pointee.nextPeer) }
      before.pointee.nextPeer = session.pointee.nextPeer
    }
  }

  /// There is a session of the mapping with that far address.
  public func hasSession(ofMapping mapping: UInt32, remote: UInt128) -> Bool {
    var index = peerChains.head(hash(remote, UInt64(mapping))).pointee
    while index != 0 {
      let session = sessions + Int(index)
      if session.pointee.mapping == mapping && session.pointee.remote == remote { return true }
      index = session.pointee.nextPeer
    }
    return false
  }

  private mutating func take() -> UInt32 {
    if free != 0 {
      let index = free
      free = sessions[Int(index)].nextInside
      return index
    }
    unused += 1
    return unused - 1
  }

  /// A packet of the session has passed.
  /// - Parameter timer: by which it now ends.
  @inlinable
  @inline(__always)
  public mutating func touch(_ index: UInt32, timer: SessionTimer, now: UInt32) {
    let session = sessions + Int(index)
    if session.pointee.lastSeen == now && session.pointee.timer == timer { return }
    refresh(index, timer: timer, now: now)
  }

  @usableFromInline
  mutating func refresh(_ index: UInt32, timer: SessionTimer, now: UInt32) {
    removeFromTimer(index)
    removeFromOwner(index)
    sessions[Int(index)].timer = timer
    sessions[Int(index)].lastSeen = now
    appendToTimer(index)
    appendToOwner(index)
  }

  /// Ends sessions that were idle for their time, at most `budget`.
  /// - Parameter seconds: by `SessionTimer`.
  /// - Returns: how many ended.
  public mutating func expire(now: UInt32, after seconds: UnsafePointer<UInt32>, budget: Int) -> Int {
    var ended = 0
    for timer in 0..<SessionTimer.count {
      while ended < budget, timers[timer].oldest != 0 {
        let index = timers[timer].oldest
        guard now &- sessions[Int(index)].lastSeen >= seconds[timer] else { break }
        remove(index)
        ended += 1
      }
    }
    return ended
  }

  /// Ends the longest idle session of a timer for which `body` says so; at most `budget` are looked at.
  /// - Returns: false where there was none.
  public mutating func removeOldest(
    of timer: SessionTimer, budget: Int, where body: (borrowing Session) -> Bool
  ) -> Bool {
    var index = timers[Int(timer.rawValue)].oldest
    for _ in 0..<budget where index != 0 {
      if body(sessions[Int(index)]) {
        remove(index)
        return true
      }
      index = sessions[Int(index)].timerNewer
    }
    return false
  }

  /// Ends the longest idle of the sessions not set up (`SessionTimer.isExpendable`) of the owner who has the most sessions, for which
  /// `body` says so; at most `budget` are looked at. None where that owner is `owner`.
  /// - Returns: false where there was none.
  public mutating func removeOldestOfGreediest(
    other than: UInt16, budget: Int, where body: (borrowing Session) -> Bool
  ) -> Bool {
    guard let greediest = ranking.greediest, greediest != than else { return false }
    var index = owned[2 * Int(greediest)].oldest
    for _ in 0..<budget where index != 0 {
      if body(sessions[Int(index)]) {
        remove(index)
        evictions += 1
        return true
      }
      index = sessions[Int(index)].ownerNewer
    }
    return false
  }

  /// Ends all sessions of an owner. Costs those only.
  public mutating func removeAll(owner: UInt16) {
    for list in [2 * Int(owner), 2 * Int(owner) + 1] {
      while owned[list].oldest != 0 { remove(owned[list].oldest) }
    }
  }

  /// Ends those of an owner's sessions for which `body` says so. Costs the owner's sessions.
  public mutating func removeAll(owner: UInt16, where body: (borrowing Session) -> Bool) {
    for list in [2 * Int(owner), 2 * Int(owner) + 1] {
      var index = owned[list].oldest
      while index != 0 {
        let next = sessions[Int(index)].ownerNewer
        if body(sessions[Int(index)]) { remove(index) }
        index = next
      }
    }
  }

  /// Ends the sessions for which `body` says so. Costs the whole table: for an operator's command.
  public mutating func removeAll(where body: (borrowing Session) -> Bool) {
    for index in 1..<unused where sessions[Int(index)].protocol != 0 && body(sessions[Int(index)]) { remove(index) }
  }

  /// Shows sessions from `start` on, `budget` of them at most looked at; where to go on, or nil at the end.
  public func visit(from start: UInt32, budget: UInt32, _ body: (borrowing Session) -> Void) -> UInt32? {
    let end = min(unused, max(start, 1) &+ budget)
    for index in max(start, 1)..<max(end, max(start, 1)) where sessions[Int(index)].protocol != 0 {
      body(sessions[Int(index)])
    }
    return end < unused ? end : nil
  }

  // MARK: Room

  public func count(owner: UInt16) -> Int { Int(ranking.amount(owner)) }

  private mutating func makeRoom(for owner: UInt16) -> Bool {
    if count(owner: owner) >= ownerLimit { return evict(from: owner) }
    if count < capacity { return true }
    guard let greediest = ranking.greediest else { return false }
    return evict(from: greediest)
  }

  private mutating func evict(from owner: UInt16) -> Bool {
    let lists = owned + 2 * Int(owner)
    let victim = lists[0].oldest != 0 ? lists[0].oldest : lists[1].oldest
    guard victim != 0 else { return false }
    remove(victim)
    evictions += 1
    return true
  }
}
