import Tables
import Wire

// What the control plane tells the router, on its thread, between two bursts.
extension Router {
  /// Ranges of published ports.
  public static let publicationCapacity = 16_384

  // MARK: The uplink

  /// Sessions of external addresses that have gone end, and published ports are given to those that came.
  public mutating func setUplink(_ new: RouterUplink, claims: PortClaims) {
    let hasOtherPorts = uplink.ports != new.ports
    uplink = Uplink(port: new.port, mac: new.mac.bits, mtu: new.mtu, ports: new.ports)
    sessions.mappings.claims = claims
    for slot in 0..<PortClaims.slots {
      let address = new.externals.first { $0.slot == slot }?.address ?? 0
      let isOther = externals[slot] != address
      if isOther {
        let gone = externals[slot]
        clear(slot: slot)
        if gone != 0 { sessions.removeAll { $0.external == gone } }
        externals[slot] = address
        for number in 0..<publicationsInUse where publications[number].isTaken { offer(number, at: slot) }
      }
      if address != 0, isOther || hasOtherPorts { sessions.mappings.setPool(slot: slot, new.ports) }
    }
    generation &+= 1
  }

  private mutating func clear(slot: Int) {
    for number in 0..<publicationsInUse where publications[number].slots & 1 << UInt16(slot) != 0 {
      let ports = publications[number].firstHostPort...publications[number].lastHostPort
      sessions.mappings.unpublish(ports, slot: slot, plane: PortClaims.Plane(protocol: publications[number].protocol))
      publications[number].slots &= ~(1 << UInt16(slot))
    }
  }

  /// All sessions end, nothing is published outside any more, and neighbours are forgotten. Gateways, hosts, routes and services
  /// stay.
  public mutating func removeUplink() {
    // Those at a virtual address stay: it has no part in the uplink.
    for number in 0..<publicationsInUse
    where publications[number].isTaken && !isServing(publications[number].hostAddress) { withdraw(number) }
    sessions.removeAll { _ in true }
    for slot in 0..<PortClaims.slots { externals[slot] = 0 }
    sessions.mappings.claims = nil
    forgetNeighbours()
    uplink = Uplink()
    generation &+= 1
  }

  /// - Returns: the routes before: to be freed by another thread.
  public mutating func setRoutes(_ new: consuming RoutingTable) -> RoutingTable {
    swap(&routes, &new)
    generation &+= 1
    return new
  }

  // MARK: Networks and endpoints

  /// nil: the network is not routed, and its sessions end.
  mutating func setGateway(_ gateway: Gateway?, network: UInt16) {
    let old = gateways[Int(network)]
    gateways[Int(network)] = gateway ?? Gateway()
    moveMesh(from: old, to: gateways[Int(network)])
    gatewaysInUse = max(gatewaysInUse, Int(network) + 1)
    while gatewaysInUse > 0, !gateways[gatewaysInUse - 1].isRouted { gatewaysInUse -= 1 }
    if old.isRouted,
      gateway == nil || old.translatesIPv4 != gateway!.translatesIPv4
        || old.translatesIPv6 != gateway!.translatesIPv6 || old.prefixTranslation != gateway!.prefixTranslation
    {
      sessions.removeAll { old.holds($0.inside, isIPv6: $0.inside >> 32 != 0xFFFF) }
    }
    generation &+= 1
  }

  /// An endpoint's address. Whatever was seen there before gives way.
  /// - Parameter isElsewhere: its own gateway is another host's.
  /// - Returns: false where there is no room.
  public mutating func addHost(
    _ address: UInt128, mac: MACAddress, port: UInt16, network: UInt16, isElsewhere: Bool = false
  ) -> Bool {
    let known = hosts.find(address)
    if known != 0 {
      sessions.removeAll(owner: hosts[known].pointee.port) { $0.inside == address }
      hosts.remove(known)
    }
    let host = RouterHost(
      address: address, mac: mac.bits, port: port, network: network, isConfigured: true, isElsewhere: isElsewhere)
    return hosts.insert(host) != 0
  }

  /// The address is nobody's any more, and its sessions end.
  public mutating func removeHost(_ address: UInt128) {
    let known = hosts.find(address)
    guard known != 0 else { return }
    sessions.removeAll(owner: hosts[known].pointee.port) { $0.inside == address }
    hosts.remove(known)
  }

  /// All that hangs on a port of the switch goes: its addresses, sessions, mappings and published ports.
  public mutating func removePort(_ port: UInt16) {
    while publicationsOfPort[Int(port)] != 0 { withdraw(Int(publicationsOfPort[Int(port)] - 1)) }
    sessions.removeAll(owner: port)
    hosts.removeAll(port: port)
  }

  // MARK: Published ports

  /// Publishes ports of an endpoint, or of a service. An outbound mapping that has one of them ends with its sessions.
  /// - Parameters:
  ///   - hostAddress: 0: every external address of the family; a service's virtual address: there alone.
  ///   - address: inside; of a service: the unspecified one of its family.
  ///   - service: its number; 0: an endpoint's.
  /// - Returns: false where there are `publicationCapacity` already, or the address inside is nobody's.
  public mutating func publish(
    protocol: UInt8, hostAddress: UInt128, hostPorts: ClosedRange<UInt16>, address: UInt128, firstPort: UInt16,
    service: Int = 0
  ) -> Bool {
    let host = hosts.find(address)
    guard host != 0 || service != 0, let number = freePublication() else { return false }
    var publication = Publication()
    publication.isTaken = true
    publication.protocol = `protocol`
    publication.firstHostPort = hostPorts.lowerBound
    publication.lastHostPort = hostPorts.upperBound
    publication.firstPort = firstPort
    publication.address = address
    publication.hostAddress = hostAddress
    publication.owner = hosts[host].pointee.port
    publication.service = UInt16(service)
    let head = firstPublication(beside: publication)
    publication.next = head.pointee
    head.pointee = UInt32(number) + 1
    publications[number] = publication
    publicationsInUse = max(publicationsInUse, number + 1)
    for slot in 0..<PortClaims.slots { offer(number, at: slot) }
    return true
  }

  /// Where the number of the first publication of the same owner or service stands.
  private func firstPublication(beside publication: Publication) -> UnsafeMutablePointer<UInt32> {
    publication.service == 0
      ? publicationsOfPort + Int(publication.owner)
      : (services + Int(publication.service)).pointer(to: \.publications)!
  }

  private func freePublication() -> Int? {
    if publicationsInUse < Self.publicationCapacity { return publicationsInUse }
    return (0..<Self.publicationCapacity).first { !publications[$0].isTaken }
  }

  /// The number of the publication of an endpoint's port, or nil. Costs a step for each of the endpoint's publications.
  func publication(of address: UInt128, port: UInt16, protocol: UInt8, owner: UInt16) -> Int? {
    var next = publicationsOfPort[Int(owner)]
    while next != 0 {
      let publication = publications[Int(next - 1)]
      if publication.address == address && publication.protocol == `protocol` && publication.hostPort(of: port) != nil {
        return Int(next - 1)
      }
      next = publication.next
    }
    return nil
  }

  private mutating func offer(_ number: Int, at slot: Int) {
    let publication = publications[number]
    let address = externals[slot]
    let isSameFamily = (address >> 32 == 0xFFFF) == (publication.address >> 32 == 0xFFFF)
    guard address != 0, isSameFamily, publication.hostAddress == 0 || publication.hostAddress == address else {
      return
    }
    let ports = publication.firstHostPort...publication.lastHostPort
    let plane = PortClaims.Plane(protocol: publication.protocol)
    if ports.contains(where: { isMapped($0, slot, plane) }) {
      sessions.removeAll {
        $0.mapping != 0 && $0.external == address && $0.protocol == publication.protocol
          && ports.contains($0.externalPort)
      }
    }
    sessions.mappings.publish(ports, slot: slot, plane: plane, number: UInt32(number))
    publications[number].slots |= 1 << UInt16(slot)
  }

  private func isMapped(_ port: UInt16, _ slot: Int, _ plane: PortClaims.Plane) -> Bool {
    if case .mapping = sessions.mappings.use(slot: slot, plane: plane, port: port) { true } else { false }
  }

  /// Withdraws what was published by the same arguments; its sessions end.
  /// - Returns: false where it was not.
  public mutating func unpublish(
    protocol: UInt8, hostAddress: UInt128, hostPorts: ClosedRange<UInt16>, address: UInt128, firstPort: UInt16,
    service: Int = 0
  ) -> Bool {
    for number in 0..<publicationsInUse {
      let publication = publications[number]
      guard publication.isTaken, publication.protocol == `protocol`, publication.hostAddress == hostAddress,
        publication.firstHostPort == hostPorts.lowerBound, publication.lastHostPort == hostPorts.upperBound,
        publication.address == address, publication.firstPort == firstPort, Int(publication.service) == service
      else { continue }
      withdraw(number)
      return true
    }
    return false
  }

  mutating func withdraw(_ number: Int) {
    let publication = publications[number]
    let ports = publication.firstHostPort...publication.lastHostPort
    for slot in 0..<PortClaims.slots where publication.slots & 1 << UInt16(slot) != 0 {
      sessions.mappings.unpublish(ports, slot: slot, plane: PortClaims.Plane(protocol: publication.protocol))
    }
    let head = firstPublication(beside: publication)
    if head.pointee == UInt32(number) + 1 {
      head.pointee = publication.next
    } else {
      var before = Int(head.pointee - 1)
      while publications[before].next != UInt32(number) + 1 { before = Int(publications[before].next - 1) }
      publications[before].next = publication.next
    }
    publications[number] = Publication()
    while publicationsInUse > 0, !publications[publicationsInUse - 1].isTaken { publicationsInUse -= 1 }
    if publication.service != 0 { return endSessions(of: publication) }
    sessions.removeAll(owner: publication.owner) {
      $0.mapping == 0 && $0.inside == publication.address && $0.protocol == publication.protocol
        && publication.hostPort(of: $0.insidePort) != nil
    }
  }

  // MARK: Sessions

  /// Takes up a session of an earlier router, where its endpoint, external address and port are there still.
  /// - Returns: false where they are not.
  public mutating func restore(_ old: Session, now: UInt32) -> Bool {
    let host = hosts.find(old.inside)
    // A client outside is no host; its session has a mesh address.
    guard host != 0 || isMesh(old.external), now &- old.lastSeen < timeouts[Int(old.timer.rawValue)] else {
      return false
    }
    var session = old
    session.host = host
    session.owner = host == 0 ? uplink.port : hosts[host].pointee.port
    session.routeGeneration = 0
    guard sessions.find(inside: session.insideKey) == 0, sessions.find(outside: session.outsideKey) == 0,
      let mapping = mapping(restoring: session)
    else { return false }
    return sessions.insert(session, mapping: mapping, timer: session.timer, now: old.lastSeen) != 0
  }

  /// The mapping that a session of an earlier router uses, 0 for none; nil where its port is another's now.
  private mutating func mapping(restoring session: Session) -> UInt32? {
    if session.external == session.inside || inside(of: session.external) == session.inside { return 0 }
    if isServing(session.external) { return 0 }
    guard let slot = slot(of: session.external) else { return nil }
    let plane = PortClaims.Plane(protocol: session.protocol)
    switch sessions.mappings.use(slot: slot, plane: plane, port: session.externalPort) {
    case .publication(let number):
      let publication = publications[Int(number)]
      // Whichever member it has: it was one when the flow began.
      if publication.service != 0 { return 0 }
      let isSame =
        publication.address == session.inside
        && publication.insidePort(of: session.externalPort) == session.insidePort
      return isSame ? 0 : nil
    case .mapping(let known):
      let mapping = sessions.mappings[known].pointee
      return mapping.inside == session.inside && mapping.insidePort == session.insidePort ? known : nil
    case .free:
      let made = sessions.mappings.add(
        inside: session.inside, port: session.insidePort, protocol: session.protocol, plane: plane,
        external: session.external, slot: slot, owner: session.owner, isPrivate: !mapsEndpointIndependently,
        externalPort: session.externalPort)
      return made == 0 ? nil : made
    }
  }

  public mutating func setTimeout(_ timer: SessionTimer, seconds: UInt32) { timeouts[Int(timer.rawValue)] = seconds }

  public func timeout(_ timer: SessionTimer) -> UInt32 { timeouts[Int(timer.rawValue)] }

  public mutating func flushSessions() { sessions.removeAll { _ in true } }

  public var sessionCount: Int { sessions.count }

  public var sessionCounts: SessionCounts { sessions.counts }

  public var sessionCapacity: Int { sessions.capacity }

  /// Sessions that went before their time, to make room.
  public var sessionEvictions: UInt64 { sessions.evictions }

  /// Sessions that one endpoint may have.
  public mutating func setSessionLimit(perEndpoint limit: Int) { sessions.ownerLimit = limit }

  /// Shows sessions from `start` on, so many looked at; where to go on, or nil at the end.
  public func visitSessions(from start: UInt32, budget: UInt32, _ body: (borrowing Session) -> Void) -> UInt32? {
    sessions.visit(from: start, budget: budget, body)
  }
}
