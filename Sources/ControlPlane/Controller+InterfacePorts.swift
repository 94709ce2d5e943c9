import ControlModel
import Datapath

// An interface that somebody else made is found by its name, as Open vSwitch does: the record stays when the interface
// goes, and takes up the next one of that name. The kernel tells a packet socket that its interface went down, but not
// that one came; so all are looked at every two seconds (`sweep`), and at once when a socket complains.

/// An interface that is on a network now.
struct AttachedInterface: Equatable {
  var port: DataPlanePort
  /// The interface's: another one of the same name has another index.
  var index: Int32
  var offloads: SegmentationOffloads
}

extension Controller {
  func attachPort(network name: String, _ request: InterfacePortRequest) throws(ControlError) -> InterfacePort {
    let network = try settled(try store.network(name))
    let interface = request.interface
    guard dataPlaneNetworks[network.id] != nil else {
      throw ControlError(
        .unsupported, "network \(network.name) of the driver \(network.driver.rawValue) has no switch to attach to")
    }
    guard network.lanMode == nil else {
      throw ControlError(
        .unsupported,
        "network \(network.name) of the driver \(network.driver.rawValue) has its parent, and no other interface")
    }
    if let other = try store.interfacePort(interface) {
      let taken = try store.network(id: other.networkId)?.name ?? ""
      throw ControlError(.conflict, "interface \(interface) is on network \(taken) already")
    }
    guard try store.interfacePorts().count < Limits.interfacePorts else {
      throw ControlError(.exhausted, "\(Limits.interfacePorts) interfaces are attached, the most allowed: detach one")
    }
    let links = try host.links(in: host.own)
    guard let link = links.first(where: { $0.name == interface }) else {
      throw ControlError(.notFound, "no interface \(interface.quoted) in the daemon's namespace: ip link shows them")
    }
    try checkAttachable(link, among: links, to: network)
    var record = InterfacePortRecord(
      interface: interface, networkId: network.id, wasUp: link.isUp, state: .creating, created: Self.now())
    return try change { rollback throws(ControlError) in
      try store.insert(record)
      rollback.add("forget interface \(interface)") { [store] () throws(ControlError) in
        try store.deleteInterfacePort(interface)
      }
      try raisePort(record, link, &rollback)
      record.state = .settled
      try store.update(record)
      logger.info("interface \(interface) attached to network \(network.name)")
      return try view(record, among: try host.links(in: host.own))
    }
  }

  /// Refuses what cannot be a port, or what somebody else takes the frames of.
  private func checkAttachable(
    _ link: HostLink, among links: [HostLink], to network: NetworkRecord
  ) throws(ControlError) {
    if link.alias.hasPrefix(InterfaceMark.prefix) {
      throw ControlError(.conflict, "interface \(link.name) is Martlet's own: it is on its network by itself")
    }
    if link.name == uplinkRecord?.interface {
      throw ControlError(.conflict, "interface \(link.name) is the uplink: martlet uplink unset, or move it")
    }
    try checkIsNoParent(link.name, unlessShared: false)
    guard link.isEthernet else {
      throw ControlError(.invalid, "interface \(link.name) carries no Ethernet frames: a switch has no use for it")
    }
    if let index = link.master {
      let master = links.first { $0.index == index }?.name ?? "another interface"
      throw ControlError(
        .conflict, "interface \(link.name) is a port of \(master): ip link set \(link.name) nomaster")
    }
    guard link.mtu >= network.mtu else {
      throw ControlError(
        .conflict,
        "interface \(link.name) has MTU \(link.mtu), network \(network.name) \(network.mtu): ip link set \(link.name) mtu \(network.mtu), or martlet network set \(network.name) --mtu \(link.mtu)"
      )
    }
  }

  /// Brings the interface up and gives its frames to the network.
  private func raisePort(
    _ record: InterfacePortRecord, _ link: HostLink, _ rollback: inout Rollback
  ) throws(ControlError) {
    guard let handle = dataPlaneNetworks[record.networkId] else {
      throw ControlError(.system, "the network of interface \(link.name) has no switch: the log says why")
    }
    let offloads = try host.offloads(of: link)
    if !link.isUp {
      rollback.add("set \(link.name) down again") { [host] () throws(ControlError) in try host.setUp(false, link.name) }
      try host.setUp(true, link.name)
    }
    let socket = try host.openPacketSocket(on: link.name, queues: dataPlane.queuesPerPort)
    let port = try dataPlane.addPort(queues: socket, to: handle, DataPlanePortOptions(offloads: offloads))
    interfacePorts[link.name] = AttachedInterface(port: port, index: link.index, offloads: offloads)
    rollback.add("take the port of \(link.name) away") { [self] () throws(ControlError) in
      try lowerPort(link.name)
    }
  }

  private func lowerPort(_ interface: String) throws(ControlError) {
    guard let attached = interfacePorts[interface] else { return }
    try dataPlane.removePort(attached.port)
    interfacePorts[interface] = nil
  }

  func detachPort(network name: String, interface: String) throws(ControlError) {
    let network = try store.network(name)
    if network.parent == interface {
      throw ControlError(
        .conflict,
        "interface \(interface) is the parent of network \(network.name), and goes with it: martlet network rm \(network.name)"
      )
    }
    // What is restored is the state of the interface that is there now.
    watchPorts()
    guard let record = try store.interfacePort(interface), record.networkId == network.id else {
      throw ControlError(.notFound, "interface \(interface.quoted) is not on network \(network.name)")
    }
    try removePort(record)
    logger.info("interface \(interface) detached from network \(network.name)")
  }

  /// With its MAC entries and record; the interface is as it was before.
  func removePort(_ record: InterfacePortRecord) throws(ControlError) {
    var removing = record
    removing.state = .removing
    try store.update(removing)
    try lowerPort(record.interface)
    if !record.wasUp, try host.links(in: host.own).contains(where: { $0.name == record.interface }) {
      try host.setUp(false, record.interface)
    }
    try store.deleteInterfacePort(record.interface)
    portTroubles[record.interface] = nil
  }

  // MARK: Interfaces that come, go and change

  /// Lets go of interfaces that have gone, takes up those that have come, and tells the data plane what devices take now.
  func watchPorts() {
    attempt("look at attached interfaces") { () throws(ControlError) in
      let records = try store.interfacePorts().filter { $0.state == .settled }
      if records.isEmpty { return }
      let links = try host.links(in: host.own)
      for record in records {
        attempt("interface \(record.interface)") { () throws(ControlError) in try watch(record, among: links) }
      }
    }
  }

  private func watch(_ record: InterfacePortRecord, among links: [HostLink]) throws(ControlError) {
    let link = links.first { $0.name == record.interface }
    if let attached = interfacePorts[record.interface] {
      if let link, link.index == attached.index { return try refreshOffloads(of: link, attached) }
      logger.warning("interface \(record.interface) is gone: its port waits for one of that name")
      try lowerPort(record.interface)
    }
    guard let link else { return portTroubles[record.interface] = nil }
    do throws(ControlError) {
      try retake(record, link, among: links)
    } catch {
      // Said once, not every two seconds.
      if portTroubles[record.interface] != error.message { logger.error("attach \(link.name) again: \(error)") }
      portTroubles[record.interface] = error.message
    }
  }

  private func refreshOffloads(of link: HostLink, _ attached: AttachedInterface) throws(ControlError) {
    let offloads = try host.offloads(of: link)
    guard offloads != attached.offloads else { return }
    try dataPlane.changePort(attached.port, DataPlanePortOptions(offloads: offloads))
    interfacePorts[link.name]?.offloads = offloads
  }

  /// Another interface under the name of one that has gone: from here on, this one's state is what a detach restores.
  private func retake(_ record: InterfacePortRecord, _ link: HostLink, among links: [HostLink]) throws(ControlError) {
    guard let network = try store.network(id: record.networkId) else { return }
    try checkAttachable(link, among: links, to: network)
    try change { rollback throws(ControlError) in
      var changed = record
      changed.wasUp = link.isUp
      try store.update(changed)
      try raisePort(record, link, &rollback)
    }
    portTroubles[record.interface] = nil
    restoreStaticEntries(of: network) { $0.interface == link.name }
    logger.info("interface \(link.name) is back on network \(network.name)")
  }

  /// At start: what was attached before. An interface that is up may be so by us, so the record's word stays.
  func restorePort(_ record: InterfacePortRecord, among links: [HostLink]) throws(ControlError) {
    guard record.state == .settled, let network = try store.network(id: record.networkId),
      let link = links.first(where: { $0.name == record.interface })
    else { return }
    do throws(ControlError) {
      try checkAttachable(link, among: links, to: network)
      try change { rollback throws(ControlError) in try raisePort(record, link, &rollback) }
    } catch {
      portTroubles[record.interface] = error.message
      throw error
    }
  }

  // MARK: Views

  func ports(network name: String?) throws(ControlError) -> [InterfacePort] {
    if let name { return try ports(of: try store.network(name)) }
    let links = try host.links(in: host.own)
    let parents = try store.networks().compactMap { parentView(of: $0, among: links) }
    return try views(of: try store.interfacePorts()) + parents
  }

  func ports(of network: NetworkRecord) throws(ControlError) -> [InterfacePort] {
    let ports = try views(of: try store.interfacePorts(ofNetwork: network.id))
    guard network.parent != nil, let parent = parentView(of: network, among: try host.links(in: host.own)) else {
      return ports
    }
    return ports + [parent]
  }

  private func views(of records: [InterfacePortRecord]) throws(ControlError) -> [InterfacePort] {
    var ports: [InterfacePort] = []
    let links = records.isEmpty ? [] : try host.links(in: host.own)
    for record in records { ports.append(try view(record, among: links)) }
    return ports
  }

  private func view(_ record: InterfacePortRecord, among links: [HostLink]) throws(ControlError) -> InterfacePort {
    let network = try store.network(id: record.networkId)?.name ?? ""
    var port = InterfacePort(network: network, interface: record.interface, state: "up")
    let link = links.first { $0.name == record.interface }
    let attached = interfacePorts[record.interface]
    if let attached { port.counters = dataPlane.counters(attached.port) }
    if record.state != .settled {
      (port.state, port.detail) = ("down", "could not be detached completely: detach it again")
    } else if let link {
      if attached?.index != link.index {
        (port.state, port.detail) = ("down", portTroubles[record.interface] ?? "it has just come")
      } else if !link.isUp {
        (port.state, port.detail) = ("down", "the interface is down: ip link set \(link.name) up")
      }
    } else {
      port.state = "missing"
    }
    return port
  }
}
