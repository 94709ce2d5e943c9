import ControlModel
import Wire

/// A network that every host of the cluster knows.
public struct ClusterNetwork: Sendable, Equatable {
  public struct Subnet: Sendable, Equatable {
    public var subnet: IPPrefix
    public var gateway: IPAddress?
    /// Where addresses are handed out from; nil: all of it.
    public var range: IPPrefix?

    public init(_ subnet: IPPrefix, gateway: IPAddress? = nil, range: IPPrefix? = nil) {
      (self.subnet, self.gateway, self.range) = (subnet, gateway, range)
    }
  }

  public var id: String
  /// One in the cluster.
  public var name: String
  /// nil: carried by no tunnel.
  public var vni: UInt32?
  public var subnets: [Subnet]
  /// As the network's maker gave them, its MTU and labels as well where hosts need them.
  public var options: [String: String]

  public init(
    id: String, name: String, vni: UInt32? = nil, subnets: [Subnet] = [], options: [String: String] = [:]
  ) {
    (self.id, self.name, self.vni, self.subnets, self.options) = (id, name, vni, subnets, options)
  }
}

/// A service: several endpoints of a network behind one address.
public struct ClusterService: Sendable, Equatable {
  /// One in the cluster.
  public var name: String
  /// The network's id.
  public var network: String
  /// Virtual ones, of the network.
  public var addresses: [IPAddress]
  /// Of every host, as `tcp/8080`: no other service has them.
  public var ports: [String]
  /// Whatever else its maker says of it: members, ports.
  public var specification: String

  public init(
    name: String, network: String, addresses: [IPAddress] = [], ports: [String] = [], specification: String
  ) {
    (self.name, self.network, self.addresses, self.ports) = (name, network, addresses, ports)
    self.specification = specification
  }
}

/// A host, for as long as its lease is alive.
public struct ClusterHost: Sendable, Equatable {
  /// One in the cluster.
  public var name: String
  /// Addresses of its tunnel's end, at most one a family.
  public var vteps: [IPAddress]
  /// Of its installation, the same after a restart: tells a daemon that comes back from another of the same name.
  public var identity: String

  public init(name: String, vteps: [IPAddress], identity: String) {
    (self.name, self.vteps, self.identity) = (name, vteps, identity)
  }
}

/// An endpoint, for as long as its host's lease is alive.
public struct ClusterEndpoint: Sendable, Equatable {
  /// A port at which it serves (RFC 2782).
  public struct Service: Sendable, Equatable {
    public var port: UInt16
    /// tcp or udp.
    public var transport: String

    public init(port: UInt16, transport: String) { (self.port, self.transport) = (port, transport) }
  }

  public var id: String
  /// The network's id.
  public var network: String
  public var mac: MACAddress?
  public var addresses: [IPAddress]
  /// The sandbox's.
  public var name: String
  public var aliases: [String]
  public var services: [Service]
  /// The host's name. `Cluster` fills it in for what it publishes.
  public var host: String
  /// Where frames for it are sent; nil: it is in no tunnel.
  public var vtep: IPAddress?

  public init(
    id: String, network: String, mac: MACAddress?, addresses: [IPAddress], name: String, aliases: [String] = [],
    services: [Service] = [], host: String = "", vtep: IPAddress? = nil
  ) {
    (self.id, self.network, self.mac, self.addresses, self.name) = (id, network, mac, addresses, name)
    (self.aliases, self.services, self.host, self.vtep) = (aliases, services, host, vtep)
  }
}
