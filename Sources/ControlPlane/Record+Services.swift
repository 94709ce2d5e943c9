import ControlModel
import Wire

enum ServiceMode: String, Codable, CaseIterable {
  case ingress, host
}

/// One name and address for several endpoints of a network.
struct ServiceRecord: StoredRecord, Equatable {
  static let databaseTableName = "services"
  var id: String
  var networkId: String
  var name: String
  var mode: ServiceMode
  /// Of the hash by which flows go to members.
  var seed: Int64
  var state: RecordState
  var created: String
}

/// A port of the host, or a range, that leads to a service's members.
struct ServicePublicationRecord: StoredRecord, Equatable {
  static let databaseTableName = "service_publications"
  var serviceId: String
  var transport: PublicationRecord.Transport
  /// As of a `PublicationRecord`.
  var hostAddress: IPAddress?
  var hostPort: Int
  /// The members' first.
  var port: Int
  var count: Int

  /// As if the service were an endpoint.
  var publication: PublicationRecord {
    PublicationRecord(
      endpointId: serviceId, transport: transport, hostAddress: hostAddress, hostPort: hostPort, port: port,
      count: count, state: .settled)
  }
}

/// An endpoint by its id, whichever host it is on, or an address of the network.
struct ServiceMemberRecord: StoredRecord, Hashable {
  static let databaseTableName = "service_members"
  var serviceId: String
  var endpointId: String?
  var address: IPAddress?
}

/// A virtual address.
struct ServiceAddressRecord: StoredRecord, Equatable {
  static let databaseTableName = "service_addresses"
  var serviceId: String
  var subnetId: Int64
  var address: IPAddress
}

/// By which members on other hosts know this host, on a network with services.
struct MeshAddressRecord: StoredRecord, Equatable {
  static let databaseTableName = "mesh_addresses"
  var subnetId: Int64
  var networkId: String
  var address: IPAddress
}

/// A service with all that was asked for: what a host would need to be told to have it too.
struct AskedService: Codable, Equatable {
  var record: ServiceRecord
  var publications: [ServicePublicationRecord]
  /// Virtual ones.
  var addresses: [IPAddress]
  var members: [ServiceMemberRecord]
}
