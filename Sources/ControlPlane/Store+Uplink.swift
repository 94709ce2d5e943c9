import ControlModel
import Foundation
import GRDB

extension Store {
  func uplink() throws(ControlError) -> UplinkRecord? { try read { try UplinkRecord.fetchOne($0) } }

  /// Takes the place of the one that is there.
  func setUplink(_ uplink: UplinkRecord?) throws(ControlError) {
    try write { database in
      try UplinkRecord.deleteAll(database)
      guard var uplink else { return }
      try uplink.insert(database)
    }
  }

  // MARK: Settings

  private func setting<Value: Decodable>(_ key: String) throws(ControlError) -> Value? {
    try read { database in
      let sql = "SELECT value FROM settings WHERE key = ?"
      return try String.fetchOne(database, sql: sql, arguments: [key]).map {
        try JSONDecoder().decode(Value.self, from: Data($0.utf8))
      }
    }
  }

  private func set(_ value: some Encodable, for key: String) throws(ControlError) {
    try write { database in
      let text = String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
      try database.execute(sql: "INSERT OR REPLACE INTO settings VALUES (?, ?)", arguments: [key, text])
    }
  }

  private static let timeoutsKey = "session_timeouts"
  private static let translationKey = "translation"

  /// nil: never changed.
  func sessionTimeouts() throws(ControlError) -> SessionTimeouts? { try setting(Self.timeoutsKey) }
  func set(_ timeouts: SessionTimeouts) throws(ControlError) { try set(timeouts, for: Self.timeoutsKey) }

  /// nil: never changed.
  func translation() throws(ControlError) -> Translation? { try setting(Self.translationKey) }
  func set(_ translation: Translation) throws(ControlError) { try set(translation, for: Self.translationKey) }
}
