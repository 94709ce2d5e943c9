import ControlModel
import GRDB
import Wire

/// How far a change of the kernel has come. What is not `settled` at start was cut short by a crash, and is taken away.
enum RecordState: String, Codable {
  /// Written before the kernel is touched.
  case creating
  case settled
  /// Written before the kernel is touched.
  case removing
}

enum Driver: String, Codable, CaseIterable {
  case bridge, overlay, macvlan, ipvlan, none, host
}

enum GatewayMode: String, Codable, CaseIterable {
  case nat
  case natUnprotected = "nat-unprotected"
  case routed, isolated
}

/// A row of the store: columns in snake case, dictionaries and lists as JSON.
protocol StoredRecord: Codable, FetchableRecord, MutablePersistableRecord {}

extension StoredRecord {
  static var databaseColumnDecodingStrategy: DatabaseColumnDecodingStrategy { .convertFromSnakeCase }
  static var databaseColumnEncodingStrategy: DatabaseColumnEncodingStrategy { .convertToSnakeCase }
}

struct NetworkRecord: StoredRecord, Equatable {
  static let databaseTableName = "networks"
  var id: String
  var name: String
  var driver: Driver
  var isInternal: Bool
  var mtu: Int
  var ageingSeconds: Int
  var fdbLimit: Int
  var gatewayMode: GatewayMode
  /// nil: a network without a gateway port.
  var gatewayInterface: String?
  var gatewayMac: MACAddress?
  /// nil: not on the LAN, or routed to it.
  var lanMode: LANMode?
  /// The interface that leads to the LAN, by its name.
  var parent: String?
  /// Of all endpoints: the parent's, as it was when it was there last.
  var sharedMac: MACAddress?
  var labels: [String: String]
  var options: [String: String]
  /// Made for an engine, which knows it by the same id.
  var isEngines = false
  /// Of the whole cluster: other hosts have it too, with the same id.
  var isShared = false
  var state: RecordState
  var created: String
}

struct SubnetRecord: StoredRecord, Equatable {
  static let databaseTableName = "subnets"
  var id: Int64?
  var networkId: String
  var isIpv6: Bool
  var prefix: IPPrefix
  var gateway: IPAddress?
  var range: IPPrefix?
  var auxiliaryAddresses: [String: IPAddress]
  /// The address that was handed out last.
  var cursor: IPAddress?

  mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }

  var pool: AddressPool {
    var reserved: [IPAddress: String] = [:]
    for (name, address) in auxiliaryAddresses { reserved[address] = "auxiliary address \(name)" }
    if let gateway { reserved[gateway] = "gateway" }
    return AddressPool(subnet: prefix, range: range, reserved: reserved)
  }

  /// The gateway with the subnet's length, as an interface has it.
  var gatewayPrefix: IPPrefix? { gateway.flatMap { IPPrefix(address: $0, length: prefix.length) } }
}

struct SandboxRecord: StoredRecord, Equatable {
  static let databaseTableName = "sandboxes"

  enum Origin: String, Codable {
    case made, adopted, shared
  }

  var id: String
  var name: String
  var path: String
  var inode: Int64
  var origin: Origin
  /// The namespace goes with this sandbox. Of those that share a namespace we made, one owns it.
  var ownsNamespace: Bool
  /// Adopted by `connect`; goes with its last endpoint.
  var isImplicit: Bool
  /// Its resolv.conf is ours. Of those that share a namespace, the owner of that file has it set.
  var hasNameServers: Bool
  var state: RecordState
  var created: String

  var namespace: NamespaceReference { NamespaceReference(path: path, inode: UInt64(bitPattern: inode)) }
}

struct EndpointRecord: StoredRecord, Equatable {
  static let databaseTableName = "endpoints"
  var id: String
  var networkId: String
  var sandboxId: String
  /// Empty with the drivers none and host.
  var interface: String
  /// nil: no interface, or the network's shared one.
  var mac: MACAddress?
  /// nil: the network's.
  var mtu: Int?
  var isIsolated: Bool
  var macLimit: Int
  /// Bits a second that the endpoint may send, and get; 0: no limit.
  var rateIn: Int64 = 0
  var rateOut: Int64 = 0
  /// Has addresses, and with them routes.
  var isAddressed: Bool
  var aliases: [String]
  var labels: [String: String]
  /// The engine that made it moves its interface, and gave it its addresses.
  var isEngines = false
  /// May give its sandbox the default route.
  var givesDefaultRoute = true
  var state: RecordState
  var created: String
}

struct EndpointAddressRecord: StoredRecord, Equatable {
  static let databaseTableName = "endpoint_addresses"
  var endpointId: String
  var subnetId: Int64
  var address: IPAddress
}

/// An interface of the daemon's namespace that was put on a network.
struct InterfacePortRecord: StoredRecord, Equatable {
  static let databaseTableName = "interface_ports"
  /// Its name, by which it is found again.
  var interface: String
  var networkId: String
  /// As it was before it was attached, and is to be again.
  var wasUp: Bool
  var state: RecordState
  var created: String
}

/// A static entry of a MAC table.
struct StaticEntryRecord: StoredRecord, Equatable {
  static let databaseTableName = "static_entries"
  var networkId: String
  var mac: MACAddress
  /// Neither an endpoint, nor an interface, nor a peer's VTEP: the gateway port.
  var endpointId: String?
  var interface: String?
  var vtep: IPAddress?
}

/// What joins a network to those of other hosts. Nothing of it outlives the process, so it needs no intent.
struct OverlayRecord: StoredRecord, Equatable {
  static let databaseTableName = "overlays"
  var networkId: String
  var vni: Int
  var local: IPAddress
  var port: Int
  /// Of outer packets; nil: the inner ones'.
  var timeToLive: Int?
  var trafficClass: Int?
  /// Peers' frames tell which MAC addresses are there.
  var learns: Bool
  /// Only by an interface that encrypts.
  var isEncrypted = false
  /// Frames with VLAN tags, too.
  var carriesTags = true
  var created: String
}

/// Another host that has part in a network.
struct OverlayPeerRecord: StoredRecord, Equatable {
  static let databaseTableName = "overlay_peers"
  var networkId: String
  var address: IPAddress
}

/// The way outside. There is one at most. Nothing of it outlives the process, so it needs no intent.
struct UplinkRecord: StoredRecord, Equatable {
  static let databaseTableName = "uplink"
  /// Its name, by which it is found again.
  var interface: String
  /// Empty: all that the interface has.
  var addresses: [IPAddress]
  /// Empty: those above the kernel's own.
  var ports: [PortRange]
  var translatesIpv6: Bool
  var created: String
}

/// A published port, or a range of them.
struct PublicationRecord: StoredRecord, Equatable {
  static let databaseTableName = "publications"

  enum Transport: String, Codable, CaseIterable {
    case tcp, udp
  }

  var id: Int64?
  var endpointId: String
  var transport: Transport
  /// nil: every address of the host, of both families; 0.0.0.0 or ::, every one of that family.
  var hostAddress: IPAddress?
  /// The first; nil: the network is routed, and the endpoint's own ports are open.
  var hostPort: Int?
  /// The endpoint's first.
  var port: Int
  var count: Int
  var state: RecordState

  mutating func didInsert(_ inserted: InsertionSuccess) { id = inserted.rowID }
}
