/// What this host knows of its cluster: `GET /v1/cluster`.
public struct ClusterView: Codable, Sendable, Equatable {
  public struct Host: Codable, Sendable, Equatable {
    public var name: String
    /// Where its tunnels end.
    public var vteps: [String]
    /// On networks of the cluster.
    public var endpoints: Int

    public init(name: String, vteps: [String], endpoints: Int) {
      (self.name, self.vteps, self.endpoints) = (name, vteps, endpoints)
    }
  }

  public struct Network: Codable, Sendable, Equatable {
    public var id: String
    public var name: String
    public var vni: Int?
    /// Why this host has it not, or not as the others; absent: it has.
    public var detail: String?

    public init(id: String, name: String, vni: Int?, detail: String? = nil) {
      (self.id, self.name, self.vni, self.detail) = (id, name, vni, detail)
    }
  }

  /// This host's name.
  public var host: String
  /// connected; cut off: etcd cannot be reached, and what is known may be old.
  public var state: String
  /// RFC 3339, UTC: when etcd was heard of last. Only where it is cut off.
  public var since: String?
  /// Why it is cut off, or why not all that this host has is known to the others.
  public var detail: String?
  /// Those that are alive, this one among them.
  public var hosts: [Host]
  public var networks: [Network]

  public init(
    host: String, state: String, since: String? = nil, detail: String? = nil, hosts: [Host], networks: [Network]
  ) {
    (self.host, self.state, self.since, self.detail) = (host, state, since, detail)
    (self.hosts, self.networks) = (hosts, networks)
  }
}
