import ControlModel
import GRDB
import Wire

extension Store {
  func publications() throws(ControlError) -> [PublicationRecord] {
    try read { try PublicationRecord.order(sql: "id").fetchAll($0) }
  }

  func publications(ofEndpoint id: String) throws(ControlError) -> [PublicationRecord] {
    try read { try PublicationRecord.filter(sql: "endpoint_id = ?", arguments: [id]).order(sql: "id").fetchAll($0) }
  }

  func countPublications() throws(ControlError) -> Int { try read { try PublicationRecord.fetchCount($0) } }

  /// Publications of the host's ports that the record's overlap, on any address.
  private static func rivals(of record: PublicationRecord, _ database: Database) throws -> [PublicationRecord] {
    guard let first = record.hostPort else { return [] }
    let filter = "transport = ? AND host_port < ? AND host_port + count > ?"
    return try PublicationRecord.filter(
      sql: filter, arguments: [record.transport.rawValue, first + record.count, first]
    ).fetchAll(database) + serviceRivals(of: record, database)
  }

  /// Refuses what is published already, and an overlay's port.
  static func refuseRivals(of publication: PublicationRecord, _ database: Database) throws {
    for rival in try rivals(of: publication, database) where rival.sharesAddress(with: publication) {
      throw try conflict(publication, rival, database)
    }
    try refuseOverlayPort(publication, database)
  }

  /// Writes intents in one transaction, and refuses ports that are published already.
  func insert(_ publications: [PublicationRecord]) throws(ControlError) -> [PublicationRecord] {
    try write { database in
      try publications.map { publication in
        try Self.refuseRivals(of: publication, database)
        var publication = publication
        try publication.insert(database)
        return publication
      }
    }
  }

  /// What comes there is encapsulated.
  private static func refuseOverlayPort(_ publication: PublicationRecord, _ database: Database) throws {
    for overlay in try OverlayRecord.fetchAll(database) where publication.takesPort(of: overlay) {
      let name = try NetworkRecord.fetchOne(database, key: overlay.networkId)?.name ?? "?"
      throw ControlError(.conflict, "port \(overlay.port)/udp is already in use by the overlay of network \(name)")
    }
  }

  private static func conflict(
    _ publication: PublicationRecord, _ rival: PublicationRecord, _ database: Database
  ) throws -> ControlError {
    let port = max(publication.hostPort ?? 0, rival.hostPort ?? 0)
    if let service = try ServiceRecord.fetchOne(database, key: rival.endpointId) {
      return ControlError(
        .conflict, "port \(port)/\(publication.transport.rawValue) is already in use by service \(service.name)")
    }
    let sql = "SELECT name FROM networks JOIN endpoints ON network_id = networks.id WHERE endpoints.id = ?"
    let network = try String.fetchOne(database, sql: sql, arguments: [rival.endpointId]) ?? "?"
    return ControlError(
      .conflict,
      "port \(port)/\(publication.transport.rawValue) is already in use by endpoint \(Identifier.short(rival.endpointId)) of network \(network)"
    )
  }

  /// The first of so many ports in a row, of `range`, from `start` on and around, that no publication overlaps; nil: none.
  func freeHostPort(
    for publication: PublicationRecord, in range: ClosedRange<UInt16>, from start: Int
  ) throws(ControlError) -> Int? {
    try read { database in
      let last = Int(range.upperBound) - publication.count + 1
      guard Int(range.lowerBound) <= last else { return nil }
      let begin = (Int(range.lowerBound)...last).contains(start) ? start : Int(range.lowerBound)
      for part in [begin...last, Int(range.lowerBound)...begin] {
        var candidate = publication
        candidate.hostPort = part.lowerBound
        while let first = candidate.hostPort, first <= part.upperBound {
          let rivals = try Self.rivals(of: candidate, database).filter { $0.sharesAddress(with: candidate) }
          guard let end = rivals.map({ $0.hostPort! + $0.count }).max() else { return first }
          candidate.hostPort = end
        }
      }
      return nil
    }
  }

  /// In one transaction.
  func setPublications(_ records: [PublicationRecord], state: RecordState) throws(ControlError) {
    try write { database in
      for var record in records {
        record.state = state
        try record.update(database)
      }
    }
  }

  func deletePublications(_ records: [PublicationRecord]) throws(ControlError) {
    try write { database in for record in records { _ = try record.delete(database) } }
  }
}

extension PublicationRecord {
  /// A port of the one would be one of the other, were their numbers the same.
  func sharesAddress(with other: PublicationRecord) -> Bool {
    guard let mine = hostAddress, let theirs = other.hostAddress else { return true }
    guard mine.isIPv6 == theirs.isIPv6 else { return false }
    return mine == theirs || mine.isUnspecified || theirs.isUnspecified
  }
}

extension PublicationRecord {
  func takesPort(of overlay: OverlayRecord) -> Bool {
    guard transport == .udp, let first = hostPort, (first..<first + count).contains(overlay.port) else { return false }
    guard let address = hostAddress else { return true }
    return address == overlay.local || address.isUnspecified && address.isIPv6 == overlay.local.isIPv6
  }
}

extension IPAddress {
  /// 0.0.0.0 or ::.
  var isUnspecified: Bool { bits == 0 }

  /// Of 127.0.0.0/8, or ::1.
  var isLoopback: Bool {
    switch self {
    case .v4(let address): address.isLoopback
    case .v6(let address): address.isLoopback
    }
  }
}
