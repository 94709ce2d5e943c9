import ControlModel
import Wire

extension Controller {
  /// Gives a network its gateway port: a TAP in the daemon's namespace with the gateway's addresses, and the barrier that
  /// keeps the host from forwarding between networks. Nothing for networks without one, and for isolated ones.
  func raiseGateway(_ network: NetworkRecord, _ rollback: inout Rollback) throws(ControlError) {
    guard let interface = network.gatewayInterface, network.gatewayMode != .isolated,
      let handle = dataPlaneNetworks[network.id]
    else { return }
    let addresses = try gatewayAddresses(network)
    let tap = try host.attachTAP(
      interface, alias: InterfaceMark.gateway(network: network.id), queues: dataPlane.queuesPerPort, in: host.own)
    rollback.add("remove \(interface)") { [host] () throws(ControlError) in
      try host.removeLink(interface, in: host.own)
    }
    let port = try dataPlane.addPort(queues: tap, to: handle, DataPlanePortOptions(isAnycastGateway: network.isShared))
    gatewayPorts[network.id] = port
    rollback.add("take the port of \(interface) away") { [self] () throws(ControlError) in
      gatewayPorts[network.id] = nil
      try dataPlane.removePort(port)
    }
    let settings = LinkSettings(
      mac: network.gatewayMac, mtu: network.mtu, segmentedFrameBytesMax: try segmentedFrameBytesMax(on: network))
    try host.configure(interface, settings, in: host.own)
    // Before the addresses: from the first moment on, nothing crosses from network to network.
    if let barrier = try barrier(network) {
      rollback.add("lower the barrier of \(interface)") { [host] () throws(ControlError) in
        try host.lowerBarrier(barrier)
      }
      try host.raiseBarrier(barrier)
    }
    try host.setUp(interface, ipv6: addresses.contains(where: \.isIPv6), in: host.own)
    for address in addresses { try host.addAddress(address, to: interface, in: host.own) }
    rollback.add("route network \(network.name) no longer") { [self] () throws(ControlError) in
      try setGateway(nil, of: network)
      try refreshClaimedSubnets()
    }
    try refreshGateway(network)
    try refreshClaimedSubnets()
    if network.isShared { try tellGateway(of: network, isThere: true) }
    rollback.add("serve no names on network \(network.name)") { [self] () throws(ControlError) in
      closeNames(of: network)
    }
    try refreshNames(of: network)
  }

  /// What is gone already is no error.
  func lowerGateway(_ network: NetworkRecord) throws(ControlError) {
    closeNames(of: network)
    try setGateway(nil, of: network)
    try refreshClaimedSubnets()
    if network.isShared { try tellGateway(of: network, isThere: false) }
    if let port = gatewayPorts[network.id] {
      try dataPlane.removePort(port)
      gatewayPorts[network.id] = nil
    }
    let mark = InterfaceMark.gateway(network: network.id)
    for link in try host.links(in: host.own) where link.alias == mark { try host.removeLink(link.name, in: host.own) }
    if let barrier = try barrier(network) { try host.lowerBarrier(barrier) }
  }

  func gatewayAddresses(_ network: NetworkRecord) throws(ControlError) -> [IPPrefix] {
    let inhibitsIPv4 = try network.parsedOptions.inhibitsIPv4
    return try store.subnets(ofNetwork: network.id).filter { $0.isIpv6 || !inhibitsIPv4 }.compactMap(\.gatewayPrefix)
  }

  /// nil for a network without a gateway port: the host has no part in it.
  func barrier(_ network: NetworkRecord) throws(ControlError) -> ForwardingBarrier? {
    guard let interface = network.gatewayInterface, network.gatewayMode != .isolated else { return nil }
    let prefixes = try store.subnets(ofNetwork: network.id).map(\.prefix)
    return ForwardingBarrier(gatewayInterface: interface, subnets: prefixes, isInternal: network.isInternal)
  }
}

extension NetworkRecord {
  /// Endpoints of the network may send what is meant for elsewhere to its gateway.
  var offersDefaultRoute: Bool {
    (gatewayInterface != nil || lanMode != nil) && !isInternal && gatewayMode != .isolated
  }
}
