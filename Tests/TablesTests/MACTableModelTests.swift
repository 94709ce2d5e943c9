import Support
import Tables
import Testing
import Wire

/// Seeded random operations on the table and on its model, which must agree after each.
@Suite struct MACTableModelTests {
  static let portCount = 6
  static let operationCount = 3000

  /// Small limits make for full tables; an odd one is not half the number of slots.
  @Test(arguments: [(1, 7), (2, 1), (3, 16), (4, 21), (5, 64), (6, 64), (7, 100)] as [(UInt64, Int)])
  func agreesWithModel(seed: UInt64, limit: Int) {
    var random = SeededGenerator(seed: seed)
    var table = MACTable(limit: limit, portCapacity: Self.portCount, seed: random.next())
    var model = MACTableModel(limit: limit)
    var now: UInt32 = 1000
    for operation in 0..<Self.operationCount {
      if random.below(4) == 0 { now += UInt32(random.below(3)) }
      let step = step(&table, &model, &random, now, limit)
      if let step {
        Issue.record("operation \(operation), seed \(seed): \(step)")
        return
      }
    }
  }

  /// One operation on both; says what differs.
  private func step(
    _ table: inout MACTable, _ model: inout MACTableModel, _ random: inout SeededGenerator, _ now: UInt32,
    _ firstLimit: Int
  ) -> String? {
    // A few more addresses than fit; 0 is the zero address.
    let mac = MACAddress(bits: UInt64(random.below(2 * model.limit + 10)))
    // Low ports get more of the traffic, so that their counts differ.
    let port = UInt16(min(random.below(Self.portCount), random.below(Self.portCount)))
    let name: String
    var results: (String, String)
    switch random.below(100) {
    case 0..<70:
      name = "learn \(mac) on \(port)"
      let result = table.learn(mac, port: port, now: now)
      let left = Set(table.allEntries().map(\.mac))
      results = ("\(result)", "\(model.learn(mac, port: port, now: now) { !left.contains($0) })")
    case 70..<75:
      name = "insert static \(mac) on \(port)"
      let result = table.insertStatic(mac, port: port)
      let left = Set(table.allEntries().map(\.mac))
      results = ("\(result)", "\(model.insertStatic(mac, port: port) { !left.contains($0) })")
    case 75..<85:
      name = "remove \(mac)"
      results = ("\(table.remove(mac))", "\(model.entries.removeValue(forKey: mac) != nil)")
    case 85:
      name = "remove all of \(port)"
      table.removeAll(port: port)
      model.removeAll(port: port)
      results = ("", "")
    case 86:
      let flushed = random.below(3) == 0 ? nil : port
      name = "flush \(flushed.map { "\($0)" } ?? "all")"
      table.flush(port: flushed)
      model.flush(port: flushed)
      results = ("", "")
    case 87..<90:
      let portLimit = random.below(model.limit + 1)
      name = "limit \(port) to \(portLimit)"
      table.setPortLimit(port, portLimit)
      model.setPortLimit(port, portLimit)
      results = ("", "")
    case 90..<98:
      let ageing = UInt32(random.below(40))
      name = "expire after \(ageing)"
      var removed = 0
      while true {
        let some = table.expire(now: now, ageing: ageing, budget: 3)
        removed += some
        if some < 3 { break }
      }
      results = ("\(removed)", "\(model.expire(now: now, ageing: ageing))")
    default:
      let limit = 1 + random.below(2 * firstLimit)
      name = "resize to \(limit)"
      let result = table.resize(limit: limit)
      let left = Set(table.allEntries().map(\.mac))
      results = ("\(result)", "\(model.resize(limit: limit) { !left.contains($0) })")
    }
    if results.0 != results.1 { return "\(name) gives \(results.0), should be \(results.1)" }
    return difference(table, model).map { "\(name): \($0)" }
  }

  private func difference(_ table: borrowing MACTable, _ model: MACTableModel) -> String? {
    if let contradiction = table.contradiction() { return contradiction }
    if table.limit != model.limit { return "limit \(table.limit), should be \(model.limit)" }
    let entries = table.allEntries()
    if entries.count != model.entries.count { return "\(entries.count) entries, should be \(model.entries.count)" }
    for entry in entries {
      guard let expected = model.entries[entry.mac] else { return "\(entry.mac) should not be there" }
      if entry.port != expected.port || entry.isStatic != expected.isStatic || entry.lastSeen != expected.lastSeen {
        return "\(entry), should be \(expected)"
      }
      if table.lookup(entry.mac) != expected.port { return "lookup of \(entry.mac) fails" }
    }
    for port in 0..<UInt16(Self.portCount)
    where table.count(port: port) != model.entries.values.count(where: { $0.port == port }) {
      return "count of port \(port)"
    }
    return nil
  }
}
