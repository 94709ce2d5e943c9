import ControlModel
import Wire

/// A mirror that the data plane has.
struct RaisedMirror: Equatable {
  var from: DataPlanePort
  var to: DataPlanePort
}

// A mirror is kept in the store, by what its ports are. It is in the data plane while both are there: the data plane itself takes it
// away with a port, and this gives it back with the next port of that kind. What cannot come back takes its mirrors along.
extension Controller {
  func addMirror(network name: String, _ request: MirrorRequest) throws(ControlError) -> PortMirror {
    let network = try settled(try store.network(name))
    guard dataPlaneNetworks[network.id] != nil else {
      throw ControlError(
        .unsupported, "network \(network.name) of the driver \(network.driver.rawValue) has no switch to mirror at")
    }
    let from = try observedPort(request.from, of: network)
    let to = try observedPort(request.to, of: network)
    guard from.key != to.key else {
      throw ControlError(.invalid, "port \(from.name) cannot be mirrored to itself: choose another destination")
    }
    let all = try store.mirrors()
    let old = all.first { $0.networkId == network.id && $0.source == from.key && $0.destination == to.key }
    guard old != nil || all.count < Limits.mirrors else {
      throw ControlError(.exhausted, "there are \(all.count) mirrors, the most allowed: remove one")
    }
    let direction = request.direction ?? .both
    let record = MirrorRecord(
      id: old?.id ?? Identifier.random(), networkId: network.id, source: from.key, destination: to.key,
      direction: direction)
    try store.set(record)
    do throws(ControlError) {
      try dataPlane.setMirror(from: from.port, to: to.port, direction)
    } catch {
      if let old { try store.set(old) } else { try store.deleteMirror(record.id) }
      throw error
    }
    raisedMirrors[record.id] = RaisedMirror(from: from.port, to: to.port)
    logger.info("network \(network.name): \(from.name) is mirrored to \(to.name)")
    return view(record, of: network, try observedPorts(of: network))
  }

  func removeMirror(network name: String, from: String, to: String) throws(ControlError) {
    let network = try store.network(name)
    let ports = try observedPorts(of: network)
    let record = try store.mirrors().first {
      $0.networkId == network.id && isNamed($0.source, from, ports) && isNamed($0.destination, to, ports)
    }
    guard let record else {
      throw ControlError(
        .notFound,
        "no mirror from \(from.quoted) to \(to.quoted): martlet mirror ls \(network.name) shows those there are")
    }
    try store.deleteMirror(record.id)
    if let raised = raisedMirrors.removeValue(forKey: record.id) {
      dataPlane.removeMirror(from: raised.from, to: raised.to)
    }
    logger.info("network \(network.name): the mirror from \(from) to \(to) is removed")
  }

  /// Also where the port is not there now.
  private func isNamed(_ key: String, _ name: String, _ ports: [ObservedPort]) -> Bool {
    if let port = ports.first(where: { $0.key == key }), port.name == name || port.names.contains(name) { return true }
    return shownName(key, ports) == name
      || name.utf8.count >= Limits.idPrefixMinimum && key.hasPrefix(PortKey.endpoint(name))
  }

  private func shownName(_ key: String, _ ports: [ObservedPort]) -> String {
    if let port = ports.first(where: { $0.key == key }) { return port.name }
    if key.hasPrefix(PortKey.endpointPrefix) {
      return Identifier.short(String(key.dropFirst(PortKey.endpointPrefix.count)))
    }
    return key.hasPrefix(PortKey.interfacePrefix) ? String(key.dropFirst(PortKey.interfacePrefix.count)) : key
  }

  func mirrors(network name: String?) throws(ControlError) -> [PortMirror] {
    let asked = try name.map { name throws(ControlError) in try store.network(name).id }
    var ports: [String: [ObservedPort]] = [:]
    var views: [PortMirror] = []
    for record in try store.mirrors() where asked == nil || record.networkId == asked {
      guard let network = try store.network(id: record.networkId) else { continue }
      if ports[network.id] == nil { ports[network.id] = try observedPorts(of: network) }
      views.append(view(record, of: network, ports[network.id] ?? []))
    }
    return views
  }

  private func view(_ record: MirrorRecord, of network: NetworkRecord, _ ports: [ObservedPort]) -> PortMirror {
    PortMirror(
      id: record.id, network: network.name, from: shownName(record.source, ports),
      to: shownName(record.destination, ports), direction: record.direction,
      state: raisedMirrors[record.id] == nil ? "down" : "up")
  }

  /// After each call and each thing that happens: gives the data plane the mirrors whose ports have come, and forgets those whose
  /// ports will not.
  func refreshMirrors() {
    guard portsGeneration != mirroredGeneration else { return }
    mirroredGeneration = portsGeneration
    attempt("look after mirrors") { () throws(ControlError) in
      var ports: [String: [ObservedPort]] = [:]
      let records = try store.mirrors()
      // Some went with their network.
      let ids = Set(records.map(\.id))
      raisedMirrors = raisedMirrors.filter { ids.contains($0.key) }
      for record in records {
        guard let network = try store.network(id: record.networkId), try exists(record.source, on: network),
          try exists(record.destination, on: network)
        else {
          raisedMirrors[record.id] = nil
          try store.deleteMirror(record.id)
          logger.info("a mirror went with its port", metadata: ["id": "\(record.id)"])
          continue
        }
        if ports[network.id] == nil { ports[network.id] = try observedPorts(of: network) }
        let there = ports[network.id] ?? []
        guard let from = there.first(where: { $0.key == record.source })?.port,
          let to = there.first(where: { $0.key == record.destination })?.port
        else {
          raisedMirrors[record.id] = nil
          continue
        }
        let wanted = RaisedMirror(from: from, to: to)
        if raisedMirrors[record.id] == wanted { continue }
        try dataPlane.setMirror(from: from, to: to, record.direction)
        raisedMirrors[record.id] = wanted
      }
    }
  }

  /// Whether the store has what the key stands for.
  private func exists(_ key: String, on network: NetworkRecord) throws(ControlError) -> Bool {
    if key.hasPrefix(PortKey.endpointPrefix) {
      return try store.endpoint(id: String(key.dropFirst(PortKey.endpointPrefix.count))) != nil
    }
    if key.hasPrefix(PortKey.interfacePrefix) {
      let interface = String(key.dropFirst(PortKey.interfacePrefix.count))
      if network.parent == interface { return true }
      return try store.interfacePort(interface)?.networkId == network.id
    }
    if key.hasPrefix(PortKey.vtepPrefix) {
      guard let address = IPAddress(String(key.dropFirst(PortKey.vtepPrefix.count))) else { return false }
      if raisedOverlays[network.id]?.remotes[address] != nil { return true }
      return try store.overlayPeers(ofNetwork: network.id).contains(address)
    }
    return network.gatewayMode != .isolated
  }
}
