import ControlModel
import GRDB

extension Store {
  func interfacePorts() throws(ControlError) -> [InterfacePortRecord] {
    try read { try InterfacePortRecord.order(sql: "rowid").fetchAll($0) }
  }

  func interfacePorts(ofNetwork id: String) throws(ControlError) -> [InterfacePortRecord] {
    try read { try InterfacePortRecord.filter(sql: "network_id = ?", arguments: [id]).order(sql: "rowid").fetchAll($0) }
  }

  func interfacePort(_ interface: String) throws(ControlError) -> InterfacePortRecord? {
    try read { try InterfacePortRecord.fetchOne($0, key: interface) }
  }

  func insert(_ port: InterfacePortRecord) throws(ControlError) {
    try write { database in
      var port = port
      try port.insert(database)
    }
  }

  func update(_ port: InterfacePortRecord) throws(ControlError) { try write { try port.update($0) } }

  func deleteInterfacePort(_ interface: String) throws(ControlError) {
    _ = try write { try InterfacePortRecord.deleteOne($0, key: interface) }
  }
}
