/// A field of the outer IP header: a number, or `inherit`, what the inner packet has. JSON has a number or that word.
public enum OuterField: Hashable, Sendable {
  case value(Int)
  case inherit
}

extension OuterField: LosslessStringConvertible {
  private static let inheritWord = "inherit"

  public init?(_ description: String) {
    if description == Self.inheritWord {
      self = .inherit
    } else if let number = Int(description) {
      self = .value(number)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .value(let number): String(number)
    case .inherit: Self.inheritWord
    }
  }
}

extension OuterField: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if (try? container.decode(String.self)) == Self.inheritWord {
      self = .inherit
    } else {
      self = .value(try container.decode(Int.self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .value(let number): try container.encode(number)
    case .inherit: try container.encode(Self.inheritWord)
    }
  }
}

/// What `overlay set` asks for: `PUT /v1/networks/{network}/overlay`. Takes the place of what was set before, but for peers.
public struct OverlayRequest: Codable, Sendable, Equatable {
  /// The VXLAN network identifier (RFC 7348, 5): 0 to 16777215.
  public var vni: Int
  /// An address of the daemon's namespace, by which peers know this host.
  public var local: String
  /// UDP, of this host and of its peers. Absent: 4789.
  public var port: Int?
  /// Of the network's MAC table, as `network set` has it. Absent: stays as it is.
  public var ageingSeconds: Int?
  /// Of the outer packet. Absent: 64.
  public var ttl: OuterField?
  /// Of the outer packet, a multiple of four: the two bits below are ECN's. Absent: 0.
  public var tos: OuterField?
  /// Absent: peers' frames tell which MAC addresses are there.
  public var learning: Bool?
  /// Only by an interface that encrypts: WireGuard's. Absent: by any.
  public var encrypted: Bool?
  /// Whether frames with VLAN tags are carried (RFC 7348, 6.1). Absent: they are.
  public var innerVLAN: Bool?

  public init(vni: Int, local: String) { (self.vni, self.local) = (vni, local) }

  enum CodingKeys: String, CodingKey {
    case vni, local, port
    case ageingSeconds = "ageing_s"
    case ttl, tos, learning, encrypted
    case innerVLAN = "inner_vlan"
  }
}

/// What joins a network to those of other hosts by VXLAN, as `overlay show` has it.
public struct Overlay: Codable, Sendable, Equatable {
  /// A name.
  public var network: String
  public var vni: Int
  public var local: String
  public var port: Int
  /// The network's.
  public var ageingSeconds: Int
  public var mtu: Int
  public var ttl: OuterField
  public var tos: OuterField
  public var learning: Bool
  /// It goes by an interface that encrypts, or not at all.
  public var encrypted: Bool
  /// Frames with VLAN tags are carried.
  public var innerVLAN: Bool
  /// Addresses of the hosts that have part, this one not among them.
  public var peers: [String]
  /// up; down: nothing passes, `detail` says why; missing: no interface has the local address, the overlay waits for it.
  public var state: String
  public var detail: String?
  /// The one that has the local address.
  public var interface: String?
  /// What else a change has changed. Only in the answer to it.
  public var notice: String?
  /// Of all overlays with this local address and port, encapsulated. rx: what the switch got from the host's peers.
  public var counters: Counters

  public init(
    network: String, vni: Int, local: String, port: Int, ageingSeconds: Int, mtu: Int, ttl: OuterField, tos: OuterField,
    learning: Bool, encrypted: Bool = false, innerVLAN: Bool = true, peers: [String], state: String,
    detail: String? = nil,
    interface: String? = nil, notice: String? = nil, counters: Counters = Counters()
  ) {
    (self.network, self.vni, self.local, self.port) = (network, vni, local, port)
    (self.ageingSeconds, self.mtu, self.ttl, self.tos) = (ageingSeconds, mtu, ttl, tos)
    (self.learning, self.encrypted, self.innerVLAN) = (learning, encrypted, innerVLAN)
    (self.peers, self.state, self.detail) = (peers, state, detail)
    (self.interface, self.notice, self.counters) = (interface, notice, counters)
  }

  enum CodingKeys: String, CodingKey {
    case network, vni, local, port
    case ageingSeconds = "ageing_s"
    case mtu, ttl, tos, learning, encrypted
    case innerVLAN = "inner_vlan"
    case peers, state, detail, interface, notice, counters
  }
}

/// Another host that has part in a network, as `overlay peer ls` shows it.
public struct OverlayPeer: Codable, Sendable, Equatable {
  /// A name.
  public var network: String
  public var address: String
  /// Frames of this network, without what encapsulates them. rx: what the switch got from the peer.
  public var counters: Counters

  public init(network: String, address: String, counters: Counters = Counters()) {
    (self.network, self.address, self.counters) = (network, address, counters)
  }
}

/// What `overlay peer add` asks for: `POST /v1/networks/{network}/overlay/peers`.
public struct OverlayPeerRequest: Codable, Sendable, Equatable {
  public var address: String
  public init(address: String) { self.address = address }
}
