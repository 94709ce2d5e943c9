import ControlModel
import GRDB
import Wire

extension Store {
  /// The key of `settings` under which the store's own unique local prefix is kept.
  private static let ulaKey = "ula_prefix"
  private static let identityKey = "identity"

  func networks() throws(ControlError) -> [NetworkRecord] {
    try read { try NetworkRecord.order(sql: "rowid").fetchAll($0) }
  }

  func network(id: String) throws(ControlError) -> NetworkRecord? {
    try read { try NetworkRecord.fetchOne($0, key: id) }
  }

  /// By name, id, or unique prefix of an id.
  func network(_ name: String) throws(ControlError) -> NetworkRecord {
    if let found: NetworkRecord = try find(name, in: NetworkRecord.self, kind: "network") { return found }
    throw ControlError(.notFound, "no network \(name.quoted): martlet network ls shows those there are")
  }

  func subnets(ofNetwork id: String) throws(ControlError) -> [SubnetRecord] {
    try read { try SubnetRecord.filter(sql: "network_id = ?", arguments: [id]).order(sql: "is_ipv6").fetchAll($0) }
  }

  /// Every subnet with its network's name.
  func subnetsWithNames() throws(ControlError) -> [(prefix: IPPrefix, network: String)] {
    try read { database in
      let sql = "SELECT prefix, name FROM subnets JOIN networks ON networks.id = network_id"
      return try Row.fetchAll(database, sql: sql).map { (prefix: $0["prefix"], network: $0["name"]) }
    }
  }

  func insert(
    _ network: NetworkRecord, subnets: [SubnetRecord], overlay: OverlayRecord?
  ) throws(ControlError) {
    try write { database in
      var network = network
      try network.insert(database)
      for var subnet in subnets { try subnet.insert(database) }
      if var overlay { try overlay.insert(database) }
    }
  }

  func update(_ network: NetworkRecord) throws(ControlError) { try write { try network.update($0) } }

  func setNetwork(_ id: String, state: RecordState) throws(ControlError) {
    try write { try $0.execute(sql: "UPDATE networks SET state = ? WHERE id = ?", arguments: [state.rawValue, id]) }
  }

  func deleteNetwork(_ id: String) throws(ControlError) { _ = try write { try NetworkRecord.deleteOne($0, key: id) } }

  /// The /48 from which this daemon's networks take local IPv6 subnets, drawn once (RFC 4193, 3.2).
  func ulaPrefix() throws(ControlError) -> IPPrefix {
    try write { database in
      let kept = try IPPrefix.fetchOne(
        database, sql: "SELECT value FROM settings WHERE key = ?", arguments: [Self.ulaKey])
      if let kept { return kept }
      var generator = SystemRandomNumberGenerator()
      let prefix = SubnetAllocator.randomULA(using: &generator)
      try database.execute(sql: "INSERT INTO settings VALUES (?, ?)", arguments: [Self.ulaKey, prefix])
      return prefix
    }
  }

  /// Of this installation, drawn once.
  func identity() throws(ControlError) -> String {
    try write { database in
      let kept = try String.fetchOne(
        database, sql: "SELECT value FROM settings WHERE key = ?", arguments: [Self.identityKey])
      if let kept { return kept }
      let identity = Identifier.random()
      try database.execute(sql: "INSERT INTO settings VALUES (?, ?)", arguments: [Self.identityKey, identity])
      return identity
    }
  }

  /// By exact name (where the table has names), else by id or unique prefix of one.
  func find<Record: StoredRecord>(_ name: String, in type: Record.Type, kind: String) throws(ControlError) -> Record? {
    try read { database in
      if type != EndpointRecord.self,
        let record = try Record.filter(sql: "name = ?", arguments: [name]).fetchOne(database)
      {
        return record
      }
      if Identifier.isSwarms(name), let record = try Record.fetchOne(database, key: name) { return record }
      guard name.utf8.count >= Limits.idPrefixMinimum, Identifier.isPrefix(name) else { return nil }
      let matches = try Record.filter(sql: "id >= ? AND id < ?", arguments: [name, name + "g"]).limit(2).fetchAll(
        database)
      if matches.count > 1 {
        throw ControlError(.invalid, "id \(name.quoted) names more than one \(kind): give more digits")
      }
      return matches.first
    }
  }

  // MARK: Static entries

  func staticEntries(ofNetwork id: String) throws(ControlError) -> [StaticEntryRecord] {
    try read { try StaticEntryRecord.filter(sql: "network_id = ?", arguments: [id]).fetchAll($0) }
  }

  func hasStaticEntry(network: String, mac: MACAddress) throws(ControlError) -> Bool {
    try read { database in
      try StaticEntryRecord.filter(sql: "network_id = ? AND mac = ?", arguments: [network, mac]).fetchCount(database)
        > 0
    }
  }

  /// Takes the place of the one with the same MAC.
  func replace(_ entry: StaticEntryRecord) throws(ControlError) {
    try write { database in
      var entry = entry
      try entry.insert(database, onConflict: .replace)
    }
  }

  func deleteStaticEntry(network: String, mac: MACAddress) throws(ControlError) {
    try write { database in
      try database.execute(
        sql: "DELETE FROM static_entries WHERE network_id = ? AND mac = ?", arguments: [network, mac])
    }
  }
}
