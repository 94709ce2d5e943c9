import ControlModel
import GRDB

/// A network's policy. Settled when it is written: a policy that cannot be raised leaves a learning switch.
struct PolicyRecord: StoredRecord, Equatable {
  static let databaseTableName = "policies"
  var networkId: String
  var kind: PolicyKind
  var name: String
  /// Of a text: its rules.
  var text: String?
  /// Of a library: where it came from, and the copy that is run, a file's name below `policies` in the state directory.
  var path: String?
  var copy: String?
  var parameters: [String: String]
  /// Why it is not to be raised; nil: it is.
  var unloaded: String?
  var created: String
}

extension PolicyKind: DatabaseValueConvertible {}

extension Store {
  static let policySchema = """
    CREATE TABLE policies (
      network_id TEXT PRIMARY KEY NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
      kind TEXT NOT NULL,
      name TEXT NOT NULL,
      text TEXT,
      path TEXT,
      copy TEXT,
      parameters TEXT NOT NULL,
      unloaded TEXT,
      created TEXT NOT NULL
    )
    """

  func policies() throws(ControlError) -> [PolicyRecord] {
    try read { try PolicyRecord.order(sql: "rowid").fetchAll($0) }
  }

  func policy(ofNetwork id: String) throws(ControlError) -> PolicyRecord? {
    try read { try PolicyRecord.fetchOne($0, key: id) }
  }

  /// Takes the place of the one that is there; nil: none is to be there.
  func setPolicy(_ record: PolicyRecord?, ofNetwork id: String) throws(ControlError) {
    try write { database in
      guard var record else { return _ = try PolicyRecord.deleteOne(database, key: id) }
      try record.save(database)
    }
  }
}
