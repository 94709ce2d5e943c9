import ControlModel
import Datapath
import Wire

// Theory of operation. What the kernel and the data plane have of the uplink goes with the process, so there is one way to
// every state: `converge(to:)` compares what is asked for, and what the host is like now, with what was told before, and tells
// the difference. Setting, moving and unsetting the uplink, the way back from each when a step fails, a start, and every
// change that the kernel reports are all this one walk; every two seconds it is taken anyway.
//
// The record outlives its interface, as that of an attached one does. While the interface is missing, networks stay routed by
// the data plane, which then finds no way outside: else the host would send their packets on, untranslated.

/// The uplink as it was told to kernel and data plane.
struct RaisedUplink: Equatable {
  var port: DataPlanePort
  /// The interface's: another one of the same name has another index.
  var index: Int32
  var facts: DataPlaneUplink
}

extension Controller {
  /// Half a minute.
  private static let usedPortsAgeMax = 15

  func setUplink(_ request: UplinkRequest) throws(ControlError) -> Uplink {
    let record = try UplinkPlan(request, created: Self.now()).record
    let links = try host.links(in: host.own)
    guard let link = links.first(where: { $0.name == record.interface }) else {
      throw ControlError(
        .notFound, "no interface \(record.interface.quoted) in the daemon's namespace: ip link shows them")
    }
    try checkUplink(link, among: links)
    try checkChosen(record)
    _ = try record.outboundPorts(beside: try host.localPortRange())
    let present = try host.hostAddresses().filter { $0.link == link.index }.map(\.address)
    for address in record.addresses where !present.contains(address) {
      throw ControlError(
        .invalid, "address \(address) is not on interface \(link.name): ip address add it there, or choose another")
    }
    let old = try store.uplink()
    let new = old.map { $0.isEquivalent(to: record) ? $0 : record } ?? record
    return try change { rollback throws(ControlError) in
      try moveUplink(from: old, to: new, &rollback)
      logger.info("uplink \(record.interface)")
      return try uplinkView()
    }
  }

  /// Once more is no error.
  func unsetUplink() throws(ControlError) {
    guard let old = try store.uplink() else { return }
    try change { rollback throws(ControlError) in try moveUplink(from: old, to: nil, &rollback) }
    logger.info("no uplink any more")
  }

  private func moveUplink(
    from old: UplinkRecord?, to new: UplinkRecord?, _ rollback: inout Rollback
  ) throws(ControlError) {
    rollback.add("bring the uplink back") { [self, slots = uplink?.facts.addresses ?? []] () throws(ControlError) in
      formerSlots = slots
      defer { formerSlots = [] }
      try converge(to: old)
    }
    try converge(to: new)
    if old == new { return }
    rollback.add("keep the uplink's record") { [store] () throws(ControlError) in try store.setUplink(old) }
    try store.setUplink(new)
  }

  // MARK: Checks

  /// Refuses what cannot be the way outside, or what somebody else takes the frames of.
  private func checkUplink(_ link: HostLink, among links: [HostLink]) throws(ControlError) {
    if link.alias.hasPrefix(InterfaceMark.prefix) {
      throw ControlError(.conflict, "interface \(link.name) is Martlet's own: it leads to no one outside")
    }
    if let port = try store.interfacePort(link.name) {
      let network = try store.network(id: port.networkId)?.name ?? ""
      throw ControlError(
        .conflict,
        "interface \(link.name) is a port on network \(network): martlet port detach \(network) \(link.name)")
    }
    try checkIsNoParent(link.name, unlessShared: true)
    guard link.isEthernet, link.mac != nil else {
      throw ControlError(.invalid, "interface \(link.name) carries no Ethernet frames: it cannot be the uplink")
    }
    if let index = link.master {
      let master = links.first { $0.index == index }?.name ?? "another interface"
      throw ControlError(
        .conflict, "interface \(link.name) is a port of \(master): make \(master) the uplink, which has the addresses")
    }
  }

  private func checkChosen(_ record: UplinkRecord) throws(ControlError) {
    for address in record.addresses where address.isLoopback || address.isUnspecified || IPPrefix(address).isLinkLocal {
      throw ControlError(.invalid, "address \(address) means nothing outside: choose a global one")
    }
  }

  // MARK: Convergence

  /// Tells kernel and data plane what `record` asks for, as far as they have not been told. nil: no uplink.
  func converge(to record: UplinkRecord?) throws(ControlError) {
    uplinkRecord = record
    uplinkTrouble = nil
    try convergeLink(to: record)
    for network in try store.networks() where network.driver.hasSwitch { try refreshGateway(network) }
    try refreshClaimedSubnets()
    try refreshRoutes()
    try refreshPublications()
    refreshServices()
  }

  /// After the host may have changed. What cannot be told is logged once, and shown.
  func watchUplink() {
    guard let record = uplinkRecord else { return }
    let before = uplinkTrouble
    do throws(ControlError) {
      try converge(to: record)
    } catch {
      uplinkTrouble = error.message
    }
    if let uplinkTrouble, uplinkTrouble != before { logger.error("uplink \(record.interface): \(uplinkTrouble)") }
  }

  private func convergeLink(to record: UplinkRecord?) throws(ControlError) {
    let link = try record.flatMap { record throws(ControlError) in try usableLink(record) }
    if let raised = uplink, raised.index != link?.index { try lowerUplink() }
    guard let record, let link else { return }
    let facts = try facts(record, link)
    if let raised = uplink {
      if raised.facts != facts { try changeUplink(raised, to: facts) }
    } else {
      try raiseUplink(link, facts)
    }
  }

  /// nil: there is none of that name, or what is there cannot be the uplink.
  private func usableLink(_ record: UplinkRecord) throws(ControlError) -> HostLink? {
    let links = try host.links(in: host.own)
    guard let link = links.first(where: { $0.name == record.interface }) else { return nil }
    do throws(ControlError) {
      try checkUplink(link, among: links)
      return link
    } catch {
      uplinkTrouble = error.message
      return nil
    }
  }

  private func facts(_ record: UplinkRecord, _ link: HostLink) throws(ControlError) -> DataPlaneUplink {
    let present = try host.hostAddresses().filter { $0.link == link.index }
    if uplink == nil || usedPortsAge >= Self.usedPortsAgeMax {
      // The whole list of the host's sockets, so not with every sweep.
      (usedPorts, usedPortsAge) = (try host.usedPorts(), 0)
    }
    let taken = usedPorts.union(try store.overlays().map { UInt16($0.port) })
    let ports = try record.outboundPorts(beside: try host.localPortRange()).flatMap { $0.without(taken) }
    return DataPlaneUplink(
      mac: link.mac ?? .zero, mtu: link.mtu,
      addresses: (uplink?.facts.addresses ?? formerSlots).assigned(to: record.external(of: present)),
      ports: ports.map(\.ports),
      offloads: try host.offloads(of: link))
  }

  private func raiseUplink(_ link: HostLink, _ facts: DataPlaneUplink) throws(ControlError) {
    try change { rollback throws(ControlError) in
      let claims = try host.uplinkClaims()
      // The filter first: a socket that got everything would answer for the host.
      rollback.add("close the uplink") { [host] () throws(ControlError) in try host.closeUplink() }
      let socket = try host.openUplink(on: link)
      for external in facts.addresses { try host.setUplinkAddress(external.address, slot: external.slot) }
      let port = try dataPlane.raiseUplink(socket: socket, claims: claims, facts)
      uplink = RaisedUplink(port: port, index: link.index, facts: facts)
    }
  }

  /// New addresses are claimed before the data plane has them, old ones no longer once it has not.
  private func changeUplink(_ raised: RaisedUplink, to facts: DataPlaneUplink) throws(ControlError) {
    try change { rollback throws(ControlError) in
      let (old, new) = (Set(raised.facts.addresses), Set(facts.addresses))
      for external in new.subtracting(old) {
        rollback.add("free slot \(external.slot)") { [host] () throws(ControlError) in
          try host.setUplinkAddress(nil, slot: external.slot)
        }
        try host.setUplinkAddress(external.address, slot: external.slot)
      }
      try dataPlane.changeUplink(facts)
      rollback.add("give the uplink its old settings") { [dataPlane] () throws(ControlError) in
        try dataPlane.changeUplink(raised.facts)
      }
      for external in old.subtracting(new) {
        rollback.add("claim slot \(external.slot) again") { [host] () throws(ControlError) in
          try host.setUplinkAddress(external.address, slot: external.slot)
        }
        try host.setUplinkAddress(nil, slot: external.slot)
      }
      uplink?.facts = facts
    }
  }

  /// Publications, sessions and neighbours of the data plane go with it.
  private func lowerUplink() throws(ControlError) {
    guard uplink != nil else { return }
    try dataPlane.lowerUplink()
    uplink = nil
    nextHops = []
    claimedSubnets = []
    forgetEntries()
    try host.closeUplink()
  }

  // MARK: Routes and neighbours

  func refreshRoutes() throws(ControlError) {
    var routes: [DataPlaneRoute] = []
    if uplinkRecord != nil {
      let links = try host.links(in: host.own)
      let gateways = Set(links.filter { $0.alias.hasPrefix(InterfaceMark.prefix) }.map(\.index))
      routes = RoutePlan.routes(try host.hostRoutes(), uplink: uplink?.index, gateways: gateways)
      guard routes.count <= Limits.routes else {
        throw ControlError(
          .exhausted, "the host has \(routes.count) routes, more than the \(Limits.routes) that the uplink takes")
      }
    }
    guard routes != toldRoutes else { return }
    try dataPlane.setRoutes(routes)
    toldRoutes = routes
  }

  /// The data plane has packets for a next hop. The kernel may know it; it is asked to look anyway, as it sees none of the
  /// answers that the data plane gets.
  func neighbourNeeded(_ address: IPAddress) {
    guard let raised = uplink else { return }
    attempt("neighbour \(address)") { () throws(ControlError) in
      if nextHops.count >= Limits.nextHops, !nextHops.contains(address) { nextHops.removeFirst() }
      nextHops.insert(address)
      if let mac = try host.neighbour(address, on: raised.index) { try dataPlane.setNeighbour(address, mac: mac) }
      try host.resolve(address, on: raised.index)
    }
  }

  func neighbourChanged(_ address: IPAddress, link: Int32) {
    guard link == uplink?.index, nextHops.contains(address) else { return }
    attempt("neighbour \(address)") { () throws(ControlError) in
      // As it is now: of several changes only the last counts.
      try dataPlane.setNeighbour(address, mac: try host.neighbour(address, on: link))
    }
  }

  // MARK: Views

  func uplinkView() throws(ControlError) -> Uplink {
    guard let record = uplinkRecord else {
      throw ControlError(.notFound, "there is no uplink: martlet uplink set INTERFACE makes one")
    }
    var view = Uplink(
      interface: record.interface, state: "up", chosenAddresses: record.addresses.map(\.description),
      ports: record.ports.map(\.description), ipv6NAT: record.translatesIpv6)
    let link = try host.links(in: host.own).first { $0.name == record.interface }
    if let raised = uplink {
      (view.mac, view.mtu) = (raised.facts.mac.description, raised.facts.mtu)
      view.addresses = raised.facts.addresses.map(\.address.description)
      view.ports = try record.outboundPorts(beside: try host.localPortRange()).map(\.description)
      (view.sessions, view.counters) = (dataPlane.sessionCount, dataPlane.counters(raised.port))
    }
    if let link {
      if uplink?.index != link.index {
        (view.state, view.detail) = ("down", uplinkTrouble ?? "it has just come")
      } else if !link.isUp {
        (view.state, view.detail) = ("down", "the interface is down: ip link set \(link.name) up")
      } else {
        view.detail = uplinkTrouble ?? addressTrouble(record)
      }
    } else {
      view.state = "missing"
    }
    return view
  }

  private func addressTrouble(_ record: UplinkRecord) -> String? {
    guard let external = uplink?.facts.addresses.map(\.address) else { return nil }
    if let absent = record.addresses.first(where: { !external.contains($0) }) {
      return "address \(absent) is no longer on interface \(record.interface)"
    }
    return external.isEmpty ? "interface \(record.interface) has no global address: nothing can be translated" : nil
  }
}

extension IPPrefix {
  /// The address alone.
  init(_ address: IPAddress) { self.init(address: address, length: address.bitWidth)! }
}
