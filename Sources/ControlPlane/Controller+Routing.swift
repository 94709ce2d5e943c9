import ControlModel
import Wire

/// Networks whose gateway is the data plane, and their endpoints' addresses.
extension Controller {
  /// What the data plane is to know of the network's gateway; nil: the host routes for it, or nobody.
  private func gateway(of network: NetworkRecord) throws(ControlError) -> DataPlaneGateway? {
    guard let uplink = uplinkRecord, network.offersDefaultRoute, network.state != .removing,
      let port = gatewayPorts[network.id], let mac = network.gatewayMac
    else { return nil }
    let (options, modes) = (try network.parsedOptions, try network.gatewayModes)
    let asksNAT66 = options.nat66 || uplink.translatesIpv6 || options.gatewayModeIPv6 == .nat
    return DataPlaneGateway(
      mac: mac, addresses: try gatewayAddresses(network), port: port, mtu: network.mtu,
      translatesIPv4: options.masquerades && modes.ipv4 != .routed,
      translatesIPv6: options.masquerades && modes.ipv6 != .routed && asksNAT66,
      isOpen: network.gatewayMode == .natUnprotected || network.isRoutedToLAN,
      outbound: [options.hostIPv4, options.hostIPv6].compactMap { $0 },
      prefixTranslation: try prefixTranslation(of: network),
      meshAddresses: try store.meshAddresses(ofNetwork: network.id))
  }

  /// nil: the network's option names no prefix.
  func prefixTranslation(of network: NetworkRecord) throws(ControlError) -> PrefixTranslation? {
    guard let outside = try network.parsedOptions.prefix6 else { return nil }
    guard let inside = try store.subnets(ofNetwork: network.id).first(where: \.isIpv6)?.prefix else { return nil }
    return PrefixTranslation(inside: inside, outside: outside)
  }

  /// Tells the data plane what it has not been told of the network's gateway.
  func refreshGateway(_ network: NetworkRecord) throws(ControlError) {
    try setGateway(try gateway(of: network), of: network)
  }

  func setGateway(_ gateway: DataPlaneGateway?, of network: NetworkRecord) throws(ControlError) {
    guard gateway != gateways[network.id], let handle = dataPlaneNetworks[network.id] else { return }
    try dataPlane.setGateway(gateway, of: handle)
    gateways[network.id] = gateway
  }

  /// What comes from outside for a network is the data plane's to judge: the host would send it on.
  func refreshClaimedSubnets() throws(ControlError) {
    guard uplink != nil else { return }
    let outside = gateways.values.compactMap(\.prefixTranslation?.outsidePrefix)
    let subnets = (gateways.values.flatMap(\.addresses).map(\.network) + outside)
      .sorted { $0.description < $1.description }
    guard subnets != claimedSubnets else { return }
    try host.setUplinkSubnets(subnets)
    claimedSubnets = subnets
  }

  /// Refuses a fixed outbound address that the uplink has not.
  func checkOutbound(_ network: NetworkRecord) throws(ControlError) {
    guard let external = uplink?.facts.addresses.map(\.address), let record = uplinkRecord else { return }
    let options = try network.parsedOptions
    for (key, address) in [
      (NetworkOptions.hostIPv4Key, options.hostIPv4), (NetworkOptions.hostIPv6Key, options.hostIPv6),
    ] {
      guard let address, !external.contains(address) else { continue }
      let known = external.isEmpty ? "none" : external.map(\.description).joined(separator: ", ")
      throw ControlError(
        .invalid, "option \(key): \(address) is no external address of uplink \(record.interface), which has \(known)")
    }
  }

  /// Tells the data plane where the endpoint's addresses are. They go with its port.
  func addHosts(of endpoint: EndpointRecord, at port: DataPlanePort) throws(ControlError) {
    guard let mac = endpoint.mac else { return }
    for address in try store.addresses(ofEndpoint: endpoint.id) {
      try dataPlane.addHost(DataPlaneHost(address: address.address, mac: mac, port: port))
    }
  }
}
