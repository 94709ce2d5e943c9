import ControlModel
import Datapath
import Wire

// Theory of operation. A network on the LAN reaches it by its parent, an interface of the host that keeps its address and
// its connections. What the kernel and the data plane have of a parent goes with the process, so there is one way to every
// state: `watchParents` compares what there is with what was told. The record outlives the interface: while it is missing,
// endpoints reach each other alone, and the next interface of that name is taken up.

/// A parent as it was told to kernel and data plane.
struct RaisedParent: Equatable {
  var port: DataPlanePort
  /// The interface's: another one of the same name has another index.
  var index: Int32
  var offloads: SegmentationOffloads
  /// What its filter has; nil: nobody knows, since a step failed.
  var endpoints: ParentEndpoints? = ParentEndpoints()
}

extension Controller {
  // MARK: Checks

  /// The parent of a network that is to be made; nil where it has none. `mtu` is what was asked for.
  func checkParent(of network: NetworkRecord) throws(ControlError) -> HostLink? {
    guard let parent = network.parent else { return nil }
    let links = try host.links(in: host.own)
    guard let link = links.first(where: { $0.name == parent }) else {
      throw ControlError(.notFound, "no interface \(parent.quoted) in the daemon's namespace: ip link shows them")
    }
    try checkParent(link, among: links, of: network)
    return link
  }

  /// Refuses what leads to no LAN, what somebody else takes the frames of, and what is another network's alone.
  private func checkParent(
    _ link: HostLink, among links: [HostLink], of network: NetworkRecord
  ) throws(ControlError) {
    if link.alias.hasPrefix(InterfaceMark.prefix) {
      throw ControlError(.conflict, "interface \(link.name) is Martlet's own: it leads to no LAN")
    }
    guard link.isEthernet, link.mac != nil else {
      throw ControlError(.invalid, "interface \(link.name) carries no Ethernet frames: it leads to no LAN")
    }
    if let index = link.master {
      let master = links.first { $0.index == index }?.name ?? "another interface"
      throw ControlError(
        .conflict, "interface \(link.name) is a port of \(master): make \(master) the parent")
    }
    if let port = try store.interfacePort(link.name) {
      let other = try store.network(id: port.networkId)?.name ?? ""
      throw ControlError(
        .conflict, "interface \(link.name) is a port on network \(other): martlet port detach \(other) \(link.name)")
    }
    for other in try store.networks() where other.parent == link.name && other.id != network.id {
      guard other.lanMode?.hasParentAlone == true || network.lanMode?.hasParentAlone == true else { continue }
      throw ControlError(
        .conflict, "interface \(link.name) is the parent of network \(other.name): passthru takes it alone")
    }
    if network.lanMode?.hasParentAlone == true, uplinkRecord?.interface == link.name {
      throw ControlError(.conflict, "interface \(link.name) is the uplink: passthru would take its frames")
    }
    guard link.mtu >= network.mtu else {
      throw ControlError(
        .conflict,
        "interface \(link.name) has MTU \(link.mtu), network \(network.name) \(network.mtu): ip link set \(link.name) mtu \(network.mtu), or martlet network set \(network.name) --mtu \(link.mtu)"
      )
    }
  }

  /// Refuses an interface for another use that a network has as its parent; `alone` those that it has to itself only.
  func checkIsNoParent(_ interface: String, unlessShared: Bool) throws(ControlError) {
    for network in try store.networks() where network.parent == interface {
      if unlessShared, network.lanMode?.hasParentAlone != true { continue }
      throw ControlError(
        .conflict, "interface \(interface) is the parent of network \(network.name): martlet network rm \(network.name)"
      )
    }
  }

  // MARK: Raising and lowering

  func raiseParent(
    _ network: NetworkRecord, _ link: HostLink, _ rollback: inout Rollback
  ) throws(ControlError) {
    guard let mode = network.lanMode, let handle = dataPlaneNetworks[network.id] else { return }
    let offloads = try host.offloads(of: link)
    rollback.add("close the parent of network \(network.name)") { [host] () throws(ControlError) in
      try host.closeParent(ofNetwork: network.id)
    }
    let sockets = try host.openParent(
      ofNetwork: network.id, on: link, queues: dataPlane.queuesPerPort, taking: mode.frames)
    let options = DataPlanePortOptions(offloads: offloads, isParent: true)
    let port = try dataPlane.addPort(queues: sockets, to: handle, options)
    parents[network.id] = RaisedParent(port: port, index: link.index, offloads: offloads)
    rollback.add("take the parent's port of network \(network.name) away") { [self] () throws(ControlError) in
      try lowerParent(network)
    }
    try refreshParent(network)
  }

  /// What is gone already is no error.
  func lowerParent(_ network: NetworkRecord) throws(ControlError) {
    guard network.lanMode != nil else { return }
    if let raised = parents[network.id] {
      try dataPlane.removePort(raised.port)
      parents[network.id] = nil
    }
    try host.closeParent(ofNetwork: network.id)
  }

  // MARK: Parents that come, go and change

  /// Lets go of parents that have gone, takes up those that have come, and follows what changes: devices' offloads, MAC
  /// addresses that endpoints share, addresses that endpoints were given by others.
  func watchParents() {
    attempt("look at networks' parents") { () throws(ControlError) in
      let networks = try store.networks().filter { $0.lanMode != nil && $0.state == .settled }
      if networks.isEmpty { return }
      let links = try host.links(in: host.own)
      for network in networks {
        attempt("parent of network \(network.name)") { () throws(ControlError) in
          try watchParent(of: network, among: links)
        }
        attempt("addresses on network \(network.name)") { () throws(ControlError) in
          try followAddresses(on: network)
        }
      }
    }
  }

  private func watchParent(of network: NetworkRecord, among links: [HostLink]) throws(ControlError) {
    guard let parent = network.parent else { return }
    let link = links.first { $0.name == parent }
    if let raised = parents[network.id], raised.index != link?.index {
      logger.warning("interface \(parent) is gone: network \(network.name) waits for a parent of that name")
      try lowerParent(network)
    }
    guard let link else { return parentTroubles[network.id] = nil }
    do throws(ControlError) {
      try checkParent(link, among: links, of: network)
      let network = try followMAC(of: link, on: network)
      if let raised = parents[network.id] {
        try refreshOffloads(of: link, raised, on: network)
        try refreshParent(network)
      } else {
        try change { rollback throws(ControlError) in try raiseParent(network, link, &rollback) }
        logger.info("network \(network.name) has its parent \(link.name)")
      }
      parentTroubles[network.id] = nil
    } catch {
      // Said once, not every two seconds.
      if parentTroubles[network.id] != error.message { logger.error("parent \(link.name): \(error)") }
      parentTroubles[network.id] = error.message
    }
  }

  private func refreshOffloads(
    of link: HostLink, _ raised: RaisedParent, on network: NetworkRecord
  ) throws(ControlError) {
    let offloads = try host.offloads(of: link)
    guard offloads != raised.offloads else { return }
    try dataPlane.changePort(raised.port, DataPlanePortOptions(offloads: offloads, isParent: true))
    parents[network.id]?.offloads = offloads
  }

  /// Endpoints that share the parent's MAC address get its new one.
  private func followMAC(of link: HostLink, on network: NetworkRecord) throws(ControlError) -> NetworkRecord {
    guard network.lanMode?.sharesMAC == true, let mac = link.mac, mac != network.sharedMac else { return network }
    var changed = network
    changed.sharedMac = mac
    try store.update(changed)
    if let handle = dataPlaneNetworks[network.id] { try dataPlane.changeNetwork(handle, changed.dataPlaneOptions) }
    for endpoint in try store.endpoints(ofNetwork: network.id) where endpointPorts[endpoint.id] != nil {
      attempt("give endpoint \(endpoint.id) its parent's MAC") { () throws(ControlError) in
        guard let sandbox = try store.sandbox(id: endpoint.sandboxId), let namespace = try namespaceNow(of: sandbox),
          let interface = try self.link(of: endpoint, in: namespace)
        else { return }
        let settings = LinkSettings(mac: mac, mtu: endpoint.mtu ?? network.mtu)
        try host.configure(interface.name, settings, in: namespace)
      }
      announce(endpoint.id)
    }
    logger.info("network \(network.name): endpoints have the MAC \(mac) of \(link.name) now")
    return changed
  }

  // MARK: Views

  /// The parent, among the interfaces that were put on the network.
  func parentView(of network: NetworkRecord, among links: [HostLink]) -> InterfacePort? {
    guard let parent = network.parent else { return nil }
    var port = InterfacePort(network: network.name, interface: parent, state: "up")
    let raised = parents[network.id]
    if let raised { port.counters = dataPlane.counters(raised.port) }
    guard let link = links.first(where: { $0.name == parent }) else {
      port.state = "missing"
      return port
    }
    if raised?.index != link.index {
      (port.state, port.detail) = ("down", parentTroubles[network.id] ?? "it has just come")
    } else if !link.isUp {
      (port.state, port.detail) = ("down", "the interface is down: ip link set \(link.name) up")
    } else {
      port.detail = parentTroubles[network.id]
    }
    return port
  }
}
