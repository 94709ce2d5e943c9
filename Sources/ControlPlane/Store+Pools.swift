import ControlModel
import GRDB
import Wire

/// Addresses that an engine was promised for a network to come.
struct PoolRecord: StoredRecord, Equatable {
  static let databaseTableName = "pools"
  var id: String
  var isIpv6: Bool
  var prefix: IPPrefix
  /// Addresses are handed out of this part.
  var range: IPPrefix?
  /// The address that was handed out last.
  var cursor: IPAddress?
  var created: String

  fileprivate var pool: AddressPool { AddressPool(subnet: prefix, range: range) }
}

extension Store {
  func pools() throws(ControlError) -> [PoolRecord] { try read { try PoolRecord.order(sql: "rowid").fetchAll($0) } }

  func insert(_ pool: PoolRecord) throws(ControlError) {
    try write { database in
      var pool = pool
      try pool.insert(database)
    }
  }

  /// With its addresses. That it is gone already is no error.
  func deletePool(_ id: String) throws(ControlError) { _ = try write { try PoolRecord.deleteOne($0, key: id) } }

  /// The address asked for, or the next free one, with the pool's prefix length.
  func takeAddress(ofPool id: String, asked: IPAddress?, isGateway: Bool) throws(ControlError) -> IPPrefix {
    try write { database in
      guard var record = try PoolRecord.fetchOne(database, key: id) else { throw Self.noPool(id) }
      let (pool, taken) = (record.pool, try Self.takenAddresses(ofPool: id, database))
      let first = AddressPool.firstUsable(in: record.prefix)
      let address: IPAddress
      if let asked {
        try pool.check(asked, taken: taken)
        address = asked
      } else if isGateway, record.range == nil, !taken.contains(first) {
        address = first
      } else {
        guard let next = pool.next(after: record.cursor, taken: taken) else {
          throw ControlError(.exhausted, "no address is left in \(pool.range): use a larger pool")
        }
        address = next
        record.cursor = next
        try record.update(database)
      }
      try database.execute(sql: "INSERT INTO pool_addresses VALUES (?, ?)", arguments: [id, address])
      return IPPrefix(address: address, length: record.prefix.length)!
    }
  }

  /// That it was not taken, or is of no pool any more, is no error.
  func releaseAddress(_ address: IPAddress, ofPool id: String) throws(ControlError) {
    try write { database in
      guard var record = try PoolRecord.fetchOne(database, key: id) else { return }
      try database.execute(
        sql: "DELETE FROM pool_addresses WHERE pool_id = ? AND address = ?", arguments: [id, address])
      let taken = try Self.takenAddresses(ofPool: id, database)
      record.cursor = record.pool.cursor(record.cursor, afterRelease: address, taken: taken)
      try record.update(database)
    }
  }

  /// What was promised, and what endpoints of the engine's network have.
  private static func takenAddresses(ofPool id: String, _ database: Database) throws -> Set<IPAddress> {
    let promised = "SELECT address FROM pool_addresses WHERE pool_id = ?"
    return try IPAddress.fetchSet(database, sql: promised, arguments: [id])
      .union(usedAddresses(ofPool: id, database))
  }

  /// Of the engine's network that has the pool's subnet.
  private static let endpointsOfPool = """
    FROM pools JOIN subnets USING (prefix) JOIN networks ON networks.id = subnets.network_id
    JOIN endpoint_addresses ON subnet_id = subnets.id JOIN endpoints ON endpoints.id = endpoint_id
    WHERE pools.id = ? AND networks.is_engines
    """

  private static func usedAddresses(ofPool id: String, _ database: Database) throws -> Set<IPAddress> {
    let services = ["service_addresses", "mesh_addresses"].map {
      "SELECT address FROM pools JOIN subnets USING (prefix) JOIN \($0) ON subnet_id = subnets.id WHERE pools.id = ?"
    }
    let sql = (["SELECT address " + endpointsOfPool] + services).joined(separator: " UNION ")
    return try IPAddress.fetchSet(database, sql: sql, arguments: [id, id, id])
  }

  /// Addresses of a subnet that an engine was promised.
  static func promisedAddresses(_ subnet: SubnetRecord, _ database: Database) throws -> Set<IPAddress> {
    let sql = "SELECT address FROM pool_addresses JOIN pools ON pools.id = pool_id WHERE prefix = ?"
    return try IPAddress.fetchSet(database, sql: sql, arguments: [subnet.prefix])
  }

  func engineEndpoints(ofPool id: String, with address: IPAddress) throws(ControlError) -> [EndpointRecord] {
    try read { database in
      try EndpointRecord.fetchAll(
        database, sql: "SELECT endpoints.* \(Self.endpointsOfPool) AND address = ? AND endpoints.is_engines",
        arguments: [id, address])
    }
  }

  /// Gives back what was promised to endpoints that never came, or that went untold, and returns how much that was. Only where
  /// an engine's network has the pool's subnet, and its gateway and auxiliary addresses are known: other pools' are not ours to judge.
  func releaseUnusedAddresses() throws(ControlError) -> Int {
    try write { database in
      var count = 0
      for pool in try PoolRecord.fetchAll(database) {
        let networks = "prefix = ? AND network_id IN (SELECT id FROM networks WHERE is_engines)"
        guard let subnet = try SubnetRecord.filter(sql: networks, arguments: [pool.prefix]).fetchOne(database)
        else { continue }
        let kept = try Self.usedAddresses(ofPool: pool.id, database).union(subnet.pool.reserved.keys)
        for address in try Self.takenAddresses(ofPool: pool.id, database).subtracting(kept) {
          try database.execute(
            sql: "DELETE FROM pool_addresses WHERE pool_id = ? AND address = ?", arguments: [pool.id, address])
          count += 1
        }
      }
      return count
    }
  }

  private static func noPool(_ id: String) -> ControlError {
    ControlError(.notFound, "no address pool \(Identifier.short(id).quoted): it was released already")
  }
}
