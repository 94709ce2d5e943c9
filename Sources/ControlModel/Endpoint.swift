/// What `network connect` asks for: `POST /v1/networks/{network}/connect`.
public struct ConnectRequest: Codable, Sendable, Equatable {
  /// A sandbox's name or id, or an absolute path of a network namespace, which is then adopted.
  public var sandbox: String
  public var ip: String?
  public var ip6: String?
  public var mac: String?
  /// The interface's name in the sandbox; absent: the next free `ethN`.
  public var interface: String?
  public var mtu: Int?
  public var aliases: [String]?
  /// As `docker run -p`: `[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp]`.
  public var publish: [String]?
  /// Beside the default route, which the network gives.
  public var routes: [RouteRequest]?
  /// The endpoint never gives the sandbox its default route.
  public var noDefaultRoute: Bool?
  public var noAddress: Bool?
  public var noAnnounce: Bool?
  public var isolated: Bool?
  public var `guard`: Bool?
  public var labels: [String: String]?
  public var options: [String: String]?

  public init(sandbox: String) { self.sandbox = sandbox }

  enum CodingKeys: String, CodingKey {
    case sandbox, ip, ip6, mac, interface, mtu, aliases, publish, routes
    case noDefaultRoute = "no_default_route"
    case noAddress = "no_address"
    case noAnnounce = "no_announce"
    case isolated, `guard`, labels, options
  }
}

/// A route that a sandbox gets with an endpoint.
public struct RouteRequest: Codable, Sendable, Equatable {
  /// A prefix, longer than 0.
  public var destination: String
  /// On one of the network's subnets; absent: the network's own gateway.
  public var gateway: String?

  public init(destination: String, gateway: String? = nil) {
    (self.destination, self.gateway) = (destination, gateway)
  }
}

/// `POST /v1/networks/{network}/disconnect`.
public struct DisconnectRequest: Codable, Sendable, Equatable {
  public var sandbox: String
  public init(sandbox: String) { self.sandbox = sandbox }
}

/// What `endpoint set` changes: `PATCH /v1/endpoints/{endpoint}`. Absent fields stay as they are.
public struct EndpointChange: Codable, Sendable, Equatable {
  public var isolated: Bool?
  public var `guard`: Bool?
  /// MAC addresses that may be learned on the port; 0: only the network's own limit.
  public var macLimit: Int?
  /// Bits a second that the endpoint may send, and get; 0: no limit.
  public var rateIn: UInt64?
  public var rateOut: UInt64?

  public init() {}

  enum CodingKeys: String, CodingKey {
    case isolated, `guard`
    case macLimit = "mac_limit"
    case rateIn = "rate_in"
    case rateOut = "rate_out"
  }
}

/// Which endpoints are asked for. Absent fields match all.
public struct EndpointFilter: Sendable, Equatable {
  /// The keys of the query.
  public static let keys = ["network", "label"]

  /// A network's name or id.
  public var network: String?
  /// `KEY` or `KEY=VALUE`, of an endpoint's labels.
  public var label: String?

  public init(network: String? = nil, label: String? = nil) { (self.network, self.label) = (network, label) }

  public init(_ query: [String: String]) { self.init(network: query["network"], label: query["label"]) }

  public func matches(labels: [String: String]) -> Bool {
    guard let label else { return true }
    let parts = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    return parts.count == 1 ? labels[parts[0]] != nil : labels[parts[0]] == parts[1]
  }
}

/// Frames and bytes without the virtio-net header. rx: what the switch got from the endpoint; tx: what it sent to it.
public struct Counters: Codable, Sendable, Equatable {
  public var rxFrames: UInt64
  public var rxBytes: UInt64
  public var txFrames: UInt64
  public var txBytes: UInt64
  /// By `DropReason` name; only reasons that happened.
  public var drops: [String: UInt64]

  public init(
    rxFrames: UInt64 = 0, rxBytes: UInt64 = 0, txFrames: UInt64 = 0, txBytes: UInt64 = 0, drops: [String: UInt64] = [:]
  ) {
    self.rxFrames = rxFrames
    self.rxBytes = rxBytes
    self.txFrames = txFrames
    self.txBytes = txBytes
    self.drops = drops
  }

  enum CodingKeys: String, CodingKey {
    case rxFrames = "rx_frames"
    case rxBytes = "rx_bytes"
    case txFrames = "tx_frames"
    case txBytes = "tx_bytes"
    case drops
  }
}

/// What joins one sandbox to exactly one network (CNM endpoint), as `endpoint inspect` shows it.
public struct Endpoint: Codable, Sendable, Equatable {
  /// 64 hexadecimal digits.
  public var id: String
  /// Names, not ids.
  public var network: String
  public var sandbox: String
  /// The path of the sandbox's network namespace.
  public var netns: String
  /// In the sandbox. Empty for the drivers none and host.
  public var interface: String
  public var mac: String
  /// With prefix length.
  public var addresses: [String]
  public var aliases: [String]
  public var labels: [String: String]
  /// Where the sandbox is answered for names of this network and of its others; empty: nowhere.
  public var nameServers: [String]
  public var published: [PublishedPort]
  public var isolated: Bool
  public var `guard`: Bool
  public var macLimit: Int
  /// Bits a second that the endpoint may send, and get; 0: no limit.
  public var rateIn: UInt64
  public var rateOut: UInt64
  public var mtu: Int
  /// up; or down, with the reason in `detail` (its interface is gone, say). Of one that is up, `detail` says what of it is
  /// not as it should be: a published port that a program of the host has taken, say.
  public var state: String
  public var detail: String?
  public var counters: Counters

  public init(
    id: String, network: String, sandbox: String, netns: String, interface: String, mac: String, addresses: [String],
    aliases: [String], labels: [String: String] = [:], nameServers: [String] = [], published: [PublishedPort],
    isolated: Bool, guard: Bool,
    macLimit: Int, rateIn: UInt64 = 0, rateOut: UInt64 = 0, mtu: Int, state: String, detail: String? = nil,
    counters: Counters
  ) {
    self.id = id
    self.network = network
    self.sandbox = sandbox
    self.netns = netns
    self.interface = interface
    self.mac = mac
    self.addresses = addresses
    self.aliases = aliases
    self.labels = labels
    self.nameServers = nameServers
    self.published = published
    self.isolated = isolated
    self.guard = `guard`
    self.macLimit = macLimit
    (self.rateIn, self.rateOut) = (rateIn, rateOut)
    self.mtu = mtu
    self.state = state
    self.detail = detail
    self.counters = counters
  }

  enum CodingKeys: String, CodingKey {
    case id, network, sandbox, netns, interface, mac, addresses, aliases, labels, published, isolated, `guard`
    case nameServers = "name_servers"
    case macLimit = "mac_limit"
    case rateIn = "rate_in"
    case rateOut = "rate_out"
    case mtu, state, detail, counters
  }
}
