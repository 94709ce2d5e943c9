import ControlModel
import GRDB

/// What metrics say of an endpoint.
struct MeasuredEndpoint {
  var id: String
  var sandbox: String
  var interface: String
  var isSettled: Bool
}

/// What metrics say of a publication.
struct MeasuredPublication {
  var id: Int64
  var transport: String
  /// Ports.
  var count: Int
}

/// What metrics say of a policy.
struct MeasuredPolicy {
  var name: String
  var kind: PolicyKind
}

// However many endpoints there are, these are one query each: a scrape keeps everyone else waiting for as long.
extension Store {
  /// By the network's id, the oldest first.
  func measuredEndpoints() throws(ControlError) -> [String: [MeasuredEndpoint]] {
    try read { database in
      let sql = """
        SELECT endpoints.network_id, endpoints.id, sandboxes.name, endpoints.interface, endpoints.state
        FROM endpoints JOIN sandboxes ON sandboxes.id = sandbox_id ORDER BY endpoints.rowid
        """
      var byNetwork: [String: [MeasuredEndpoint]] = [:]
      let rows = try Row.fetchCursor(database, sql: sql)
      while let row = try rows.next() {
        let state: String = row[4]
        byNetwork[row[0], default: []].append(
          MeasuredEndpoint(
            id: row[1], sandbox: row[2], interface: row[3], isSettled: state == RecordState.settled.rawValue))
      }
      return byNetwork
    }
  }

  /// By the network's id.
  func measuredPublications() throws(ControlError) -> [String: [MeasuredPublication]] {
    try read { database in
      let sql = """
        SELECT network_id, publications.id, transport, count
        FROM publications JOIN endpoints ON endpoints.id = endpoint_id
        """
      var byNetwork: [String: [MeasuredPublication]] = [:]
      let rows = try Row.fetchCursor(database, sql: sql)
      while let row = try rows.next() {
        byNetwork[row[0], default: []].append(MeasuredPublication(id: row[1], transport: row[2], count: row[3]))
      }
      return byNetwork
    }
  }

  /// By the network's id. Without the texts, which may be long.
  func measuredPolicies() throws(ControlError) -> [String: MeasuredPolicy] {
    try read { database in
      var byNetwork: [String: MeasuredPolicy] = [:]
      let rows = try Row.fetchCursor(database, sql: "SELECT network_id, name, kind FROM policies")
      while let row = try rows.next() { byNetwork[row[0]] = MeasuredPolicy(name: row[1], kind: row[2]) }
      return byNetwork
    }
  }

  /// By the network's id: interfaces' names.
  func measuredInterfacePorts() throws(ControlError) -> [String: [String]] {
    try read { database in
      let records = try InterfacePortRecord.order(sql: "rowid").fetchAll(database)
      return Dictionary(grouping: records, by: \.networkId).mapValues { $0.map(\.interface) }
    }
  }
}
