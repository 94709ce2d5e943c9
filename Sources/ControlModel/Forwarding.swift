/// Where a MAC table's entry points.
public struct ForwardingPort: Codable, Sendable, Equatable {
  /// endpoint, vtep, interface or gateway.
  public var kind: String
  /// An endpoint's id.
  public var endpoint: String?
  /// A VTEP's address.
  public var address: String?
  public var interface: String?

  public init(kind: String, endpoint: String? = nil, address: String? = nil, interface: String? = nil) {
    (self.kind, self.endpoint, self.address, self.interface) = (kind, endpoint, address, interface)
  }
}

/// One entry of a network's MAC table, as `fdb show` gives it.
public struct ForwardingEntry: Codable, Sendable, Equatable {
  public var mac: String
  public var port: ForwardingPort
  public var `static`: Bool
  /// Seconds since the last frame from that address; 0 for static entries.
  public var ageSeconds: Int

  public init(mac: String, port: ForwardingPort, static: Bool, ageSeconds: Int) {
    (self.mac, self.port, self.static, self.ageSeconds) = (mac, port, `static`, ageSeconds)
  }

  enum CodingKeys: String, CodingKey {
    case mac, port, `static`
    case ageSeconds = "age_s"
  }
}

/// What `fdb add` asks for: `POST /v1/networks/{network}/fdb`. `port` is an endpoint's id, a unique prefix of one,
/// the name of an attached interface, `gateway`, or `vtep=ADDRESS`.
public struct ForwardingEntryRequest: Codable, Sendable, Equatable {
  public var mac: String
  public var port: String
  public init(mac: String, port: String) { (self.mac, self.port) = (mac, port) }
}

/// What `fdb flush` asks for: `POST /v1/networks/{network}/fdb/flush`. Without a port: all learned entries.
public struct ForwardingFlush: Codable, Sendable, Equatable {
  /// An endpoint's id, a unique prefix of one, the name of an attached interface, `gateway`, or `vtep=ADDRESS`.
  public var port: String?
  public init(port: String? = nil) { self.port = port }
}

/// A port's counters, as `stats` shows them.
public struct PortStatistics: Codable, Sendable, Equatable {
  /// endpoint, interface, gateway or vtep.
  public var kind: String
  /// The endpoint's id, the interface, or the VTEP's address.
  public var name: String
  public var sandbox: String?
  public var interface: String
  public var counters: Counters

  public init(kind: String, name: String, sandbox: String?, interface: String, counters: Counters) {
    (self.kind, self.name, self.sandbox, self.interface, self.counters) = (kind, name, sandbox, interface, counters)
  }
}

/// `rxFrames + routedIn + floodedCopies = txFrames + routedOut + sum of drops`, once traffic rests; ports that went are counted
/// in.
public struct NetworkStatistics: Codable, Sendable, Equatable {
  public var name: String
  public var rxFrames: UInt64
  public var txFrames: UInt64
  /// Copies that flooding made beyond the one frame that came in.
  public var floodedCopies: UInt64
  /// Frames that the router took out of the network, and that it put into it, its own among them.
  public var routedOut: UInt64
  public var routedIn: UInt64
  public var drops: [String: UInt64]
  public var fdbEntries: Int
  public var ports: [PortStatistics]

  public init(
    name: String, rxFrames: UInt64, txFrames: UInt64, floodedCopies: UInt64, routedOut: UInt64 = 0,
    routedIn: UInt64 = 0, drops: [String: UInt64], fdbEntries: Int, ports: [PortStatistics]
  ) {
    self.name = name
    self.rxFrames = rxFrames
    self.txFrames = txFrames
    self.floodedCopies = floodedCopies
    self.routedOut = routedOut
    self.routedIn = routedIn
    self.drops = drops
    self.fdbEntries = fdbEntries
    self.ports = ports
  }

  enum CodingKeys: String, CodingKey {
    case name
    case rxFrames = "rx_frames"
    case txFrames = "tx_frames"
    case floodedCopies = "flooded_copies"
    case routedOut = "routed_out"
    case routedIn = "routed_in"
    case drops
    case fdbEntries = "fdb_entries"
    case ports
  }
}

public struct Statistics: Codable, Sendable, Equatable {
  public var networks: [NetworkStatistics]
  public init(networks: [NetworkStatistics]) { self.networks = networks }
}
