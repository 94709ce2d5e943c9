/// One session of the translation, as `session ls` shows it.
public struct Session: Codable, Sendable, Equatable {
  /// tcp, udp, icmp, or a protocol's number.
  public var `protocol`: String
  /// `ADDRESS:PORT`, IPv6 addresses in brackets; of ICMP the port is the query's identifier.
  public var inside: String
  /// What the outside sees; equal to `inside` where nothing is translated.
  public var outside: String
  public var remote: String
  public var state: String
  public var expiresSeconds: Int

  public init(
    protocol: String, inside: String, outside: String, remote: String, state: String, expiresSeconds: Int
  ) {
    (self.protocol, self.inside, self.outside) = (`protocol`, inside, outside)
    (self.remote, self.state, self.expiresSeconds) = (remote, state, expiresSeconds)
  }

  enum CodingKeys: String, CodingKey {
    case `protocol`, inside, outside, remote, state
    case expiresSeconds = "expires_s"
  }
}

/// Which sessions are asked for. Absent fields match all.
public struct SessionFilter: Sendable, Equatable {
  /// The keys of the query, and of `session ls --filter`.
  public static let keys = ["protocol", "inside", "outside", "remote", "state"]

  /// By key: each value must match. An address matches whatever the port is.
  public var values: [String: String]
  public init(_ values: [String: String] = [:]) { self.values = values }
}

/// Seconds after which an idle session ends: `GET /v1/sessions/timeouts`.
public struct SessionTimeouts: Codable, Sendable, Equatable {
  public var udp: Int
  /// UDP that was answered.
  public var udpStream: Int
  public var tcpEstablished: Int
  public var tcpTransitory: Int
  public var icmp: Int

  public init(udp: Int, udpStream: Int, tcpEstablished: Int, tcpTransitory: Int, icmp: Int) {
    (self.udp, self.udpStream, self.tcpEstablished) = (udp, udpStream, tcpEstablished)
    (self.tcpTransitory, self.icmp) = (tcpTransitory, icmp)
  }

  enum CodingKeys: String, CodingKey {
    case udp
    case udpStream = "udp_stream"
    case tcpEstablished = "tcp_established"
    case tcpTransitory = "tcp_transitory"
    case icmp
  }
}

/// What `session timeouts --set` changes: `PATCH /v1/sessions/timeouts`. Absent fields stay as they are.
public struct SessionTimeoutsChange: Codable, Sendable, Equatable {
  public var udp: Int?
  public var udpStream: Int?
  public var tcpEstablished: Int?
  public var tcpTransitory: Int?
  public var icmp: Int?

  public init() {}

  enum CodingKeys: String, CodingKey {
    case udp
    case udpStream = "udp_stream"
    case tcpEstablished = "tcp_established"
    case tcpTransitory = "tcp_transitory"
    case icmp
  }
}

/// How sources are translated (RFC 4787, 4 and 5): `GET /v1/sessions/translation`.
public struct Translation: Codable, Sendable, Equatable {
  /// endpoint-independent or address-and-port-dependent.
  public var mapping: String
  /// endpoint-independent, address-dependent or address-and-port-dependent.
  public var filtering: String
  public init(mapping: String, filtering: String) { (self.mapping, self.filtering) = (mapping, filtering) }
}

/// `PATCH /v1/sessions/translation`. Absent fields stay as they are.
public struct TranslationChange: Codable, Sendable, Equatable {
  public var mapping: String?
  public var filtering: String?
  public init(mapping: String? = nil, filtering: String? = nil) {
    (self.mapping, self.filtering) = (mapping, filtering)
  }
}
