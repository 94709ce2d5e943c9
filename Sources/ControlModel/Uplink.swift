/// What `uplink set` asks for: `PUT /v1/uplink`. Takes the place of what was set before, all of it.
public struct UplinkRequest: Codable, Sendable, Equatable {
  /// Of the daemon's namespace.
  public var interface: String
  /// External addresses, each on the interface. Absent or empty: all its global ones.
  public var addresses: [String]?
  /// `FIRST-LAST`, from which ports of outbound mappings are taken. Absent or empty: those above the kernel's own.
  public var ports: [String]?
  /// IPv6 is translated too, instead of routed.
  public var ipv6NAT: Bool?

  public init(interface: String) { self.interface = interface }

  enum CodingKeys: String, CodingKey {
    case interface, addresses, ports
    case ipv6NAT = "ipv6_nat"
  }
}

/// The way outside, as `uplink show` has it.
public struct Uplink: Codable, Sendable, Equatable {
  public var interface: String
  /// up; down: nothing passes, `detail` says why; missing: there is no interface of that name, the uplink waits for one.
  public var state: String
  public var detail: String?
  public var mac: String
  public var mtu: Int
  /// Those that the outside knows Martlet by now.
  public var addresses: [String]
  /// Those that were asked for; empty: all of the interface.
  public var chosenAddresses: [String]
  /// `FIRST-LAST`, from which ports of outbound mappings are taken.
  public var ports: [String]
  public var ipv6NAT: Bool
  /// How many there are now.
  public var sessions: Int
  public var counters: Counters

  public init(
    interface: String, state: String, detail: String? = nil, mac: String = "", mtu: Int = 0, addresses: [String] = [],
    chosenAddresses: [String] = [], ports: [String] = [], ipv6NAT: Bool = false, sessions: Int = 0,
    counters: Counters = Counters()
  ) {
    (self.interface, self.state, self.detail) = (interface, state, detail)
    (self.mac, self.mtu, self.addresses, self.chosenAddresses) = (mac, mtu, addresses, chosenAddresses)
    (self.ports, self.ipv6NAT, self.sessions, self.counters) = (ports, ipv6NAT, sessions, counters)
  }

  enum CodingKeys: String, CodingKey {
    case interface, state, detail, mac, mtu, addresses
    case chosenAddresses = "chosen_addresses"
    case ports
    case ipv6NAT = "ipv6_nat"
    case sessions, counters
  }
}
