import ControlModel
import GRDB
import Wire

/// A host of the swarm.
struct SwarmNodeRecord: StoredRecord, Equatable {
  static let databaseTableName = "swarm_nodes"
  var address: IPAddress
  /// This host.
  var isOwn: Bool
}

extension Store {
  // MARK: VNIs

  func allocatedVNI(network id: String) throws(ControlError) -> Int? {
    try read { try Int.fetchOne($0, sql: "SELECT vni FROM allocated_vnis WHERE network_id = ?", arguments: [id]) }
  }

  /// By the network's id.
  func allocatedVNIs() throws(ControlError) -> [String: Int] {
    try read { database in
      let rows = try Row.fetchAll(database, sql: "SELECT network_id, vni FROM allocated_vnis")
      return Dictionary(uniqueKeysWithValues: rows.map { ($0["network_id"], $0["vni"]) })
    }
  }

  /// In place of the one that the network had. Whichever network had this one has none any more.
  func allocateVNI(_ vni: Int, network id: String) throws(ControlError) {
    try write { database in
      let sql = "INSERT OR REPLACE INTO allocated_vnis (network_id, vni) VALUES (?, ?)"
      try database.execute(sql: sql, arguments: [id, vni])
    }
  }

  /// That it had none is no error.
  func freeVNI(network id: String) throws(ControlError) {
    try write { try $0.execute(sql: "DELETE FROM allocated_vnis WHERE network_id = ?", arguments: [id]) }
  }

  // MARK: Nodes

  func swarmNodes() throws(ControlError) -> [SwarmNodeRecord] {
    try read { try SwarmNodeRecord.order(sql: "address").fetchAll($0) }
  }

  /// There is one of one's own at most.
  func set(_ node: SwarmNodeRecord) throws(ControlError) {
    try write { database in
      var node = node
      if node.isOwn { try database.execute(sql: "DELETE FROM swarm_nodes WHERE is_own") }
      try node.insert(database, onConflict: .replace)
    }
  }

  /// That it is not there is no error.
  func deleteSwarmNode(_ address: IPAddress) throws(ControlError) {
    _ = try write { try SwarmNodeRecord.deleteOne($0, key: ["address": address]) }
  }
}
