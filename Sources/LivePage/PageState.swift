import ControlModel

/// What the page draws: `GET /state.json`. Counts begin at 0 with the daemon; the page makes rates of them.
struct PageState: Encodable {
  var version: String
  /// Seconds, of a clock that only goes forward; when the counts were taken.
  var time: Double
  var networks: [PageNetwork]
  /// Networks beyond those.
  var networksMore: Int
  /// nil: none is set.
  var uplink: PageUplink?
  var carriers: [PageCarrier]
  var sessions: PageSessions

  enum CodingKeys: String, CodingKey {
    case version, time, networks
    case networksMore = "networks_more"
    case uplink, carriers, sessions
  }
}

struct PageNetwork: Encodable {
  var id: String
  var name: String
  var driver: String
  var scope: String
  var subnets: [String]
  var gatewayMode: String
  /// Its name, and where it is not active, why. nil: a learning switch.
  var policy: String?
  /// The router leads out of it.
  var isRouted: Bool
  var mtu: Int
  /// nil: it has no switch, and nothing is counted.
  var counts: PageNetworkCounts?
  var overlay: PageOverlay?
  var ports: [PagePort]
  /// Ports beyond those.
  var portsMore: Int

  enum CodingKeys: String, CodingKey {
    case id, name, driver, scope, subnets
    case gatewayMode = "gateway_mode"
    case policy
    case isRouted = "routed"
    case mtu, counts, overlay, ports
    case portsMore = "ports_more"
  }
}

/// As `NetworkMeasurements`.
struct PageNetworkCounts: Encodable {
  var total: Counters
  var floodedCopies: UInt64
  var routedIn: UInt64
  var routedOut: UInt64
  var macEntries: Int
  var macLimit: Int
  var endpointsUp: Int
  var endpointsDown: Int

  enum CodingKeys: String, CodingKey {
    case total
    case floodedCopies = "flooded_copies"
    case routedIn = "routed_in"
    case routedOut = "routed_out"
    case macEntries = "mac_entries"
    case macLimit = "mac_limit"
    case endpointsUp = "endpoints_up"
    case endpointsDown = "endpoints_down"
  }
}

struct PageOverlay: Encodable {
  var vni: Int
  var local: String
  var isUp: Bool
  var peers: Int

  enum CodingKeys: String, CodingKey {
    case vni, local
    case isUp = "up"
    case peers
  }
}

struct PagePort: Encodable {
  /// endpoint, interface, gateway or vtep.
  var kind: String
  /// The endpoint's id, the interface, or the other host's address.
  var name: String
  /// What people call it: the sandbox, the interface, the address.
  var label: String
  /// In the sandbox, or the daemon's namespace.
  var interface: String
  /// Without prefix length.
  var addresses: [String]
  var mac: String?
  /// up, down or missing.
  var state: String
  /// Why it is not up, or what of it is not as it should be.
  var detail: String?
  var counters: Counters
}

struct PageUplink: Encodable {
  var interface: String
  var isUp: Bool
  var addresses: [String]
  var detail: String?
  var counters: Counters

  enum CodingKeys: String, CodingKey {
    case interface
    case isUp = "up"
    case addresses, detail, counters
  }
}

/// Of all overlays with one local address and port.
struct PageCarrier: Encodable {
  var local: String
  var port: Int
  var interface: String
  var counters: Counters
}

struct PageSessions: Encodable {
  var byProtocol: [String: Int]
  var limit: Int
  var evictions: UInt64

  enum CodingKeys: String, CodingKey {
    case byProtocol = "by_protocol"
    case limit, evictions
  }
}

/// What the page shows of one network beside: `GET /tables.json?network=ID`.
struct PageTables: Encodable {
  /// The network's id.
  var network: String
  var macTable: [ForwardingEntry]
  /// Entries beyond those.
  var macTableMore: Int
  /// Of the network's endpoints.
  var sessions: [Session]
  /// Sessions beyond those.
  var sessionsMore: Int

  enum CodingKeys: String, CodingKey {
    case network
    case macTable = "mac_table"
    case macTableMore = "mac_table_more"
    case sessions
    case sessionsMore = "sessions_more"
  }
}
