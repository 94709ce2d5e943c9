import ControlModel
import GRDB
import Wire

extension Store {
  func endpoints() throws(ControlError) -> [EndpointRecord] {
    try read { try EndpointRecord.order(sql: "rowid").fetchAll($0) }
  }

  func endpoint(id: String) throws(ControlError) -> EndpointRecord? {
    try read { try EndpointRecord.fetchOne($0, key: id) }
  }

  /// By id, or unique prefix of one.
  func endpoint(_ name: String) throws(ControlError) -> EndpointRecord {
    if let found: EndpointRecord = try find(name, in: EndpointRecord.self, kind: "endpoint") { return found }
    throw ControlError(.notFound, "no endpoint \(name.quoted): martlet endpoint ls shows those there are")
  }

  func endpoints(ofNetwork id: String) throws(ControlError) -> [EndpointRecord] {
    try read { try EndpointRecord.filter(sql: "network_id = ?", arguments: [id]).order(sql: "rowid").fetchAll($0) }
  }

  func countEndpoints(ofNetwork id: String) throws(ControlError) -> Int {
    try read { try EndpointRecord.filter(sql: "network_id = ?", arguments: [id]).fetchCount($0) }
  }

  func macs(ofNetwork id: String) throws(ControlError) -> Set<MACAddress> {
    try read { database in
      let sql = "SELECT mac FROM endpoints WHERE network_id = ? AND mac IS NOT NULL"
      return try MACAddress.fetchSet(database, sql: sql, arguments: [id])
    }
  }

  func endpoints(ofSandbox id: String) throws(ControlError) -> [EndpointRecord] {
    try read { try EndpointRecord.filter(sql: "sandbox_id = ?", arguments: [id]).order(sql: "rowid").fetchAll($0) }
  }

  /// Those of all sandboxes that share a namespace, the oldest first.
  func endpoints(inode: Int64) throws(ControlError) -> [EndpointRecord] {
    try read { database in
      let filter = "sandbox_id IN (SELECT id FROM sandboxes WHERE inode = ?)"
      return try EndpointRecord.filter(sql: filter, arguments: [inode]).order(sql: "rowid").fetchAll(database)
    }
  }

  func endpoint(network: String, sandbox: String) throws(ControlError) -> EndpointRecord? {
    try read {
      try EndpointRecord.filter(sql: "network_id = ? AND sandbox_id = ?", arguments: [network, sandbox]).fetchOne($0)
    }
  }

  func update(_ endpoint: EndpointRecord) throws(ControlError) { try write { try endpoint.update($0) } }

  /// With prefix lengths, IPv4 first.
  func addresses(ofEndpoint id: String) throws(ControlError) -> [IPPrefix] {
    try read { database in
      let sql = """
        SELECT address, prefix FROM endpoint_addresses JOIN subnets ON subnets.id = subnet_id
        WHERE endpoint_id = ? ORDER BY is_ipv6
        """
      return try Row.fetchAll(database, sql: sql, arguments: [id]).map { row in
        let subnet: IPPrefix = row["prefix"]
        return IPPrefix(address: row["address"], length: subnet.length)!
      }
    }
  }

  /// Writes an endpoint as an intent: its addresses, and where the search for the next begins, in the same transaction.
  /// `wish` gives the address asked for in a subnet, or nil where any will do; none of `others` is handed out.
  func insert(
    _ endpoint: EndpointRecord, others: Set<IPAddress> = [], wish: (SubnetRecord) throws(ControlError) -> IPAddress?
  ) throws(ControlError) {
    try write { database in try Self.insert(endpoint, others: others, wish: wish, database) }
  }

  /// An engine's, with the sandbox in which it is until it joins one.
  func insert(
    _ endpoint: EndpointRecord, in sandbox: SandboxRecord,
    wish: (SubnetRecord) throws(ControlError) -> IPAddress?
  ) throws(ControlError) {
    try write { database in
      var sandbox = sandbox
      try sandbox.insert(database)
      try Self.insert(endpoint, others: [], wish: wish, database)
    }
  }

  /// An endpoint that goes to another sandbox; `sandbox` was there for it alone.
  func update(_ endpoint: EndpointRecord, leaving sandbox: SandboxRecord) throws(ControlError) {
    try write { database in
      try endpoint.update(database)
      _ = try sandbox.delete(database)
    }
  }

  /// The way back from that.
  func update(_ endpoint: EndpointRecord, entering sandbox: SandboxRecord) throws(ControlError) {
    try write { database in
      var sandbox = sandbox
      try sandbox.insert(database)
      try endpoint.update(database)
    }
  }

  func endpoint(network: String, address: IPAddress) throws(ControlError) -> EndpointRecord? {
    try read { database in
      let filter = """
        network_id = ? AND id IN (SELECT endpoint_id FROM endpoint_addresses WHERE address = ?)
        """
      return try EndpointRecord.filter(sql: filter, arguments: [network, address]).fetchOne(database)
    }
  }

  private static func insert(
    _ endpoint: EndpointRecord, others: Set<IPAddress>, wish: (SubnetRecord) throws(ControlError) -> IPAddress?,
    _ database: Database
  ) throws {
    var endpoint = endpoint
    try endpoint.insert(database)
    guard endpoint.isAddressed else { return }
    let subnets = try SubnetRecord.filter(sql: "network_id = ?", arguments: [endpoint.networkId]).fetchAll(database)
    for var subnet in subnets {
      let taken = try Self.takenAddresses(subnet, database).union(others)
      let address: IPAddress
      if let asked = try wish(subnet) {
        try subnet.pool.check(asked, taken: taken)
        address = asked
      } else if endpoint.isEngines {
        // The engine has given it none in this family.
        continue
      } else {
        guard let next = subnet.pool.next(after: subnet.cursor, taken: taken) else {
          throw ControlError(
            .exhausted, "no address is left in \(subnet.pool.range): disconnect an endpoint, or use a larger subnet")
        }
        address = next
        subnet.cursor = next
        try subnet.update(database)
      }
      var row = EndpointAddressRecord(endpointId: endpoint.id, subnetId: subnet.id!, address: address)
      try row.insert(database)
    }
  }

  /// Deletes an endpoint with all that hangs on it, and sees to it that its addresses are not the next to be handed out.
  func deleteEndpoint(_ id: String) throws(ControlError) {
    try write { database in
      let rows = try EndpointAddressRecord.filter(sql: "endpoint_id = ?", arguments: [id]).fetchAll(database)
      _ = try EndpointRecord.deleteOne(database, key: id)
      try database.execute(sql: "DELETE FROM service_members WHERE endpoint_id = ?", arguments: [id])
      for row in rows {
        guard var subnet = try SubnetRecord.fetchOne(database, key: row.subnetId) else { continue }
        let taken = try Self.takenAddresses(subnet, database)
        subnet.cursor = subnet.pool.cursor(subnet.cursor, afterRelease: row.address, taken: taken)
        try subnet.update(database)
      }
    }
  }

  /// By endpoints, and by services.
  static func takenAddresses(_ subnet: SubnetRecord, _ database: Database) throws -> Set<IPAddress> {
    let sql = """
      SELECT address FROM endpoint_addresses WHERE subnet_id = :subnet
      UNION SELECT address FROM service_addresses WHERE subnet_id = :subnet
      UNION SELECT address FROM mesh_addresses WHERE subnet_id = :subnet
      """
    return try IPAddress.fetchSet(database, sql: sql, arguments: ["subnet": subnet.id])
  }
}
