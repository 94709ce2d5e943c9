import ControlModel
import Wire

// Live restore: the interfaces outlive the process, so a start finds them and takes them up again. What stands in the store
// as an intent was cut short and is taken away; what is settled is brought up, and collected where its interface is gone.

extension Controller {
  func restore() throws(ControlError) {
    try rollBackIntents()
    restoreSessionSettings()
    uplinkRecord = try store.uplink()
    for network in try store.networks() where network.driver.hasSwitch { try restoreNetwork(network) }
    try restoreOverlays()
    for endpoint in try store.endpoints() {
      attempt("restore endpoint \(endpoint.id)") { () throws(ControlError) in try restoreEndpoint(endpoint) }
    }
    removeEmptySwarmNetworks()
    try releaseUnusedAddresses()
    try restorePorts()
    watchParents()
    watchUplink()
    try restorePublications()
    try restoreServices()
    attempt("take up sessions again") { () throws(ControlError) in
      let (restored, count) = try dataPlane.restoreSessions()
      if count > 0 { logger.info("\(restored) of \(count) sessions taken up again") }
      // Now, and not before: else the host resets what it is not told of yet.
      if let uplink { try host.endLingering(on: uplink.index) }
    }
    try restoreNames()
    // Those of VTEPs came with their peers.
    for network in try store.networks() { restoreStaticEntries(of: network) { $0.vtep == nil } }
    for sandbox in try store.sandboxes() {
      try removeIfImplicit(sandbox)
      if sandbox.inode != 0, try namespaceNow(of: sandbox) == nil {
        logger.warning("sandbox \(sandbox.name): its namespace \(sandbox.path) is gone")
      }
    }
    try removeOrphans()
    try removeUnusedLibraries()
    refreshPolicies()
    refreshMirrors()
  }

  /// Endpoints before their networks and sandboxes, which their records refer to.
  private func rollBackIntents() throws(ControlError) {
    try rollBackServices()
    for endpoint in try store.endpoints() where endpoint.state != .settled {
      logger.warning("endpoint \(endpoint.id) was cut short: taken away")
      attempt("take endpoint \(endpoint.id) away") { () throws(ControlError) in try removeEndpoint(endpoint) }
    }
    for port in try store.interfacePorts() where port.state != .settled {
      logger.warning("interface \(port.interface) was cut short: detached")
      attempt("detach \(port.interface)") { () throws(ControlError) in try removePort(port) }
    }
    try rollBackPublications()
    for sandbox in try store.sandboxes() where sandbox.state != .settled {
      logger.warning("sandbox \(sandbox.name) was cut short: taken away")
      attempt("take sandbox \(sandbox.name) away") { () throws(ControlError) in try removeSandbox(sandbox) }
    }
    for network in try store.networks() where network.state != .settled {
      logger.warning("network \(network.name) was cut short: taken away")
      attempt("take network \(network.name) away") { () throws(ControlError) in try removeNetwork(network) }
    }
  }

  /// A network whose gateway cannot be brought up goes on as a switch without: its endpoints reach each other.
  private func restoreNetwork(_ network: NetworkRecord) throws(ControlError) {
    guard network.state == .settled else { return }
    dataPlaneNetworks[network.id] = try dataPlane.addNetwork(network.dataPlaneOptions)
    restorePolicy(of: network)
    attempt("restore the gateway of network \(network.name)") { () throws(ControlError) in
      guard let interface = network.gatewayInterface, network.gatewayMode != .isolated else { return }
      let mark = InterfaceMark.gateway(network: network.id)
      let links = try host.links(in: host.own)
      if let found = links.first(where: { $0.name == interface }), found.alias != mark {
        throw ControlError(.conflict, "interface \(interface) is someone else's: remove it and start martletd again")
      }
      // One that stands already is not removed when a later step fails: it holds what may be the user's.
      var rollback = Rollback(logger: logger)
      try raiseGateway(network, &rollback)
    }
  }

  private func restoreEndpoint(_ endpoint: EndpointRecord) throws(ControlError) {
    guard endpoint.state == .settled, let handle = dataPlaneNetworks[endpoint.networkId],
      let sandbox = try store.sandbox(id: endpoint.sandboxId)
    else { return }
    let (namespace, link): (NamespaceReference, HostLink)
    if sandbox.inode == 0 {
      // An engine's: it may join yet, or its interface may be on its way.
      arriving[endpoint.id] = Arrival(path: sandbox.path)
      guard let place = try place(of: endpoint) else { return }
      (namespace, link) = place
    } else {
      guard let found = try namespaceNow(of: sandbox) else {
        return try collect(endpoint, because: "its namespace \(sandbox.path) is gone")
      }
      guard let interface = try self.link(of: endpoint, in: found) else {
        return try collect(endpoint, because: "its interface \(endpoint.interface) is gone")
      }
      (namespace, link) = (found, interface)
    }
    do throws(ControlError) {
      let tap = try host.attachTAP(
        link.name, alias: InterfaceMark.endpoint(endpoint.id), queues: dataPlane.queuesPerPort, in: namespace)
      let port = try dataPlane.addPort(queues: tap, to: handle, endpoint.dataPlaneOptions)
      endpointPorts[endpoint.id] = port
      if let network = try store.network(id: endpoint.networkId) { try tellEndpoint(endpoint, at: port, on: network) }
    } catch {
      troubles[endpoint.id] = error.message
      throw error
    }
    if link.name != endpoint.interface {
      var renamed = endpoint
      renamed.interface = link.name
      try store.update(renamed)
    }
  }

  func restoreStaticEntries(of network: NetworkRecord, where isMeant: (StaticEntryRecord) -> Bool) {
    attempt("restore static entries of network \(network.name)") { () throws(ControlError) in
      for entry in try store.staticEntries(ofNetwork: network.id) where isMeant(entry) {
        if let port = port(of: entry) { try dataPlane.addForwardingEntry(entry.mac, port: port) }
      }
    }
  }

  private func port(of entry: StaticEntryRecord) -> DataPlanePort? {
    if let endpoint = entry.endpointId { return endpointPorts[endpoint] }
    if let interface = entry.interface { return interfacePorts[interface]?.port }
    return gatewayPorts[entry.networkId]
  }

  private func restorePorts() throws(ControlError) {
    let records = try store.interfacePorts()
    if records.isEmpty { return }
    let links = try host.links(in: host.own)
    for record in records {
      attempt("restore interface \(record.interface)") { () throws(ControlError) in
        try restorePort(record, among: links)
      }
    }
  }

  /// Interfaces with our mark and barriers with our number that no record names: of a store that was lost.
  private func removeOrphans() throws(ControlError) {
    let networks = try store.networks()
    var known = Set(networks.map { InterfaceMark.gateway(network: $0.id) })
    known.formUnion(carriers.keys.map { InterfaceMark.carrier($0.carrier) })
    // An engine may not have moved them yet.
    known.formUnion(try store.endpoints().filter(\.isEngines).map { InterfaceMark.endpoint($0.id) })
    for link in try host.links(in: host.own)
    where link.alias.hasPrefix(InterfaceMark.prefix) && !known.contains(link.alias) {
      logger.warning("interface \(link.name) is of an earlier daemon and in no record: removed")
      attempt("remove \(link.name)") { () throws(ControlError) in try host.removeLink(link.name, in: host.own) }
    }
    var barriers: [ForwardingBarrier] = []
    for network in networks { if let barrier = try barrier(network) { barriers.append(barrier) } }
    try host.removeBarriers(except: barriers)
  }

  /// Takes everything away, and says the first thing that could not be.
  func purge() throws(ControlError) {
    var first: ControlError?
    func step(_ body: () throws(ControlError) -> Void) {
      do {
        try body()
      } catch {
        logger.error("purge: \(error)")
        if first == nil { first = error }
      }
    }
    dataPlane.removeSessionFile()
    for service in try store.services() { step { () throws(ControlError) in try removeService(service) } }
    for endpoint in try store.endpoints() { step { () throws(ControlError) in try removeEndpoint(endpoint) } }
    for port in try store.interfacePorts() { step { () throws(ControlError) in try removePort(port) } }
    for network in try store.networks() { step { () throws(ControlError) in try removeNetwork(network) } }
    step { () throws(ControlError) in try unsetUplink() }
    // As it stands then: what one owned may have passed to the next.
    while first == nil, let sandbox = try store.sandboxes().first {
      step { () throws(ControlError) in try removeSandbox(sandbox) }
    }
    step { () throws(ControlError) in try host.removeBarriers(except: []) }
    if let first { throw first }
    try store.erase()
    try removeUnusedLibraries()
    policyWatch?.remove()
    logger.info("everything was taken away")
  }
}
