/// What `sandbox create` asks for: `POST /v1/sandboxes`. `netns` and `share` exclude each other.
public struct SandboxRequest: Codable, Sendable, Equatable {
  public var name: String
  /// Adopts the namespace at this absolute path instead of making one.
  public var netns: String?
  /// Shares the namespace of this sandbox (container mode).
  public var share: String?

  public init(name: String) { self.name = name }
}

public struct Route: Codable, Sendable, Equatable {
  /// A prefix, or `default`.
  public var destination: String
  public var gateway: String?
  public var interface: String

  public init(destination: String, gateway: String?, interface: String) {
    (self.destination, self.gateway, self.interface) = (destination, gateway, interface)
  }
}

public struct NameServers: Codable, Sendable, Equatable {
  public var servers: [String]
  public var search: [String]
  public var options: [String]

  public init(servers: [String] = [], search: [String] = [], options: [String] = []) {
    (self.servers, self.search, self.options) = (servers, search, options)
  }
}

/// A network namespace that belongs to one container (CNM sandbox), as `sandbox inspect` shows it.
public struct Sandbox: Codable, Sendable, Equatable {
  public var id: String
  public var name: String
  public var netns: String
  /// As in `readlink /proc/PID/ns/net`: `net:[4026532177]` has 4026532177. 0 where the namespace is gone.
  public var inode: UInt64
  /// Names of the other sandboxes with the same namespace.
  public var sharedWith: [String]
  /// made, adopted or shared.
  public var origin: String
  public var endpoints: [Endpoint]
  public var routes: [Route]
  public var dns: NameServers
  /// RFC 3339, UTC.
  public var created: String

  public init(
    id: String, name: String, netns: String, inode: UInt64, sharedWith: [String], origin: String, endpoints: [Endpoint],
    routes: [Route], dns: NameServers, created: String
  ) {
    self.id = id
    self.name = name
    self.netns = netns
    self.inode = inode
    self.sharedWith = sharedWith
    self.origin = origin
    self.endpoints = endpoints
    self.routes = routes
    self.dns = dns
    self.created = created
  }

  enum CodingKeys: String, CodingKey {
    case id, name, netns, inode
    case sharedWith = "shared_with"
    case origin, endpoints, routes, dns, created
  }
}
