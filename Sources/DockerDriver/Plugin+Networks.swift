import ControlModel

/// NetworkDriver.GetCapabilities. Without `GwAllocChecker`, Docker 28 takes an address for the gateway in any case.
struct NetworkCapabilities: Encodable {
  let scope: String
  let connectivityScope: String
  let checksGateways = true

  enum CodingKeys: String, CodingKey {
    case scope = "Scope"
    case connectivityScope = "ConnectivityScope"
    case checksGateways = "GwAllocChecker"
  }
}

/// NetworkDriver.GwAllocCheck.
struct GatewayCheck: Decodable {
  let options: NetworkOptions?

  enum CodingKeys: String, CodingKey { case options = "Options" }
}

/// True: the engine takes no address for the gateway.
struct SkippedGateways: Encodable {
  let ipv4: Bool
  let ipv6: Bool

  enum CodingKeys: String, CodingKey {
    case ipv4 = "SkipIPv4"
    case ipv6 = "SkipIPv6"
  }
}

/// NetworkDriver.CreateNetwork.
struct NetworkCreation: Decodable {
  let id: String
  let options: NetworkOptions?
  let ipv4: [NetworkSubnet]?
  let ipv6: [NetworkSubnet]?

  enum CodingKeys: String, CodingKey {
    case id = "NetworkID"
    case options = "Options"
    case ipv4 = "IPv4Data"
    case ipv6 = "IPv6Data"
  }
}

/// An entry of `IPv4Data` or `IPv6Data`. All addresses have a prefix length.
struct NetworkSubnet: Decodable {
  let pool: String?
  let gateway: String?
  let auxiliaryAddresses: [String: String]?

  enum CodingKeys: String, CodingKey {
    case pool = "Pool"
    case gateway = "Gateway"
    case auxiliaryAddresses = "AuxAddresses"
  }
}

struct NetworkReference: Decodable {
  let id: String

  enum CodingKeys: String, CodingKey { case id = "NetworkID" }
}

extension Plugin {
  static let networkMethods = [
    "GetCapabilities": Method { plugin in
      NetworkCapabilities(scope: plugin.scope.rawValue, connectivityScope: plugin.scope.rawValue)
    },
    "GwAllocCheck": Method { (plugin, check: GatewayCheck) throws(ControlError) in
      let options = check.options ?? NetworkOptions()
      let needsNone = try options.driverOptions(plugin.scope).isIsolated
      return SkippedGateways(ipv4: needsNone, ipv6: needsNone)
    },
    "CreateNetwork": Method { (plugin, creation: NetworkCreation) throws(ControlError) in
      try plugin.driver.createNetwork(id: creation.id, creation.request(plugin.scope))
      return Nothing()
    },
    "DeleteNetwork": Method { (plugin, network: NetworkReference) throws(ControlError) in
      try plugin.driver.deleteNetwork(id: network.id)
      return Nothing()
    },
  ]
}

extension NetworkCreation {
  /// Of the 64 digits; 25 letters and digits where the network is a swarm's.
  private static let idLengthMax = 64
  private static let shownIDLength = 12
  /// What Docker's `null` IPAM driver has for a pool: addresses are somebody else's to give (DHCP on a LAN).
  private static let absentPools = ["", "0.0.0.0/0", "::/0"]
  /// Docker's drivers take a default gateway that is not theirs out of the aux-addresses of these names.
  private static let gatewayAuxiliaryNames = ["DefaultGatewayIPv4", "DefaultGatewayIPv6"]

  /// The subnets say all about addresses: `ipv6` would have more chosen.
  func request(_ scope: PluginServer.Scope) throws(ControlError) -> NetworkRequest {
    guard (1...Self.idLengthMax).contains(id.utf8.count), id.utf8.allSatisfy(\.isASCIILetterOrDigit) else {
      throw ControlError(.invalid, "NetworkID must be of 1 to \(Self.idLengthMax) letters and digits")
    }
    var request = NetworkRequest(name: "docker-" + id.prefix(Self.shownIDLength))
    let options = options ?? NetworkOptions()
    let families = [ipv4 ?? [], ipv6 ?? []].map { family in
      family.filter { !Self.absentPools.contains($0.pool ?? "") }
    }
    let subnets = families.flatMap { $0 }
    request.subnets = subnets.compactMap(\.pool)
    let gateways = subnets.compactMap { $0.gateway?.withoutPrefixLength }
    // What Docker has not kept for a gateway, it gives to containers.
    if gateways.isEmpty {
      request.noGateway = true
    } else if gateways.count < subnets.count {
      throw ControlError(.unsupported, "a gateway is needed in each subnet of a network, or in none")
    } else {
      request.gateways = gateways
    }
    request.auxiliaryAddresses = try auxiliaryAddresses(families)
    request.internal = options.isInternal

    let chosen = try options.driverOptions(scope, hasIPv4: !families[0].isEmpty, hasIPv6: !families[1].isEmpty)
    request.driver = chosen.driver
    request.gatewayMode = chosen.gatewayMode
    request.options = chosen.passedOn
    return request
  }

  private func auxiliaryAddresses(_ families: [[NetworkSubnet]]) throws(ControlError) -> [String: String]? {
    var addresses: [String: String] = [:]
    for (name, address) in families.flatMap({ $0 }).flatMap({ $0.auxiliaryAddresses ?? [:] }) {
      guard !Self.gatewayAuxiliaryNames.contains(name) else {
        throw ControlError(
          .unsupported, "aux-address \(name): the default gateway is the network's own: --gateway gives its address")
      }
      // Docker has a list for each family.
      addresses[addresses[name] == nil ? name : name + " (IPv6)"] = address.withoutPrefixLength
    }
    return addresses.isEmpty ? nil : addresses
  }
}

extension String {
  /// nil for an address that is not there.
  var withoutPrefixLength: String? {
    guard let address = split(separator: "/").first else { return nil }
    return String(address)
  }
}

extension UInt8 {
  fileprivate var isASCIILetterOrDigit: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: false
    }
  }
}
