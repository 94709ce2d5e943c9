/// What `network create` asks for: `POST /v1/networks`. Absent fields take the defaults that `Network` then shows.
public struct NetworkRequest: Codable, Sendable, Equatable {
  public var name: String
  /// bridge (the default), overlay, macvlan, ipvlan, none or host.
  public var driver: String?
  /// CIDRs, at most one a family. Empty: the next free default pool.
  public var subnets: [String]?
  public var gateways: [String]?
  public var ipRanges: [String]?
  /// Names of addresses that are never handed out.
  public var auxiliaryAddresses: [String: String]?
  public var `internal`: Bool?
  /// Gives the network a unique local IPv6 subnet (RFC 4193) where `subnets` names none.
  public var ipv6: Bool?
  public var mtu: Int?
  public var ageingSeconds: Int?
  public var fdbLimit: Int?
  /// nat, nat-unprotected, routed or isolated.
  public var gatewayMode: String?
  /// A plain switch: no gateway port, no address taken for one.
  public var noGateway: Bool?
  /// local: of this host; global: of every host of the cluster. Absent: global with the driver overlay where there is a cluster.
  public var scope: String?
  public var labels: [String: String]?
  public var options: [String: String]?

  public init(name: String) { self.name = name }

  enum CodingKeys: String, CodingKey {
    case name, driver, subnets, gateways
    case ipRanges = "ip_ranges"
    case auxiliaryAddresses = "aux_addresses"
    case `internal`, ipv6, mtu
    case ageingSeconds = "ageing_s"
    case fdbLimit = "fdb_limit"
    case gatewayMode = "gateway_mode"
    case noGateway = "no_gateway"
    case scope, labels, options
  }
}

/// What `network set` changes: `PATCH /v1/networks/{name}`. Absent fields stay as they are.
public struct NetworkChange: Codable, Sendable, Equatable {
  public var ageingSeconds: Int?
  public var fdbLimit: Int?
  public var gatewayMode: String?
  public var mtu: Int?

  public init() {}

  enum CodingKeys: String, CodingKey {
    case ageingSeconds = "ageing_s"
    case fdbLimit = "fdb_limit"
    case gatewayMode = "gateway_mode"
    case mtu
  }
}

public struct Subnet: Codable, Sendable, Equatable {
  public var subnet: String
  /// Absent with `--no-gateway`.
  public var gateway: String?
  public var ipRange: String?
  public var auxiliaryAddresses: [String: String]?

  public init(subnet: String, gateway: String?, ipRange: String? = nil, auxiliaryAddresses: [String: String]? = nil) {
    (self.subnet, self.gateway, self.ipRange, self.auxiliaryAddresses) = (subnet, gateway, ipRange, auxiliaryAddresses)
  }

  enum CodingKeys: String, CodingKey {
    case subnet, gateway
    case ipRange = "ip_range"
    case auxiliaryAddresses = "aux_addresses"
  }
}

/// A broadcast domain with its subnets (CNM network), as `network inspect` shows it.
public struct Network: Codable, Sendable, Equatable {
  /// 64 hexadecimal digits; of a network of Docker's swarm 25 digits and small letters.
  public var id: String
  public var name: String
  public var driver: String
  /// local, or global: every host of the cluster has it.
  public var scope: String
  public var subnets: [Subnet]
  public var `internal`: Bool
  public var mtu: Int
  public var ageingSeconds: Int
  public var fdbLimit: Int
  public var gatewayMode: String
  /// The gateway port's interface in the daemon's namespace; absent with `--no-gateway` and without a bridge driver.
  public var gatewayInterface: String?
  /// The interface of the daemon's namespace that leads to the LAN, with the drivers macvlan and ipvlan.
  public var parent: String?
  /// What joins it to other hosts; absent: nothing does.
  public var overlay: Overlay?
  public var labels: [String: String]
  public var options: [String: String]
  /// RFC 3339, UTC.
  public var created: String
  public var endpoints: [Endpoint]
  /// Interfaces of the daemon's namespace that were put on the network.
  public var ports: [InterfacePort]

  public init(
    id: String, name: String, driver: String, scope: String = "local", subnets: [Subnet], internal: Bool, mtu: Int,
    ageingSeconds: Int,
    fdbLimit: Int,
    gatewayMode: String, gatewayInterface: String?, parent: String? = nil, overlay: Overlay? = nil,
    labels: [String: String],
    options: [String: String],
    created: String,
    endpoints: [Endpoint], ports: [InterfacePort]
  ) {
    self.id = id
    self.name = name
    self.driver = driver
    self.scope = scope
    self.subnets = subnets
    self.internal = `internal`
    self.mtu = mtu
    self.ageingSeconds = ageingSeconds
    self.fdbLimit = fdbLimit
    self.gatewayMode = gatewayMode
    self.gatewayInterface = gatewayInterface
    self.parent = parent
    self.overlay = overlay
    self.labels = labels
    self.options = options
    self.created = created
    self.endpoints = endpoints
    self.ports = ports
  }

  enum CodingKeys: String, CodingKey {
    case id, name, driver, scope, subnets, `internal`, mtu
    case ageingSeconds = "ageing_s"
    case fdbLimit = "fdb_limit"
    case gatewayMode = "gateway_mode"
    case gatewayInterface = "gateway_interface"
    case parent, overlay, labels, options, created, endpoints, ports
  }
}

extension Network {
  /// Without its endpoints and attached interfaces.
  public var bare: Network {
    var network = self
    (network.endpoints, network.ports) = ([], [])
    return network
  }
}

/// The answer to `POST /v1/networks/prune`: the names of the networks that went.
public struct Pruned: Codable, Sendable, Equatable {
  public var removed: [String]
  public init(removed: [String]) { self.removed = removed }
}
