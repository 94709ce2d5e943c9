import Wire

/// An endpoint as the name server knows it: by which names its sandbox is found on one network.
public struct NamedEndpoint: Equatable, Sendable {
  /// A port at which the sandbox serves: what SRV records tell (RFC 2782).
  public struct Service: Hashable, Sendable {
    public enum TransportProtocol: String, Sendable { case tcp, udp }

    public var port: UInt16
    public var transport: TransportProtocol

    public init(port: UInt16, transport: TransportProtocol = .tcp) { (self.port, self.transport) = (port, transport) }
  }

  public var id: String
  /// The network's id, as `NameServer.setNetwork` was given it.
  public var network: String
  public var sandbox: String
  /// The sandbox's own name first, then its aliases. One that the DNS cannot carry (an empty label, one longer than
  /// 63 bytes, 255 in all) is never found.
  public var names: [String]
  public var addresses: [IPAddress]
  public var services: [Service]

  public init(
    id: String, network: String, sandbox: String, names: [String], addresses: [IPAddress], services: [Service] = []
  ) {
    (self.id, self.network, self.sandbox) = (id, network, sandbox)
    (self.names, self.addresses, self.services) = (names, addresses, services)
  }
}

/// Who asks at a pair of sockets.
public enum Clientele: Hashable, Sendable {
  /// The network's sandboxes, each told by its source address, and the host by the address served at.
  case network(String)
  /// One sandbox: nobody else can reach these sockets.
  case sandbox(String)
}

/// The resolvers that are asked for what is not ours, and how patiently (resolv.conf(5)).
public struct Upstreams: Equatable, Sendable {
  public struct Server: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16
    /// The interface of a link-local address (`fe80::1%eth0`), by index; 0 for none.
    public var scope: UInt32

    public init(_ address: IPAddress, port: UInt16 = 53, scope: UInt32 = 0) {
      (self.address, self.port, self.scope) = (address, port, scope)
    }
  }

  public static let none = Upstreams([])

  /// Asked in this order.
  public var servers: [Server]
  /// How long each is given. resolv.conf's default.
  public var timeoutSeconds = 5
  /// How often the list is gone through. resolv.conf's default.
  public var attempts = 2

  public init(_ servers: [Server]) { self.servers = servers }
}
