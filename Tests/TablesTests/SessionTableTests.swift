import Support
import Testing

@testable import Tables

@Suite("The session table")
struct SessionTableTests {
  private static func session(_ number: Int, owner: UInt16 = 0) -> Session {
    var session = Session()
    session.protocol = 17
    session.inside = UInt128(10 + Int(owner))
    session.insidePort = UInt16(truncatingIfNeeded: number)
    session.external = 1
    session.externalPort = UInt16(truncatingIfNeeded: number)
    session.remote = UInt128(1000 + number / 65_536)
    session.remotePort = 53
    session.owner = owner
    return session
  }

  @Test("a session is 128 bytes, and a million of them with all that finds them stay under 256 MB")
  func size() {
    #expect(MemoryLayout<Session>.stride == 128)
    let chains = 3 * 4 * 2_097_152
    let mappings = MappingTable.capacity * (MemoryLayout<Mapping>.stride + 8)
    let uses = 4 * PortClaims.slots * 3 * 65_536
    #expect(SessionTable.capacityDefault * 128 + chains + mappings + uses < 256_000_000)
  }

  @Test("seeded operations agree with a dictionary", arguments: [1, 2, 3] as [UInt64])
  func model(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var table = SessionTable(capacity: 200, ownerCapacity: 4, seed: seed)
    var model: [SessionKey: UInt32] = [:]
    let timeouts = UnsafeMutablePointer<UInt32>.allocate(capacity: SessionTimer.count)
    timeouts.initialize(repeating: 10, count: SessionTimer.count)
    defer { timeouts.deallocate() }
    var now: UInt32 = 1
    for _ in 0..<20_000 {
      let new = Self.session(Int.random(in: 0..<150, using: &random), owner: UInt16.random(in: 0..<4, using: &random))
      let known = table.find(inside: new.insideKey)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5 where known == 0 && table.find(outside: new.outsideKey) == 0 && model.count < 200:
        model[new.insideKey] = table.insert(new, mapping: 0, timer: .udp, now: now)
      case 5..<7 where known != 0:
        table.remove(known)
        model[new.insideKey] = nil
      case 7 where known != 0: table.touch(known, timer: Bool.random(using: &random) ? .udp : .udpStream, now: now)
      case 8:
        now += 1
        _ = table.expire(now: now, after: timeouts, budget: 1000)
        model = model.filter { table[$0.value].pointee.protocol != 0 && table[$0.value].pointee.insideKey == $0.key }
      default: break
      }
      #expect(table.count == model.count)
    }
    for (key, index) in model {
      #expect(table.find(inside: key) == index && table.find(outside: table[index].pointee.outsideKey) == index)
      #expect(now - table[index].pointee.lastSeen < 10)
    }
    for owner in 0..<4 as Range<UInt16> { table.removeAll(owner: owner) }
    #expect(table.count == 0)
  }

  @Test("the oldest go first, by their own timer's time")
  func expiry() {
    var table = SessionTable(capacity: 10, ownerCapacity: 1, seed: 1)
    let timeouts = UnsafeMutablePointer<UInt32>.allocate(capacity: SessionTimer.count)
    for timer in SessionTimer.allCases { timeouts[Int(timer.rawValue)] = timer == .tcpEstablished ? 100 : 10 }
    defer { timeouts.deallocate() }
    let first = table.insert(Self.session(1), mapping: 0, timer: .udp, now: 0)
    _ = table.insert(Self.session(2), mapping: 0, timer: .tcpEstablished, now: 0)
    _ = table.insert(Self.session(3), mapping: 0, timer: .udp, now: 0)
    table.touch(first, timer: .udp, now: 5)
    #expect(table.expire(now: 10, after: timeouts, budget: 10) == 1)
    #expect(table.expire(now: 14, after: timeouts, budget: 10) == 0)
    #expect(table.expire(now: 15, after: timeouts, budget: 10) == 1)
    #expect(table.expire(now: 100, after: timeouts, budget: 10) == 1 && table.count == 0)
  }

  @Test("a full table takes from the greediest, of what was not set up before what was")
  func eviction() {
    var table = SessionTable(capacity: 10, ownerCapacity: 2, seed: 1)
    let kept = table.insert(Self.session(0, owner: 1), mapping: 0, timer: .tcpEstablished, now: 0)
    let other = table.insert(Self.session(1, owner: 0), mapping: 0, timer: .udp, now: 0)
    for number in 2..<10 { _ = table.insert(Self.session(number, owner: 1), mapping: 0, timer: .udp, now: 1) }
    for number in 10..<100 {
      #expect(table.insert(Self.session(number, owner: 1), mapping: 0, timer: .udp, now: 2) != 0)
    }
    #expect(table.count == 10 && table.evictions == 90)
    #expect(table[kept].pointee.timer == .tcpEstablished && table[other].pointee.owner == 0)
    #expect(table.count(owner: 0) == 1)
  }

  @Test("sessions are counted by protocol, whichever way they end")
  func counts() {
    var table = SessionTable(capacity: 5, ownerCapacity: 1, seed: 1)
    // IANA, "Assigned Internet Protocol Numbers": TCP, UDP, ICMP, ICMPv6, SCTP.
    for (number, protocolNumber) in ([6, 17, 1, 58, 132] as [UInt8]).enumerated() {
      var session = Self.session(number)
      session.protocol = protocolNumber
      #expect(table.insert(session, mapping: 0, timer: .udp, now: UInt32(number)) != 0)
    }
    let counts = table.counts
    #expect(counts.tcp == 1 && counts.udp == 1 && counts.icmp == 2 && counts.other == 1 && counts.total == table.count)
    // The oldest, of TCP, makes room.
    var session = Self.session(9)
    session.protocol = 17
    #expect(table.insert(session, mapping: 0, timer: .udp, now: 9) != 0)
    #expect(table.counts.tcp == 0 && table.counts.udp == 2 && table.counts.total == 5)
    table.removeAll(owner: 0)
    #expect(table.counts == SessionCounts())
  }

  @Test("an owner at its limit loses its own")
  func ownerLimit() {
    var table = SessionTable(capacity: 10, ownerCapacity: 2, seed: 1)
    table.ownerLimit = 3
    for number in 0..<9 { #expect(table.insert(Self.session(number, owner: 0), mapping: 0, timer: .udp, now: 0) != 0) }
    #expect(table.count == 3 && table.find(inside: Self.session(8).insideKey) != 0)
  }

  @Test("a mapping goes with the last of its sessions, and not with the one that makes room for the next")
  func mappings() {
    var table = SessionTable(capacity: 1, ownerCapacity: 1, seed: 1)
    table.mappings.setPool(slot: 0, [5000...5003])
    let mapping = table.mappings.add(
      inside: 10, port: 1, protocol: 17, plane: .udp, external: 1, slot: 0, owner: 0, isPrivate: false)
    let first = table.insert(Self.session(1), mapping: mapping, timer: .udp, now: 0)
    #expect(table.hasSession(ofMapping: mapping, remote: 1000) && !table.hasSession(ofMapping: mapping, remote: 1))
    var next = Self.session(1)
    next.remotePort = 54
    let second = table.insert(next, mapping: mapping, timer: .udp, now: 0)
    #expect(first != 0 && second != 0 && table.count == 1 && table.mappings.count == 1)
    table.remove(second)
    #expect(table.mappings.count == 0 && table.mappings.find(inside: 10, port: 1, protocol: 17) == 0)
  }
}

@Suite("The mapping table")
struct MappingTableTests {
  private func add(_ table: inout MappingTable, _ port: UInt16, inside: UInt128 = 10) -> UInt16? {
    let index = table.add(
      inside: inside, port: port, protocol: 17, plane: .udp, external: 1, slot: 0, owner: 0, isPrivate: false)
    return index == 0 ? nil : table[index].pointee.externalPort
  }

  @Test("a port of the pool is kept; others get one of their parity and class while there is one, then any")
  func choice() {
    var table = MappingTable(seed: 5)
    table.setPool(slot: 0, [500...503, 61_000...61_003])
    #expect(add(&table, 61_001) == 61_001)
    #expect(add(&table, 61_001, inside: 11) == 61_003)
    #expect([500, 502].contains(add(&table, 22)))
    #expect(add(&table, 61_001, inside: 12).map { [61_000, 61_002].contains($0) } == true)
    #expect(add(&table, 61_001, inside: 13).map { [61_000, 61_002].contains($0) } == true)
    // The class is used up.
    #expect(add(&table, 61_001, inside: 14).map { [501, 503].contains($0) } == true)
    #expect(add(&table, 2, inside: 15) != nil && add(&table, 3, inside: 16) != nil)
    #expect(add(&table, 4, inside: 17) == nil && table.count == 8)
  }

  @Test("a published port is nobody else's")
  func published() {
    var table = MappingTable(seed: 5)
    table.claims = PortClaims()
    table.setPool(slot: 0, [61_000...61_001])
    table.publish(61_000...61_000, slot: 0, plane: .udp, number: 3)
    #expect(table.use(slot: 0, plane: .udp, port: 61_000) == .publication(3))
    #expect(add(&table, 61_000) == 61_001 && add(&table, 61_000, inside: 11) == nil)
    table.unpublish(61_000...61_001, slot: 0, plane: .udp)
    #expect(add(&table, 61_000, inside: 11) == 61_000)
    #expect(table.use(slot: 0, plane: .tcp, port: 61_000) == .free)
  }
}
