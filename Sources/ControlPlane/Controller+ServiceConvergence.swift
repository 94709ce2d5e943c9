import ControlModel
import Wire

// Theory of operation. What the host and the data plane have of a service goes with the process, so there is one way to every
// state, as with the uplink and overlays: `converge` compares what is asked for, and who is there now, with what was told
// before, and tells the difference. Making, changing, removing, the way back from each when a step fails, a start, and members
// that come and go are all this one walk; every two seconds it is taken anyway.

/// A service as host and data plane were told of it.
struct RaisedService {
  var network: DataPlaneNetwork
  var sets: [MemberSet: (handle: DataPlaneService, options: DataPlaneServiceOptions)] = [:]
  var holds: [HeldPorts] = []
  var entries: [ServiceShape.Entry] = []
  /// Virtual addresses that are answered for.
  var answers: Set<IPAddress> = []

  /// As the data plane was told.
  func publication(_ entry: ServiceShape.Entry) -> DataPlanePublication? {
    guard let set = sets[entry.set] else { return nil }
    var publication = entry.publication
    publication.service = set.handle
    return publication
  }
}

extension Controller {
  /// Tells host and data plane what is asked for, as far as they have not been told.
  func converge(_ asked: AskedService) throws(ControlError) {
    guard let network = try store.network(id: asked.record.networkId) else { return }
    try refreshHostsElsewhere(on: network)
    try converge(asked, on: network)
  }

  /// What is told of its members' places is as it should be.
  private func converge(_ asked: AskedService, on network: NetworkRecord) throws(ControlError) {
    let id = asked.record.id
    guard let handle = dataPlaneNetworks[network.id], let mac = network.gatewayMac else { return }
    let present = try known(asked.members, on: network).filter(\.isPresent)
    let shape = ServiceShape(
      asked, present.map { PresentMember(addresses: $0.addresses, isLocal: $0.isLocal) },
      families: try store.subnets(ofNetwork: network.id).map(\.isIpv6),
      nobody: try store.meshAddresses(ofNetwork: network.id),
      external: uplink.map { $0.facts.addresses.map(\.address) }, hasIPv6: host.hasIPv6)
    if raisedServices[id] == nil { raisedServices[id] = RaisedService(network: handle) }
    try tell(asked.record, shape, mac)
  }

  /// All that was told of it is taken back.
  func lower(_ record: ServiceRecord) throws(ControlError) {
    guard raisedServices[record.id] != nil else { return }
    try tell(record, .nothing, nil)
    raisedServices[record.id] = nil
  }

  private func tell(_ record: ServiceRecord, _ shape: ServiceShape, _ mac: MACAddress?) throws(ControlError) {
    let id = record.id
    guard let raised = raisedServices[id] else { return }
    for entry in raised.entries where !shape.entries.contains(entry) {
      if let publication = raised.publication(entry) { try dataPlane.unpublish(publication) }
      raisedServices[id]!.entries.removeAll { $0 == entry }
    }
    for held in raised.holds where !shape.holds.contains(held) {
      try host.release(held)
      raisedServices[id]!.holds.removeAll { $0 == held }
    }
    let virtual = Set(shape.sets.values.compactMap(\.virtualAddress))
    for address in raised.answers.subtracting(virtual) {
      try dataPlane.setNeighbour(address, mac: nil, in: raised.network)
      raisedServices[id]!.answers.remove(address)
    }
    for (set, told) in raised.sets where shape.sets[set] == nil {
      try dataPlane.removeService(told.handle)
      raisedServices[id]!.sets[set] = nil
    }
    // Always in the same order, so that each of its steps can be made to fail.
    for (set, members) in shape.sets.sorted(by: { $0.key < $1.key }) {
      let options = DataPlaneServiceOptions(
        network: raised.network, virtualAddress: members.virtualAddress, seed: UInt64(bitPattern: record.seed),
        members: members.addresses)
      guard let told = raised.sets[set] else {
        raisedServices[id]!.sets[set] = (try dataPlane.addService(options), options)
        continue
      }
      if told.options == options { continue }
      try dataPlane.changeService(told.handle, options)
      raisedServices[id]!.sets[set]!.options = options
    }
    for held in shape.holds where !raised.holds.contains(held) {
      try host.hold(held)
      raisedServices[id]!.holds.append(held)
    }
    for entry in shape.entries where !raised.entries.contains(entry) {
      guard let publication = raisedServices[id]!.publication(entry) else { continue }
      try dataPlane.publish(publication)
      raisedServices[id]!.entries.append(entry)
    }
    if let mac {
      for address in virtual.subtracting(raised.answers) {
        try dataPlane.setNeighbour(address, mac: mac, in: raised.network)
        raisedServices[id]!.answers.insert(address)
      }
    }
  }

  /// When the uplink has gone, and with it what the data plane had. Those at virtual addresses stay.
  func forgetServiceEntries() {
    for (id, raised) in raisedServices {
      let virtual = Set(raised.sets.values.compactMap(\.options.virtualAddress))
      raisedServices[id]!.entries.removeAll { entry in
        guard let address = entry.publication.hostAddress else { return true }
        return !virtual.contains(address)
      }
    }
  }

  // MARK: As things change

  /// Members, gateways or the uplink changed. What cannot be told is tried again.
  func refreshServices(ofNetwork id: String? = nil) {
    attempt("look after services") { () throws(ControlError) in
      let services = try store.services().filter { $0.state == .settled && (id == nil || $0.networkId == id) }
      for (id, services) in Dictionary(grouping: services, by: \.networkId) {
        guard let network = try store.network(id: id) else { continue }
        // Of all services of the network at once.
        attempt("members on other hosts of network \(network.name)") { () throws(ControlError) in
          try refreshHostsElsewhere(on: network)
        }
        for record in services { refresh(record, on: network) }
      }
    }
  }

  private func refresh(_ record: ServiceRecord, on network: NetworkRecord) {
    do throws(ControlError) {
      try converge(try store.asked(record), on: network)
      serviceTroubles[record.id] = nil
    } catch {
      // Said once, not every two seconds.
      if serviceTroubles[record.id] != error.message { logger.error("service \(record.name): \(error)") }
      serviceTroubles[record.id] = error.message
    }
  }

  /// After a start.
  func restoreServices() throws(ControlError) {
    for network in try store.networks() where try !store.services(ofNetwork: network.id).isEmpty {
      attempt("mesh addresses of network \(network.name)") { () throws(ControlError) in try tellMesh(of: network) }
    }
    refreshServices()
    if names == nil { return }
    for record in try store.services() where record.state == .settled { try tellName(of: try store.asked(record)) }
  }

  // MARK: Mesh addresses

  /// Gives this host an address of its own on the network, for flows to members elsewhere. One in each of its subnets.
  func raiseMesh(of network: NetworkRecord, _ rollback: inout Rollback) throws(ControlError) {
    guard try store.services(ofNetwork: network.id).isEmpty else { return }
    rollback.add("give back the mesh addresses of network \(network.name)") { [self] () throws(ControlError) in
      try lowerMesh(of: network)
    }
    // Of the cluster's networks each host claims one when it knows of the service.
    if network.isShared { return }
    for subnet in try store.subnets(ofNetwork: network.id) where subnet.gateway != nil {
      try store.insertMeshAddress(in: subnet)
    }
    try tellMesh(of: network)
  }

  func tellMesh(of network: NetworkRecord) throws(ControlError) {
    guard let handle = dataPlaneNetworks[network.id], let mac = network.gatewayMac else { return }
    let addresses = Set(try store.meshAddresses(ofNetwork: network.id))
    for address in addresses where ownAddresses[network.id]?.contains(address) != true {
      try dataPlane.setOwnAddress(address, mac: mac, in: handle)
      ownAddresses[network.id, default: []].insert(address)
    }
    try refreshGateway(network)
  }

  /// With the network's last service. What is gone already is no error.
  func lowerMesh(of network: NetworkRecord) throws(ControlError) {
    for (address, told) in hostsElsewhere[network.id] ?? [:] {
      if waysElsewhere(of: network).contains(told.port) { try dataPlane.removeHost(address) }
      hostsElsewhere[network.id]![address] = nil
    }
    hostsElsewhere[network.id] = nil
    if let handle = dataPlaneNetworks[network.id] {
      for address in ownAddresses[network.id] ?? [] {
        try dataPlane.setOwnAddress(address, mac: nil, in: handle)
        ownAddresses[network.id]!.remove(address)
      }
    }
    ownAddresses[network.id] = nil
    withdrawMesh(of: network, try store.meshAddresses(ofNetwork: network.id))
    try store.deleteMeshAddresses(ofNetwork: network.id)
    try refreshGateway(network)
  }
}
