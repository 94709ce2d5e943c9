import ControlModel
import GRDB

extension Store {
  func sandboxes() throws(ControlError) -> [SandboxRecord] {
    try read { try SandboxRecord.order(sql: "rowid").fetchAll($0) }
  }

  func sandbox(id: String) throws(ControlError) -> SandboxRecord? {
    try read { try SandboxRecord.fetchOne($0, key: id) }
  }

  func sandbox(exactly name: String) throws(ControlError) -> SandboxRecord? {
    try read { try SandboxRecord.filter(sql: "name = ?", arguments: [name]).fetchOne($0) }
  }

  /// By name, id, or unique prefix of an id.
  func sandbox(named name: String) throws(ControlError) -> SandboxRecord? {
    try find(name, in: SandboxRecord.self, kind: "sandbox")
  }

  /// The first that was made with that namespace.
  func sandbox(path: String) throws(ControlError) -> SandboxRecord? {
    try read { try SandboxRecord.filter(sql: "path = ?", arguments: [path]).order(sql: "rowid").fetchOne($0) }
  }

  /// All with one namespace, the oldest first.
  func sandboxes(inode: Int64) throws(ControlError) -> [SandboxRecord] {
    try read { try SandboxRecord.filter(sql: "inode = ?", arguments: [inode]).order(sql: "rowid").fetchAll($0) }
  }

  func sandboxesWithEndpoints() throws(ControlError) -> [SandboxRecord] {
    try read { try SandboxRecord.filter(sql: "id IN (SELECT sandbox_id FROM endpoints)").fetchAll($0) }
  }

  func insert(_ sandbox: SandboxRecord) throws(ControlError) {
    try write { database in
      var sandbox = sandbox
      try sandbox.insert(database)
    }
  }

  func update(_ sandbox: SandboxRecord) throws(ControlError) { try write { try sandbox.update($0) } }

  func deleteSandbox(_ id: String) throws(ControlError) { _ = try write { try SandboxRecord.deleteOne($0, key: id) } }

  /// Deletes `sandbox` and hands what it owns on to `heir`, which has the same namespace.
  func deleteSandbox(_ sandbox: SandboxRecord, heir: SandboxRecord) throws(ControlError) {
    try write { database in
      var heir = heir
      heir.ownsNamespace = heir.ownsNamespace || sandbox.ownsNamespace
      heir.hasNameServers = heir.hasNameServers || sandbox.hasNameServers
      try heir.update(database)
      _ = try sandbox.delete(database)
    }
  }

  func countSandboxes() throws(ControlError) -> Int { try read { try SandboxRecord.fetchCount($0) } }
}
