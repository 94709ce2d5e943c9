import ControlModel
import Wire

extension Controller {
  /// The word for the gateway's port where a port is named.
  static let gatewayPortName = "gateway"
  static let interfacePortKind = "interface"
  static let vtepKind = "vtep"
  private static let vtepPrefix = vtepKind + "="

  /// A port as it was named, and what a static entry keeps of it.
  private struct NamedPort {
    var port: DataPlanePort
    var endpoint: String?
    var interface: String?
    var vtep: IPAddress?
  }

  /// The network and its switch, for what only a switch has.
  private func networkWithSwitch(_ name: String) throws(ControlError) -> (NetworkRecord, DataPlaneNetwork) {
    let network = try settled(try store.network(name))
    guard let handle = dataPlaneNetworks[network.id] else {
      throw ControlError(
        .unsupported, "network \(network.name) of the driver \(network.driver.rawValue) has no MAC table")
    }
    return (network, handle)
  }

  func forwardingEntries(network name: String) throws(ControlError) -> [ForwardingEntry] {
    let (network, handle) = try networkWithSwitch(name)
    let ports = try forwardingPorts(of: network)
    return try dataPlane.forwardingEntries(handle).compactMap { entry in
      guard let port = ports[entry.port] else { return nil }
      return ForwardingEntry(
        mac: entry.mac.description, port: port, static: entry.isStatic,
        ageSeconds: entry.isStatic ? 0 : entry.ageSeconds)
    }
  }

  private func forwardingPorts(of network: NetworkRecord) throws(ControlError) -> [DataPlanePort: ForwardingPort] {
    var ports: [DataPlanePort: ForwardingPort] = [:]
    if let gateway = gatewayPorts[network.id] {
      ports[gateway] = ForwardingPort(kind: Self.gatewayPortName, interface: network.gatewayInterface)
    }
    for endpoint in try store.endpoints(ofNetwork: network.id) {
      guard let port = endpointPorts[endpoint.id] else { continue }
      ports[port] = ForwardingPort(kind: "endpoint", endpoint: endpoint.id, interface: endpoint.interface)
    }
    if let parent = network.parent, let raised = parents[network.id] {
      ports[raised.port] = ForwardingPort(kind: Self.interfacePortKind, interface: parent)
    }
    for record in try store.interfacePorts(ofNetwork: network.id) {
      guard let attached = interfacePorts[record.interface] else { continue }
      ports[attached.port] = ForwardingPort(kind: Self.interfacePortKind, interface: record.interface)
    }
    for (address, told) in raisedOverlays[network.id]?.remotes ?? [:] {
      ports[told.port] = ForwardingPort(kind: Self.vtepKind, address: address.description)
    }
    return ports
  }

  /// A port by `gateway`, by `vtep=ADDRESS`, by its interface, or by the id of an endpoint.
  private func port(_ name: String, of network: NetworkRecord) throws(ControlError) -> NamedPort {
    if name == Self.gatewayPortName {
      guard let port = gatewayPorts[network.id] else {
        throw ControlError(.notFound, "network \(network.name) has no gateway port")
      }
      return NamedPort(port: port)
    }
    if name.hasPrefix(Self.vtepPrefix) {
      let peer = try Self.peer(String(name.dropFirst(Self.vtepPrefix.count)))
      if let told = raisedOverlays[network.id]?.remotes[peer] { return NamedPort(port: told.port, vtep: peer) }
      guard try store.overlayPeers(ofNetwork: network.id).contains(peer) else {
        throw ControlError(
          .notFound, "\(peer) is no peer of network \(network.name): martlet overlay peer add \(network.name) \(peer)")
      }
      throw ControlError(
        .conflict, "the overlay of network \(network.name) is down: martlet overlay show \(network.name) says why")
    }
    if let record = try store.interfacePort(name), record.networkId == network.id {
      guard let attached = interfacePorts[name] else {
        throw ControlError(.conflict, "interface \(name) is missing or down: martlet port ls says which")
      }
      return NamedPort(port: attached.port, interface: name)
    }
    let endpoint = try store.endpoint(name)
    guard endpoint.networkId == network.id else {
      throw ControlError(.notFound, "endpoint \(Identifier.short(endpoint.id)) is not on network \(network.name)")
    }
    guard let port = endpointPorts[endpoint.id] else {
      throw ControlError(.conflict, "endpoint \(Identifier.short(endpoint.id)) is down")
    }
    return NamedPort(port: port, endpoint: endpoint.id)
  }

  private static func mac(_ text: String) throws(ControlError) -> MACAddress {
    guard let mac = MACAddress(text), mac.isValidSource else {
      throw ControlError(.invalid, "MAC \(text.quoted) is no unicast address such as 02:42:ac:11:00:02")
    }
    return mac
  }

  /// Refuses to change what follows from the endpoints.
  private func checkHasFreeTable(_ network: NetworkRecord) throws(ControlError) {
    guard network.lanMode != nil else { return }
    throw ControlError(
      .unsupported,
      "network \(network.name) of the driver \(network.driver.rawValue) forwards by its endpoints' addresses alone")
  }

  func addForwardingEntry(network name: String, _ request: ForwardingEntryRequest) throws(ControlError) {
    let (network, handle) = try networkWithSwitch(name)
    try checkHasFreeTable(network)
    let mac = try Self.mac(request.mac)
    let named = try port(request.port, of: network)
    let kept = try store.staticEntries(ofNetwork: network.id)
    guard kept.count < network.fdbLimit || kept.contains(where: { $0.mac == mac }) else {
      throw ControlError(
        .exhausted, "network \(network.name) has \(kept.count) static entries, as many as its MAC table takes")
    }
    try change { rollback throws(ControlError) in
      try dataPlane.addForwardingEntry(mac, port: named.port)
      rollback.add("remove the entry of \(mac)") { [dataPlane] () throws(ControlError) in
        _ = try dataPlane.removeForwardingEntry(mac, network: handle)
      }
      try store.replace(
        StaticEntryRecord(
          networkId: network.id, mac: mac, endpointId: named.endpoint, interface: named.interface, vtep: named.vtep))
    }
  }

  func removeForwardingEntry(network name: String, mac text: String) throws(ControlError) {
    let (network, handle) = try networkWithSwitch(name)
    try checkHasFreeTable(network)
    let mac = try Self.mac(text)
    guard try dataPlane.removeForwardingEntry(mac, network: handle) else {
      throw ControlError(.notFound, "MAC \(mac) is not in the table of network \(network.name)")
    }
    try store.deleteStaticEntry(network: network.id, mac: mac)
  }

  func flushForwardingEntries(network name: String, port: String?) throws(ControlError) {
    let (network, handle) = try networkWithSwitch(name)
    let port = try port.map { name throws(ControlError) in try self.port(name, of: network).port }
    try dataPlane.flushForwardingEntries(handle, port: port)
  }

  // MARK: Counters

  func statistics(network name: String?) throws(ControlError) -> Statistics {
    let asked = try name.map { name throws(ControlError) in try store.network(name).name }
    let networks = try measurements().networks.filter { asked == nil || $0.name == asked }
    return Statistics(
      networks: networks.map { network in
        NetworkStatistics(
          name: network.name, rxFrames: network.total.rxFrames, txFrames: network.total.txFrames,
          floodedCopies: network.floodedCopies, routedOut: network.routedOut, routedIn: network.routedIn,
          drops: network.total.drops, fdbEntries: network.fdbEntries, ports: network.ports)
      })
  }

  // MARK: Announcements

  /// Tells the network at which MAC an endpoint's addresses now are. No error where the endpoint has gone since.
  func announce(_ id: String) {
    guard let port = endpointPorts[id] else { return }
    attempt("announce endpoint \(id)") { () throws(ControlError) in
      guard let endpoint = try store.endpoint(id: id), let network = try store.network(id: endpoint.networkId),
        let mac = mac(of: endpoint, on: network)
      else { return }
      let frames = try store.addresses(ofEndpoint: id).map { AddressAnnouncement.frame(for: $0.address, at: mac) }
      try dataPlane.inject(frames, from: port)
    }
  }
}
