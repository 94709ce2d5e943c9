import ControlModel
import GRDB
import Wire

extension Store {
  func overlays() throws(ControlError) -> [OverlayRecord] {
    try read { try OverlayRecord.order(sql: "rowid").fetchAll($0) }
  }

  func overlay(ofNetwork id: String) throws(ControlError) -> OverlayRecord? {
    try read { try OverlayRecord.fetchOne($0, key: id) }
  }

  /// Of all overlays, those of each in the order in which they were added.
  func overlayPeers() throws(ControlError) -> [OverlayPeerRecord] {
    try read { try OverlayPeerRecord.order(sql: "rowid").fetchAll($0) }
  }

  func overlayPeers(ofNetwork id: String) throws(ControlError) -> [IPAddress] {
    try read { database in
      let sql = "SELECT address FROM overlay_peers WHERE network_id = ? ORDER BY rowid"
      return try IPAddress.fetchAll(database, sql: sql, arguments: [id])
    }
  }

  /// With what it has changed of its network. Takes the place of the one that is there, and leaves its peers.
  func set(_ overlay: OverlayRecord, of network: NetworkRecord) throws(ControlError) {
    try write { database in
      var overlay = overlay
      try network.update(database)
      try overlay.save(database)
    }
  }

  /// With its peers, and the static entries that lead there.
  func deleteOverlay(ofNetwork id: String) throws(ControlError) {
    try write { database in
      try database.execute(
        sql: "DELETE FROM static_entries WHERE network_id = ? AND vtep IS NOT NULL", arguments: [id])
      _ = try OverlayRecord.deleteOne(database, key: id)
    }
  }

  func insert(_ peer: OverlayPeerRecord) throws(ControlError) {
    try write { database in
      var peer = peer
      try peer.insert(database)
    }
  }

  /// With the static entries that lead there.
  func delete(_ peer: OverlayPeerRecord) throws(ControlError) {
    try write { database in
      try database.execute(
        sql: "DELETE FROM static_entries WHERE network_id = ? AND vtep = ?", arguments: [peer.networkId, peer.address])
      _ = try peer.delete(database)
    }
  }
}
