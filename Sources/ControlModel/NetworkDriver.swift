/// What an engine asks of a network driver that leaves the sandboxes to the engine (Container Network Model): the driver makes
/// networks and endpoints' interfaces, the engine moves, names and addresses them. `ControlPlane` conforms; `DockerDriver` serves it
/// to Docker; tests give it a stand-in. Ids are the engine's, 64 hexadecimal digits; of a network of Docker's swarm 25 digits and small
/// letters. Calls may come from any thread, in any
/// order and more than once, and block theirs: what is done already is done again without an error, what is gone is gone.
public protocol NetworkDriver: Sendable {
  /// An engine begins to call. What another before it had begun to connect, and will not bring to an end, is taken away.
  func engineStarted() throws(ControlError)

  // A swarm's networks are on several hosts, and each is one overlay. On a host that manages the swarm:

  /// Hands out a network's VNI, once for all hosts, whether or not this one comes to have the network. The same one again to one that has
  /// one. Refuses what no host could make.
  ///
  /// - Parameter isRepeated: the request's VNI was handed out to this network before, perhaps by another host: it counts, and whoever
  ///   had it here has it no more.
  func allocateNetwork(id: String, _ request: NetworkRequest, isRepeated: Bool) throws(ControlError) -> Int
  /// Gives the VNI back. It had none: no error.
  func freeNetwork(id: String) throws(ControlError)

  // On each host:

  /// A node is there by that IP address. `isOwn`: it is this host, and its engine begins anew: what another before it left of the
  /// swarm's networks is taken away. An address that means nothing here is passed over.
  func nodeCame(_ address: String, isOwn: Bool) throws(ControlError)
  func nodeWent(_ address: String) throws(ControlError)

  /// `name` of the request is only for people to read. Without addresses of ours: `subnets` says all.
  func createNetwork(id: String, _ request: NetworkRequest) throws(ControlError)
  /// Of its endpoints, those of the engine go with it: it has none that it knows of any more. `conflict` where others are left.
  func deleteNetwork(id: String) throws(ControlError)

  func createEndpoint(_ request: DriverEndpointRequest) throws(ControlError) -> DriverEndpoint
  /// Makes the interface, for the engine to move to the sandbox at the path `sandbox`, which may not exist yet.
  func join(network: String, endpoint: String, sandbox: String) throws(ControlError) -> DriverJoin
  /// Publishes ports, as `docker run -p` writes them: all, or none. Those of this endpoint that are published already stay.
  func publish(network: String, endpoint: String, ports: [String]) throws(ControlError)
  /// Withdraws all that the endpoint has published.
  func unpublish(network: String, endpoint: String) throws(ControlError)
  /// What is known of an endpoint, for the engine's inspect. `notFound` where there is none.
  func endpointInformation(network: String, endpoint: String) throws(ControlError) -> Endpoint
  func leave(network: String, endpoint: String) throws(ControlError)
  func deleteEndpoint(network: String, endpoint: String) throws(ControlError)

  /// An address pool that a network is going to have. Without a prefix, the next free default one; each time another.
  func requestPool(_ request: DriverPoolRequest) throws(ControlError) -> DriverPool
  func releasePool(id: String) throws(ControlError)
  /// With the pool's prefix length. `address` nil: the next free one.
  func requestAddress(pool: String, address: String?, isGateway: Bool) throws(ControlError) -> String
  func releaseAddress(pool: String, address: String) throws(ControlError)
}

/// An endpoint that an engine has given its addresses.
public struct DriverEndpointRequest: Sendable, Equatable {
  public var network: String
  public var endpoint: String
  /// With prefix length; at most one a family.
  public var addresses: [String]
  /// nil: to be chosen.
  public var mac: String?
  public var mtu: Int?

  public init(network: String, endpoint: String, addresses: [String] = [], mac: String? = nil, mtu: Int? = nil) {
    (self.network, self.endpoint, self.addresses, self.mac, self.mtu) = (network, endpoint, addresses, mac, mtu)
  }
}

public struct DriverEndpoint: Sendable, Equatable {
  public var mac: String
  public init(mac: String) { self.mac = mac }
}

/// What the engine does in the sandbox.
public struct DriverJoin: Sendable, Equatable {
  /// In the daemon's namespace.
  public var interface: String
  /// In the sandbox the interface is called this and a number.
  public var interfacePrefix: String
  /// Of the default route; nil: the network has no way out in that family.
  public var gateway: String?
  public var gateway6: String?

  public init(interface: String, interfacePrefix: String, gateway: String? = nil, gateway6: String? = nil) {
    (self.interface, self.interfacePrefix) = (interface, interfacePrefix)
    (self.gateway, self.gateway6) = (gateway, gateway6)
  }
}

public struct DriverPoolRequest: Sendable, Equatable {
  /// CIDR; nil: a default pool.
  public var pool: String?
  /// Addresses are handed out of this part of it.
  public var range: String?
  public var isIPv6: Bool

  public init(pool: String? = nil, range: String? = nil, isIPv6: Bool = false) {
    (self.pool, self.range, self.isIPv6) = (pool, range, isIPv6)
  }
}

public struct DriverPool: Sendable, Equatable {
  public var id: String
  public var pool: String
  public init(id: String, pool: String) { (self.id, self.pool) = (id, pool) }
}
