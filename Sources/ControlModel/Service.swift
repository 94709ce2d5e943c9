/// What `service create` asks for: `POST /v1/services`.
public struct ServiceRequest: Codable, Sendable, Equatable {
  public var name: String
  /// A name or an id.
  public var network: String
  /// `[HOSTIP:]PORT[-END][:PORT[-END]][/tcp|udp]`: without a second port the members' is the same.
  public var published: [String]?
  /// ingress: members of all hosts answer at the published ports. host: only those of the host that is asked. Absent: ingress.
  public var mode: String?
  /// Endpoints by id, a unique prefix of it, or their sandbox; those of other hosts of the cluster as well, and by address.
  public var endpoints: [String]?
  /// Addresses of the network that stand for the members, at most one a family; `auto`: chosen; `none`. Absent: `auto`.
  public var virtualAddresses: [String]?

  public init(name: String, network: String) { (self.name, self.network) = (name, network) }

  enum CodingKeys: String, CodingKey {
    case name, network, published, mode, endpoints
    case virtualAddresses = "virtual_addresses"
  }
}

/// What `service set` asks for: `PATCH /v1/services/{service}`. What is absent stays as it is.
public struct ServiceChange: Codable, Sendable, Equatable {
  /// As in `ServiceRequest`. One that is a member already is no error.
  public var addedEndpoints: [String]?
  /// Their flows go on.
  public var removedEndpoints: [String]?
  public var mode: String?

  public init() {}

  enum CodingKeys: String, CodingKey {
    case addedEndpoints = "add_endpoints"
    case removedEndpoints = "remove_endpoints"
    case mode
  }
}

/// One of those that answer for a service.
public struct ServiceMember: Codable, Sendable, Equatable {
  /// An endpoint's id; absent where only an address was given.
  public var endpoint: String?
  /// The sandbox's name; absent of other hosts.
  public var sandbox: String?
  public var addresses: [String]
  /// Whether it runs on this host.
  public var local: Bool
  /// up: takes new flows; down: it is not there, or cannot be reached.
  public var state: String

  public init(endpoint: String?, sandbox: String?, addresses: [String], local: Bool, state: String) {
    (self.endpoint, self.sandbox, self.addresses) = (endpoint, sandbox, addresses)
    (self.local, self.state) = (local, state)
  }
}

/// One name and address for several endpoints, as `service inspect` shows it.
public struct Service: Codable, Sendable, Equatable {
  public var id: String
  public var name: String
  /// A name.
  public var network: String
  public var mode: String
  public var published: [PublishedPort]
  public var virtualAddresses: [String]
  public var members: [ServiceMember]
  /// up: members take new flows. down: none does, or the service is not in place; `detail` says why.
  public var state: String
  public var detail: String?

  public init(
    id: String, name: String, network: String, mode: String, published: [PublishedPort], virtualAddresses: [String],
    members: [ServiceMember], state: String, detail: String? = nil
  ) {
    (self.id, self.name, self.network, self.mode) = (id, name, network, mode)
    (self.published, self.virtualAddresses, self.members) = (published, virtualAddresses, members)
    (self.state, self.detail) = (state, detail)
  }

  enum CodingKeys: String, CodingKey {
    case id, name, network, mode, published
    case virtualAddresses = "virtual_addresses"
    case members, state, detail
  }
}
