import ControlModel

/// NetworkDriver.AllocateNetwork: `options` are those of `network create -o`, without anything around them, and what was answered when the
/// network was allocated before.
struct NetworkAllocation: Decodable {
  let id: String
  let options: [String: String]?
  let ipv4: [NetworkSubnet]?
  let ipv6: [NetworkSubnet]?

  enum CodingKeys: String, CodingKey {
    case id = "NetworkID"
    case options = "Options"
    case ipv4 = "IPv4Data"
    case ipv6 = "IPv6Data"
  }

  /// As a host is going to be asked.
  var creation: NetworkCreation {
    var options = NetworkOptions()
    options.generic = self.options ?? [:]
    return NetworkCreation(id: id, options: options, ipv4: ipv4, ipv6: ipv6)
  }
}

/// What comes to CreateNetwork on each host, in place of what `network create -o` said.
struct AllocatedNetwork: Encodable {
  /// Of an option that tells an answer of ours from what a user asks for.
  static let networkKey = "org.martlet.network"
  private static let vniKey = "com.docker.network.driver.overlay.vxlanid_list"
  private static let portKey = "port"
  /// The kernel's own for VXLAN from before RFC 7348. 4789 is where Docker has its own overlays, at all addresses: its network
  /// `ingress` is one, and each swarm has it.
  private static let port = "8472"

  let options: [String: String]

  enum CodingKeys: String, CodingKey { case options = "Options" }

  init(_ given: [String: String], vni: Int, network id: String) {
    let chosen = [Self.networkKey: id, Self.vniKey: "\(vni)", Self.portKey: given[Self.portKey] ?? Self.port]
    options = given.merging(chosen) { $1 }
  }
}

/// NetworkDriver.DiscoverNew and DiscoverDelete.
struct Discovery: Decodable {
  struct Node: Decodable {
    let address: String
    /// Of this host's engine alone.
    let bindAddress: String?
    let isOwn: Bool?

    enum CodingKeys: String, CodingKey {
      case address = "Address"
      case bindAddress = "BindAddress"
      case isOwn = "Self"
    }
  }

  /// NodeDiscovery (libnetwork, discoverapi). The others have data of other shapes.
  private static let ofNodes = 1

  /// nil: something else was discovered.
  let node: Node?

  enum CodingKeys: String, CodingKey {
    case type = "DiscoveryType"
    case data = "DiscoveryData"
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let type = try container.decode(Int.self, forKey: .type)
    node = type == Self.ofNodes ? try container.decode(Node.self, forKey: .data) : nil
  }
}

extension Plugin {
  static let swarmMethods = [
    // On the swarm's manager, when the network is made, and again on each that becomes the manager.
    "AllocateNetwork": Method { (plugin, allocation: NetworkAllocation) throws(ControlError) in
      let given = allocation.options ?? [:]
      let vni = try plugin.driver.allocateNetwork(
        id: allocation.id, allocation.creation.request(plugin.scope),
        isRepeated: given[AllocatedNetwork.networkKey] == allocation.id)
      return AllocatedNetwork(given, vni: vni, network: allocation.id)
    },
    "FreeNetwork": Method { (plugin, network: NetworkReference) throws(ControlError) in
      try plugin.driver.freeNetwork(id: network.id)
      return Nothing()
    },
    "DiscoverNew": Method { (plugin, discovery: Discovery) throws(ControlError) in
      guard plugin.scope == .global, let node = discovery.node else { return Nothing() }
      let isOwn = node.isOwn ?? false
      // Of itself an engine also tells as one of many, by another address than that of the data path.
      if !isOwn || node.bindAddress.present != nil { try plugin.driver.nodeCame(node.address, isOwn: isOwn) }
      return Nothing()
    },
    "DiscoverDelete": Method { (plugin, discovery: Discovery) throws(ControlError) in
      guard plugin.scope == .global, let node = discovery.node, node.isOwn != true else { return Nothing() }
      try plugin.driver.nodeWent(node.address)
      return Nothing()
    },
  ]
}
