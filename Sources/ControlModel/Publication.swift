/// A port, or a range of them, that is reachable from outside.
public struct PublishedPort: Codable, Sendable, Equatable {
  /// `0.0.0.0` and `::` stand for every address of the host. Empty where the network is routed: the port is reachable at
  /// the endpoint's own addresses.
  public var hostIP: String
  /// Of a range, the first. 0 where the network is routed.
  public var hostPort: Int
  /// Of a range, the last; absent for a single port.
  public var hostPortEnd: Int?
  /// The endpoint's; of a range, the first.
  public var port: Int
  public var portEnd: Int?
  /// tcp or udp.
  public var `protocol`: String
  /// Why it cannot be reached; absent where it can.
  public var detail: String?

  public init(
    hostIP: String, hostPort: Int, hostPortEnd: Int? = nil, port: Int, portEnd: Int? = nil, protocol: String,
    detail: String? = nil
  ) {
    (self.hostIP, self.hostPort, self.hostPortEnd) = (hostIP, hostPort, hostPortEnd)
    (self.port, self.portEnd, self.protocol, self.detail) = (port, portEnd, `protocol`, detail)
  }

  enum CodingKeys: String, CodingKey {
    case hostIP = "host_ip"
    case hostPort = "host_port"
    case hostPortEnd = "host_port_end"
    case port
    case portEnd = "port_end"
    case `protocol`, detail
  }

  /// The single ports of a range, in order; of a single port, itself.
  public var single: [PublishedPort] {
    guard let portEnd, portEnd > port else { return [self] }
    return (port...portEnd).map { number in
      PublishedPort(
        hostIP: hostIP, hostPort: hostPort == 0 ? 0 : hostPort + number - port, port: number, protocol: `protocol`,
        detail: detail)
    }
  }
}

/// What `publish ls` shows: a published port and whose it is.
public struct Publication: Codable, Sendable, Equatable {
  /// The endpoint's id.
  public var endpoint: String
  /// Its name.
  public var network: String
  public var published: PublishedPort

  public init(endpoint: String, network: String, published: PublishedPort) {
    (self.endpoint, self.network, self.published) = (endpoint, network, published)
  }

  private enum OwnKeys: String, CodingKey { case endpoint, network }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: OwnKeys.self)
    endpoint = try container.decode(String.self, forKey: .endpoint)
    network = try container.decode(String.self, forKey: .network)
    published = try PublishedPort(from: decoder)
  }

  /// The published port's fields stand beside the others.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: OwnKeys.self)
    try container.encode(endpoint, forKey: .endpoint)
    try container.encode(network, forKey: .network)
    try published.encode(to: encoder)
  }
}

/// What `publish` and `unpublish` ask for: `POST /v1/endpoints/{id}/publish` and `.../unpublish`. All are done, or none.
public struct PublishRequest: Codable, Sendable, Equatable {
  /// As `docker run -p`: `[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp]`.
  public var ports: [String]
  public init(ports: [String]) { self.ports = ports }
}
