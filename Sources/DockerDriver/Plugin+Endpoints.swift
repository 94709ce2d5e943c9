import ControlModel

/// NetworkDriver.CreateEndpoint.
struct EndpointCreation: Decodable {
  struct Interface: Codable, Equatable {
    var address: String?
    var addressIPv6: String?
    var mac: String?

    enum CodingKeys: String, CodingKey {
      case address = "Address"
      case addressIPv6 = "AddressIPv6"
      case mac = "MacAddress"
    }
  }

  let network: String
  let endpoint: String
  let interface: Interface?
  let options: EndpointOptions?

  enum CodingKeys: String, CodingKey {
    case network = "NetworkID"
    case endpoint = "EndpointID"
    case interface = "Interface"
    case options = "Options"
  }
}

/// Only what was not given: a field that the engine has given itself, and that comes back, is an error there.
struct EndpointCreated: Encodable {
  let interface: EndpointCreation.Interface

  enum CodingKeys: String, CodingKey { case interface = "Interface" }
}

struct EndpointReference: Decodable {
  let network: String
  let endpoint: String

  enum CodingKeys: String, CodingKey {
    case network = "NetworkID"
    case endpoint = "EndpointID"
  }
}

/// NetworkDriver.Join. Its `Options` are CreateEndpoint's once more, and are passed over.
struct Joining: Decodable {
  let network: String
  let endpoint: String
  let sandbox: String

  enum CodingKeys: String, CodingKey {
    case network = "NetworkID"
    case endpoint = "EndpointID"
    case sandbox = "SandboxKey"
  }
}

struct Joined: Encodable {
  struct InterfaceName: Encodable {
    let source: String
    let prefix: String

    enum CodingKeys: String, CodingKey {
      case source = "SrcName"
      case prefix = "DstPrefix"
    }
  }

  let interfaceName: InterfaceName
  let gateway: String?
  let gatewayIPv6: String?
  /// Else Docker makes a bridge of the kernel's for the way outside.
  let disablesGatewayService: Bool?

  init(_ join: DriverJoin) {
    interfaceName = InterfaceName(source: join.interface, prefix: join.interfacePrefix)
    (gateway, gatewayIPv6) = (join.gateway, join.gateway6)
    disablesGatewayService = gateway == nil && gatewayIPv6 == nil ? true : nil
  }

  enum CodingKeys: String, CodingKey {
    case interfaceName = "InterfaceName"
    case gateway = "Gateway"
    case gatewayIPv6 = "GatewayIPv6"
    case disablesGatewayService = "DisableGatewayService"
  }
}

/// NetworkDriver.ProgramExternalConnectivity.
struct ExternalConnectivity: Decodable {
  struct Options: Decodable {
    let ports: [PortBinding]?
    /// Another endpoint of the container leads outside with IPv6, and publishes the same ports there.
    let isIPv4Alone: Bool?

    enum CodingKeys: String, CodingKey {
      case ports = "com.docker.network.portmap"
      case isIPv4Alone = "com.docker.network.driver.private.no_proxy_6to4"
    }
  }

  let network: String
  let endpoint: String
  let options: Options?

  enum CodingKeys: String, CodingKey {
    case network = "NetworkID"
    case endpoint = "EndpointID"
    case options = "Options"
  }
}

/// NetworkDriver.EndpointOperInfo. Docker takes any keys; what its own drivers use, it casts to types that JSON has not.
struct EndpointInformation: Encodable {
  struct Value: Encodable {
    let mac: String
    let addresses: [String]
    let interface: String
    let published: [PublishedPort]
    let state: String
    let detail: String?

    enum CodingKeys: String, CodingKey {
      case mac = "MacAddress"
      case addresses = "Addresses"
      case interface = "Interface"
      case published = "Published"
      case state = "State"
      case detail = "Detail"
    }
  }

  let value: Value

  init(_ endpoint: Endpoint) {
    value = Value(
      mac: endpoint.mac, addresses: endpoint.addresses, interface: endpoint.interface, published: endpoint.published,
      state: endpoint.state, detail: endpoint.detail)
  }

  enum CodingKeys: String, CodingKey { case value = "Value" }
}

extension Plugin {
  static let endpointMethods = [
    "CreateEndpoint": Method { (plugin, creation: EndpointCreation) throws(ControlError) in
      let options = creation.options ?? EndpointOptions()
      try options.check()
      let given = creation.interface ?? EndpointCreation.Interface()
      let mac = given.mac.present
      let created = try plugin.driver.createEndpoint(
        DriverEndpointRequest(
          network: creation.network, endpoint: creation.endpoint,
          addresses: [given.address.present, given.addressIPv6.present].compactMap { $0 }, mac: mac,
          mtu: options.mtu))
      return EndpointCreated(interface: EndpointCreation.Interface(mac: mac == nil ? created.mac.present : nil))
    },
    "EndpointOperInfo": Method { (plugin, endpoint: EndpointReference) throws(ControlError) in
      try EndpointInformation(
        plugin.driver.endpointInformation(network: endpoint.network, endpoint: endpoint.endpoint))
    },
    "DeleteEndpoint": Method { (plugin, endpoint: EndpointReference) throws(ControlError) in
      try plugin.driver.deleteEndpoint(network: endpoint.network, endpoint: endpoint.endpoint)
      return Nothing()
    },
    "Join": Method { (plugin, joining: Joining) throws(ControlError) in
      try Joined(
        plugin.driver.join(network: joining.network, endpoint: joining.endpoint, sandbox: joining.sandbox))
    },
    "Leave": Method { (plugin, endpoint: EndpointReference) throws(ControlError) in
      try plugin.driver.leave(network: endpoint.network, endpoint: endpoint.endpoint)
      return Nothing()
    },
    "ProgramExternalConnectivity": Method { (plugin, connectivity: ExternalConnectivity) throws(ControlError) in
      var ports: [String] = []
      for binding in connectivity.options?.ports ?? [] {
        ports.append(try binding.specification(isIPv4Alone: connectivity.options?.isIPv4Alone ?? false))
      }
      if !ports.isEmpty {
        try plugin.driver.publish(network: connectivity.network, endpoint: connectivity.endpoint, ports: ports)
      }
      return Nothing()
    },
    "RevokeExternalConnectivity": Method { (plugin, endpoint: EndpointReference) throws(ControlError) in
      try plugin.driver.unpublish(network: endpoint.network, endpoint: endpoint.endpoint)
      return Nothing()
    },
  ]
}

extension String {
  /// Docker writes an empty string for what is not there.
  var present: String? { isEmpty ? nil : self }
}

extension String? {
  var present: String? { self?.present }
}
