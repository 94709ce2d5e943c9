import ControlModel

/// The options of `network create -o` that are honoured, by the names Docker's bridge driver gives them.
struct NetworkOptions {
  static let mtuKey = "com.docker.network.driver.mtu"
  static let interfacePrefixKey = "com.docker.network.container_iface_prefix"
  static let gatewayInterfaceKey = "com.docker.network.bridge.name"
  static let inhibitIPv4Key = "com.docker.network.bridge.inhibit_ipv4"
  static let enableICCKey = "com.docker.network.bridge.enable_icc"
  static let known = [mtuKey, interfacePrefixKey, gatewayInterfaceKey, inhibitIPv4Key, enableICCKey]

  static let defaultInterfacePrefix = "eth"

  var mtu: Int?
  /// Interfaces in sandboxes are called this and a number.
  var interfacePrefix = defaultInterfacePrefix
  var gatewayInterface: String?
  /// The gateway's interface gets no IPv4 address.
  var inhibitsIPv4 = false
  /// false: endpoints reach the gateway, and not each other.
  var connectsEndpoints = true

  init(_ options: [String: String]) throws(ControlError) {
    for (key, value) in options {
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
      case Self.enableICCKey: connectsEndpoints = try Self.boolean(key, value)
      default:
        let known = Self.known.joined(separator: ", ")
        throw ControlError(.unsupported, "option \(key.quoted) is not known: known are \(known)")
      }
    }
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
      do { return try NetworkOptions(options) } catch {
        throw ControlError(.system, "network \(name): the store has options that were never accepted: \(error)")
      }
    }
  }
}
