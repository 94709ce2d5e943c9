import ControlModel
import GRDB
import Wire

extension Store {
  static let serviceSchema = """
    CREATE TABLE services (
      id TEXT PRIMARY KEY NOT NULL,
      network_id TEXT NOT NULL REFERENCES networks ON DELETE RESTRICT,
      name TEXT NOT NULL UNIQUE,
      mode TEXT NOT NULL,
      seed INTEGER NOT NULL,
      state TEXT NOT NULL,
      created TEXT NOT NULL);
    CREATE TABLE service_publications (
      service_id TEXT NOT NULL REFERENCES services ON DELETE CASCADE,
      transport TEXT NOT NULL,
      host_address TEXT,
      host_port INTEGER NOT NULL,
      port INTEGER NOT NULL,
      count INTEGER NOT NULL);
    CREATE INDEX service_publications_by_service ON service_publications (service_id);
    CREATE TABLE service_members (
      service_id TEXT NOT NULL REFERENCES services ON DELETE CASCADE,
      endpoint_id TEXT,
      address TEXT,
      UNIQUE (service_id, endpoint_id, address));
    CREATE TABLE service_addresses (
      service_id TEXT NOT NULL REFERENCES services ON DELETE CASCADE,
      subnet_id INTEGER NOT NULL REFERENCES subnets ON DELETE RESTRICT,
      address TEXT NOT NULL,
      PRIMARY KEY (subnet_id, address)) WITHOUT ROWID;
    CREATE TABLE mesh_addresses (
      subnet_id INTEGER PRIMARY KEY NOT NULL REFERENCES subnets ON DELETE CASCADE,
      network_id TEXT NOT NULL REFERENCES networks ON DELETE CASCADE,
      address TEXT NOT NULL);
    """

  func services() throws(ControlError) -> [ServiceRecord] {
    try read { try ServiceRecord.order(sql: "rowid").fetchAll($0) }
  }

  /// By name, id, or unique prefix of an id.
  func service(_ name: String) throws(ControlError) -> ServiceRecord {
    if let found: ServiceRecord = try find(name, in: ServiceRecord.self, kind: "service") { return found }
    throw ControlError(.notFound, "no service \(name.quoted): martlet service ls shows those there are")
  }

  func services(ofNetwork id: String) throws(ControlError) -> [ServiceRecord] {
    try read { try ServiceRecord.filter(sql: "network_id = ?", arguments: [id]).order(sql: "rowid").fetchAll($0) }
  }

  func asked(_ record: ServiceRecord) throws(ControlError) -> AskedService {
    try read { database in
      func rows<Row: StoredRecord>(_ type: Row.Type, by order: String = "rowid") throws -> [Row] {
        try Row.filter(sql: "service_id = ?", arguments: [record.id]).order(sql: order).fetchAll(database)
      }
      // Of subnets IPv4's was written first.
      let addresses = try rows(ServiceAddressRecord.self, by: "subnet_id").map(\.address)
      return AskedService(
        record: record, publications: try rows(ServicePublicationRecord.self), addresses: addresses,
        members: try rows(ServiceMemberRecord.self))
    }
  }

  /// One transaction. A virtual address that was not asked for is the next free one of its subnet.
  /// - Parameter wish: in a subnet, the address asked for, or nil for none, or `.some(nil)` where any will do.
  func insert(
    _ asked: AskedService, wish: (SubnetRecord) throws(ControlError) -> IPAddress??
  ) throws(ControlError) -> AskedService {
    try write { database in
      var (asked, record) = (asked, asked.record)
      try record.insert(database)
      for publication in asked.publications { try Self.insert(publication, database) }
      for var member in asked.members { try member.insert(database) }
      let subnets = try SubnetRecord.filter(sql: "network_id = ?", arguments: [record.networkId])
        .order(sql: "is_ipv6").fetchAll(database)
      for subnet in subnets {
        guard let wished = try wish(subnet) else { continue }
        let address = try Self.take(wished, of: subnet, database)
        var row = ServiceAddressRecord(serviceId: record.id, subnetId: subnet.id!, address: address)
        try row.insert(database)
        asked.addresses.append(address)
      }
      return asked
    }
  }

  /// Other members, or another mode; the rest stays.
  func update(_ asked: AskedService) throws(ControlError) {
    try write { database in
      try asked.record.update(database)
      try database.execute(sql: "DELETE FROM service_members WHERE service_id = ?", arguments: [asked.record.id])
      for var member in asked.members { try member.insert(database) }
    }
  }

  func setService(_ id: String, state: RecordState) throws(ControlError) {
    try write { try $0.execute(sql: "UPDATE services SET state = ? WHERE id = ?", arguments: [state.rawValue, id]) }
  }

  func deleteService(_ id: String) throws(ControlError) { _ = try write { try ServiceRecord.deleteOne($0, key: id) } }

  // MARK: Mesh addresses

  func meshAddresses(ofNetwork id: String) throws(ControlError) -> [IPAddress] {
    try read { database in
      try MeshAddressRecord.filter(sql: "network_id = ?", arguments: [id]).fetchAll(database).map(\.address)
    }
  }

  func meshAddresses() throws(ControlError) -> [IPAddress] {
    try read { try MeshAddressRecord.fetchAll($0).map(\.address) }
  }

  /// The next free address of the subnet, or the one that it has.
  func insertMeshAddress(in subnet: SubnetRecord) throws(ControlError) {
    try write { database in
      guard try MeshAddressRecord.fetchOne(database, key: subnet.id) == nil else { return }
      let address = try Self.take(nil, of: subnet, database)
      var row = MeshAddressRecord(subnetId: subnet.id!, networkId: subnet.networkId, address: address)
      try row.insert(database)
    }
  }

  /// One that the cluster has given.
  func insert(_ address: MeshAddressRecord) throws(ControlError) {
    try write { database in
      var address = address
      try address.insert(database, onConflict: .replace)
    }
  }

  func deleteMeshAddresses(ofNetwork id: String) throws(ControlError) {
    try write { database in
      try database.execute(sql: "DELETE FROM mesh_addresses WHERE network_id = ?", arguments: [id])
    }
  }

  // MARK: Within transactions

  private static func take(_ wished: IPAddress?, of subnet: SubnetRecord, _ database: Database) throws -> IPAddress {
    let taken = try takenAddresses(subnet, database).union(promisedAddresses(subnet, database))
    if let wished {
      try subnet.pool.check(wished, taken: taken)
      return wished
    }
    guard let next = subnet.pool.next(after: subnet.cursor, taken: taken) else {
      throw ControlError(.exhausted, "no address is left in \(subnet.pool.range) for the service")
    }
    return next
  }

  private static func insert(_ publication: ServicePublicationRecord, _ database: Database) throws {
    try refuseRivals(of: publication.publication, database)
    var publication = publication
    try publication.insert(database)
  }

  /// Services' published ports that overlap, as those of endpoints.
  static func serviceRivals(of record: PublicationRecord, _ database: Database) throws -> [PublicationRecord] {
    guard let first = record.hostPort else { return [] }
    let filter = "transport = ? AND host_port < ? AND host_port + count > ?"
    return try ServicePublicationRecord.filter(
      sql: filter, arguments: [record.transport.rawValue, first + record.count, first]
    ).fetchAll(database).map(\.publication)
  }
}
