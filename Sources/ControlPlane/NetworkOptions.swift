import ControlModel
import Wire

/// The options of `network create -o` that are honoured, by the names Docker's bridge driver gives them.
struct NetworkOptions {
  static let mtuKey = "com.docker.network.driver.mtu"
  static let interfacePrefixKey = "com.docker.network.container_iface_prefix"
  static let gatewayInterfaceKey = "com.docker.network.bridge.name"
  static let inhibitIPv4Key = "com.docker.network.bridge.inhibit_ipv4"
  static let enableICCKey = "com.docker.network.bridge.enable_icc"
  static let masqueradeKey = "com.docker.network.bridge.enable_ip_masquerade"
  static let hostIPv4Key = "com.docker.network.host_ipv4"
  static let hostIPv6Key = "com.docker.network.host_ipv6"
  static let hostBindingKey = "com.docker.network.bridge.host_binding_ipv4"
  static let gatewayModeIPv4Key = "com.docker.network.bridge.gateway_mode_ipv4"
  static let gatewayModeIPv6Key = "com.docker.network.bridge.gateway_mode_ipv6"
  static let nat66Key = "org.martlet.nat66"
  static let prefix6Key = "org.martlet.nptv6"
  static let namesKey = "org.martlet.names"
  static let parentKey = "parent"
  static let macvlanModeKey = "macvlan_mode"
  static let ipvlanModeKey = "ipvlan_mode"
  static let ipvlanFlagKey = "ipvlan_flag"
  private static let ofBridge = [
    mtuKey, interfacePrefixKey, gatewayInterfaceKey, inhibitIPv4Key, enableICCKey, masqueradeKey, hostIPv4Key,
    hostIPv6Key, hostBindingKey, gatewayModeIPv4Key, gatewayModeIPv6Key, nat66Key, prefix6Key, namesKey,
  ]

  static func known(to driver: Driver) -> [String] {
    switch driver {
    case .bridge: ofBridge
    case .overlay: ofBridge + OverlayPlan.keys
    case .macvlan: [mtuKey, interfacePrefixKey, namesKey, parentKey, macvlanModeKey]
    case .ipvlan: [mtuKey, interfacePrefixKey, namesKey, parentKey, ipvlanModeKey, ipvlanFlagKey]
    case .none, .host: []
    }
  }

  static let defaultInterfacePrefix = "eth"

  var mtu: Int?
  /// Interfaces in sandboxes are called this and a number.
  var interfacePrefix = defaultInterfacePrefix
  var gatewayInterface: String?
  /// The gateway's interface gets no IPv4 address.
  var inhibitsIPv4 = false
  /// false: endpoints reach the gateway, and not each other.
  var connectsEndpoints = true

  /// Sandboxes resolve each other's names; nil: as the network's kind has it.
  var names: Bool?

  /// Sources are translated where the gateway mode says so.
  var masquerades = true
  /// Sources are translated to this address.
  var hostIPv4: IPAddress?
  var hostIPv6: IPAddress?
  /// Of the host, for published ports that name none; nil: all.
  var hostBinding: IPAddress?
  /// nil: the network's.
  var gatewayModeIPv4: GatewayMode?
  var gatewayModeIPv6: GatewayMode?
  var nat66 = false
  /// The IPv6 subnet's addresses are translated to this prefix of the same length (RFC 6296).
  var prefix6: IPPrefix?

  /// Of the driver overlay.
  var overlay = OverlayPlan()

  /// The interface that leads to the LAN.
  var parent: String?
  /// As given.
  var macvlanMode: String?
  var ipvlanMode: String?
  var ipvlanFlag: String?

  init(_ options: [String: String], _ driver: Driver) throws(ControlError) {
    let known = Self.known(to: driver)
    for (key, value) in options {
      guard known.contains(key) else {
        throw ControlError(
          .unsupported,
          "option \(key.quoted) is not known to the driver \(driver.rawValue): known are \(known.joined(separator: ", "))"
        )
      }
      if try setRouting(key, value) { continue }
      if try overlay.set(key, value) { continue }
      switch key {
      case Self.mtuKey:
        guard let number = Int(value) else {
          throw ControlError(.invalid, "option \(key): \(value.quoted) is no number")
        }
        mtu = number
      case Self.interfacePrefixKey:
        try Name.checkInterface(value)
        guard value.utf8.count <= Limits.interfacePrefixLength else {
          throw ControlError(
            .invalid, "option \(key): \(value.quoted) has more than \(Limits.interfacePrefixLength) bytes")
        }
        interfacePrefix = value
      case Self.gatewayInterfaceKey:
        try Name.checkInterface(value)
        gatewayInterface = value
      case Self.inhibitIPv4Key: inhibitsIPv4 = try Self.boolean(key, value)
      case Self.namesKey: names = try Self.boolean(key, value)
      case Self.enableICCKey: connectsEndpoints = try Self.boolean(key, value)
      case Self.parentKey:
        try Name.checkInterface(value)
        parent = value
      case Self.macvlanModeKey: macvlanMode = value
      case Self.ipvlanModeKey: ipvlanMode = value
      case Self.ipvlanFlagKey: ipvlanFlag = value
      default: preconditionFailure("option \(key) is known and nothing follows from it")
      }
    }
  }

  /// Options of the way outside; false for others.
  private mutating func setRouting(_ key: String, _ value: String) throws(ControlError) -> Bool {
    switch key {
    case Self.masqueradeKey: masquerades = try Self.boolean(key, value)
    case Self.nat66Key: nat66 = try Self.boolean(key, value)
    case Self.prefix6Key:
      guard let prefix = IPPrefix(value), prefix.isIPv6, prefix.isNetwork, prefix.length <= PrefixTranslation.lengthMax
      else {
        throw ControlError(.invalid, "option \(key): \(value.quoted) is no IPv6 prefix such as 2001:db8:1:2::/64")
      }
      prefix6 = prefix
    case Self.hostIPv4Key: hostIPv4 = try Self.address(key, value, isIPv6: false)
    case Self.hostIPv6Key: hostIPv6 = try Self.address(key, value, isIPv6: true)
    case Self.hostBindingKey:
      guard let address = IPAddress(value) else {
        throw ControlError(.invalid, "option \(key): \(value.quoted) is no IP address")
      }
      // As Docker: 0.0.0.0 stands for all, :: for those of IPv6.
      hostBinding = address.isUnspecified && !address.isIPv6 ? nil : address
    case Self.gatewayModeIPv4Key: gatewayModeIPv4 = try Self.gatewayMode(key, value)
    case Self.gatewayModeIPv6Key: gatewayModeIPv6 = try Self.gatewayMode(key, value)
    default: return false
    }
    return true
  }

  private static func address(_ key: String, _ value: String, isIPv6: Bool) throws(ControlError) -> IPAddress {
    guard let address = IPAddress(value), address.isIPv6 == isIPv6 else {
      throw ControlError(.invalid, "option \(key): \(value.quoted) is no \(isIPv6 ? "IPv6" : "IPv4") address")
    }
    return address
  }

  private static func gatewayMode(_ key: String, _ value: String) throws(ControlError) -> GatewayMode {
    switch GatewayMode(rawValue: value) {
    case .nat: return .nat
    case .routed: return .routed
    default:
      throw ControlError(
        .invalid, "option \(key): \(value.quoted) is neither nat nor routed; --gateway-mode has more, for both families"
      )
    }
  }

  /// Refuses a gateway mode beside that of one family which it contradicts.
  func check(_ mode: GatewayMode) throws(ControlError) {
    guard mode == .isolated || mode == .natUnprotected, gatewayModeIPv4 ?? gatewayModeIPv6 != nil else { return }
    throw ControlError(
      .invalid,
      "gateway mode \(mode.rawValue) is for both families: it goes with no gateway_mode_ipv4 or gateway_mode_ipv6"
    )
  }

  private static func boolean(_ key: String, _ value: String) throws(ControlError) -> Bool {
    switch value {
    case "true", "1": return true
    case "false", "0": return false
    default: throw ControlError(.invalid, "option \(key): \(value.quoted) is neither true nor false")
    }
  }
}

extension NetworkRecord {
  /// They were checked when the network was made: an error means that the store was altered by another hand.
  var parsedOptions: NetworkOptions {
    get throws(ControlError) {
      do { return try NetworkOptions(options, driver) } catch {
        throw ControlError(.system, "network \(name): the store has options that were never accepted: \(error)")
      }
    }
  }
}
