import ControlModel
import GRDB

/// Frames of one port that another gets copies of. Ports as `PortKey` has them: names of sandboxes may change hands.
struct MirrorRecord: StoredRecord, Equatable {
  static let databaseTableName = "mirrors"
  var id: String
  var networkId: String
  var source: String
  var destination: String
  var direction: FrameDirection
}

extension FrameDirection: DatabaseValueConvertible {}

extension Store {
  static let mirrorSchema = """
    CREATE TABLE mirrors (
      id TEXT PRIMARY KEY NOT NULL,
      network_id TEXT NOT NULL REFERENCES networks ON DELETE CASCADE,
      source TEXT NOT NULL,
      destination TEXT NOT NULL,
      direction TEXT NOT NULL,
      UNIQUE (network_id, source, destination));
    """

  func mirrors() throws(ControlError) -> [MirrorRecord] {
    try read { try MirrorRecord.order(sql: "rowid").fetchAll($0) }
  }

  /// Takes the place of the one with the same id.
  func set(_ mirror: MirrorRecord) throws(ControlError) {
    try write { database in
      var mirror = mirror
      try mirror.save(database)
    }
  }

  func deleteMirror(_ id: String) throws(ControlError) { _ = try write { try MirrorRecord.deleteOne($0, key: id) } }
}
