import ControlModel

/// The `Options` of a network. Keys beside these are the engine's, for its own drivers, and may become more with every version: what a
/// user says with `network create -o` is all in `generic`.
struct NetworkOptions: Decodable {
  /// Absent before Docker 28: true.
  var enablesIPv4 = true
  var enablesIPv6 = false
  var isInternal = false
  var generic: [String: String] = [:]

  enum CodingKeys: String, CodingKey {
    case enablesIPv4 = "com.docker.network.enable_ipv4"
    case enablesIPv6 = "com.docker.network.enable_ipv6"
    case isInternal = "com.docker.network.internal"
    case generic = "com.docker.network.generic"
  }

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    enablesIPv4 = try container.decodeIfPresent(Bool.self, forKey: .enablesIPv4) ?? true
    enablesIPv6 = try container.decodeIfPresent(Bool.self, forKey: .enablesIPv6) ?? false
    isInternal = try container.decodeIfPresent(Bool.self, forKey: .isInternal) ?? false
    generic = try container.decodeIfPresent([String: String].self, forKey: .generic) ?? [:]
  }

  /// As far as the switches tell which families there are.
  func driverOptions(_ scope: PluginServer.Scope) throws(ControlError) -> DriverOptions {
    try driverOptions(scope, hasIPv4: enablesIPv4, hasIPv6: enablesIPv6)
  }

  func driverOptions(
    _ scope: PluginServer.Scope, hasIPv4: Bool, hasIPv6: Bool
  ) throws(ControlError) -> DriverOptions {
    try DriverOptions(generic, scope, hasIPv4: hasIPv4, hasIPv6: hasIPv6)
  }
}

/// What `network create -o` comes to. Docker knows one driver of ours; which of the control plane's it means is an option, or
/// follows from the options. Options that are known here are taken out, all others are the control plane's to take or refuse.
struct DriverOptions: Equatable {
  static let driverKey = "org.martlet.driver"
  private static let modeKeys = (
    ipv4: "com.docker.network.bridge.gateway_mode_ipv4", ipv6: "com.docker.network.bridge.gateway_mode_ipv6"
  )
  /// Gateway modes that the control plane has for both families alone.
  private static let commonModes: Set<String> = ["isolated", "nat-unprotected"]
  private static let ofIPVLAN: Set<String> = ["ipvlan_mode", "ipvlan_flag"]
  private static let ofMACVLAN: Set<String> = ["macvlan_mode", "parent"]
  /// The engine itself does what these say, whichever the driver: it announces addresses.
  private static let ofEngine: Set<String> = [
    "com.docker.network.advertise_addr_nmsgs", "com.docker.network.advertise_addr_ms",
  ]
  /// What Docker's own drivers know, and why it has no meaning here.
  private static let meaningless: [String: String] = [
    "com.docker.network.bridge.trusted_host_interfaces":
      "no rule keeps interfaces of the host out: gateway mode nat-unprotected or routed lets others reach containers",
    "com.docker.network.bridge.default_bridge": "the default bridge is Docker's own",
    "com.docker.network.endpoint.ifname":
      "Docker takes it from its own drivers only: com.docker.network.container_iface_prefix names all interfaces",
    "com.docker.network.endpoint.sysctls": "it is a container's: give it with docker run --network or network connect",
  ]

  /// Of a swarm's networks, which each host makes with the same options.
  private static let ofEachHost: [String: String] = [
    "local": "hosts differ in it: docker swarm init and join have --advertise-addr and --data-path-addr"
  ]

  private(set) var driver = "bridge"
  /// nil: the default, or one for each family among `passedOn`.
  private(set) var gatewayMode: String?
  private(set) var passedOn: [String: String]

  /// No address of the host can be reached, so that none is needed for a gateway.
  var isIsolated: Bool { gatewayMode == "isolated" }

  init(
    _ options: [String: String], _ scope: PluginServer.Scope, hasIPv4: Bool, hasIPv6: Bool
  ) throws(ControlError) {
    try Self.refuse(Self.meaningless, of: options)
    if scope == .global {
      try Self.refuse(Self.ofEachHost, of: options)
      driver = "overlay"
    }
    passedOn = options.filter { !Self.ofEngine.contains($0.key) && $0.key != AllocatedNetwork.networkKey }
    if let given = passedOn.removeValue(forKey: Self.driverKey) {
      guard given != "none", given != "host" else {
        throw ControlError(
          .unsupported, "option \(Self.driverKey): Docker has a network \(given) already: use --network \(given)")
      }
      driver = given
    } else if scope == .local, passedOn.keys.contains(where: Self.ofIPVLAN.contains) {
      driver = "ipvlan"
    } else if scope == .local, passedOn.keys.contains(where: Self.ofMACVLAN.contains) {
      driver = "macvlan"
    }
    try takeGatewayMode(hasIPv4: hasIPv4, hasIPv6: hasIPv6)
  }

  private static func refuse(_ refused: [String: String], of options: [String: String]) throws(ControlError) {
    guard let (key, reason) = refused.filter({ options[$0.key] != nil }).min(by: { $0.key < $1.key }) else {
      return
    }
    throw ControlError(.unsupported, "option \(key) is not supported: \(reason)")
  }

  private mutating func takeGatewayMode(hasIPv4: Bool, hasIPv6: Bool) throws(ControlError) {
    let given = [(Self.modeKeys.ipv4, hasIPv4), (Self.modeKeys.ipv6, hasIPv6)]
    guard let mode = given.compactMap({ passedOn[$0.0] }).first(where: Self.commonModes.contains) else { return }
    // That of a family which the network has not means nothing.
    for (key, isUsed) in given where isUsed && passedOn[key] != mode {
      throw ControlError(
        .unsupported, "gateway mode \(mode) is for both families of a network: \(key) must be \(mode) too")
    }
    for (key, _) in given { passedOn[key] = nil }
    gatewayMode = mode
  }
}
