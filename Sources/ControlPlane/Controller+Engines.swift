import ControlModel
import Wire

// Networks and endpoints of engines, which keep their sandboxes to themselves (`NetworkDriver`). Such an endpoint is written when the
// engine has given it its addresses; its interface is made when it joins, in the daemon's namespace, and the engine moves it. From
// then on it is found by its mark in the namespace at the sandbox's path, as any other.
//
// An engine that was killed tells nothing and begins anew: what it asks for counts, and what of its own stands in the way is
// left over.

extension Controller {
  // MARK: Networks

  func createNetwork(id: String, _ request: NetworkRequest) throws(ControlError) {
    if !Identifier.isSwarms(id) { try Self.checkIdentifier(id, of: "network") }
    if let network = try store.network(id: id) {
      guard network.state == .settled else { throw Self.halfRemoved(network) }
      return
    }
    try removeLeftOverNetworks(overlapping: request.subnets ?? [])
    var request = request
    if request.gateways?.isEmpty != false { request.noGateway = true }
    if Identifier.isSwarms(id) { try prepareForSwarm(&request) }
    _ = try createNetwork(request, from: .engine(id: id))
    if Identifier.isSwarms(id) { try addSwarmPeers(toNetwork: id) }
  }

  /// The engine's address management says that the subnets are free: an engine's network without a living endpoint that has them is
  /// one whose removal we never heard of.
  private func removeLeftOverNetworks(overlapping subnets: [String]) throws(ControlError) {
    let prefixes = subnets.compactMap { IPPrefix($0) }
    for network in try store.networks() where network.isEngines {
      guard try store.subnets(ofNetwork: network.id).contains(where: { prefixes.contains(where: $0.prefix.overlaps) })
      else { continue }
      try removeIfLeftOver(network, because: "its engine gave its subnet to another")
    }
  }

  /// Removes an engine's network that no endpoint uses.
  func removeIfLeftOver(_ network: NetworkRecord, because reason: String) throws(ControlError) {
    for endpoint in try store.endpoints(ofNetwork: network.id) where endpoint.isEngines {
      if try place(of: endpoint) == nil { try collect(endpoint, because: "its interface is gone") }
    }
    guard try store.endpoints(ofNetwork: network.id).isEmpty, try store.interfacePorts(ofNetwork: network.id).isEmpty
    else { return }
    logger.warning("network \(network.name) was left over: \(reason)")
    try removeNetwork(network)
  }

  func deleteNetwork(id: String) throws(ControlError) {
    guard let network = try store.network(id: id) else { return }
    for endpoint in try store.endpoints(ofNetwork: id) where endpoint.isEngines { try disconnect(endpoint) }
    try removeNetwork(network)
  }

  private func engineNetwork(_ id: String) throws(ControlError) -> NetworkRecord {
    guard let network = try store.network(id: id) else {
      throw ControlError(
        .notFound, "martletd knows no network \(Identifier.short(id)): remove the network and create it again")
    }
    guard network.state == .settled else { throw Self.halfRemoved(network) }
    return network
  }

  private static func halfRemoved(_ network: NetworkRecord) -> ControlError {
    ControlError(
      .conflict, "network \(network.name) could not be removed completely: martlet network rm \(network.name)")
  }

  private static func checkIdentifier(_ id: String, of what: String) throws(ControlError) {
    guard Identifier.isWellFormed(id) else {
      throw ControlError(.invalid, "\(what) id \(id.quoted): \(Identifier.length) hexadecimal digits are needed")
    }
  }

  // MARK: Endpoints

  func createEndpoint(_ request: DriverEndpointRequest) throws(ControlError) -> DriverEndpoint {
    try Self.checkIdentifier(request.endpoint, of: "endpoint")
    let network = try engineNetwork(request.network)
    if let endpoint = try store.endpoint(id: request.endpoint) {
      guard endpoint.networkId == network.id else {
        throw ControlError(.conflict, "endpoint \(Identifier.short(endpoint.id)) is on another network")
      }
      return DriverEndpoint(mac: mac(of: endpoint, on: network)?.description ?? "")
    }
    guard network.driver.hasSwitch else {
      throw ControlError(
        .unsupported, "network \(network.name): the driver \(network.driver.rawValue) gives no interface")
    }
    let plan = try ConnectPlan(
      connectRequest(request), network: network, subnets: try store.subnets(ofNetwork: network.id))
    for address in [plan.ipv4, plan.ipv6].compactMap({ $0 }) { try removeLeftOverEndpoint(of: network, with: address) }
    if let mac = plan.mac { try removeLeftOverEndpoint(of: network, with: mac) }
    let sandbox = SandboxRecord(
      id: Identifier.random(), name: "unjoined-" + Identifier.short(request.endpoint), path: "", inode: 0,
      origin: .adopted, ownsNamespace: false, isImplicit: true, hasNameServers: false, state: .settled,
      created: Self.now())
    try checkSandboxLimit()
    try checkConnection(of: sandbox, to: network)
    let endpoint = EndpointRecord(
      id: request.endpoint, networkId: network.id, sandboxId: sandbox.id,
      interface: Self.temporaryInterface(forEndpoint: request.endpoint),
      mac: network.lanMode?.sharesMAC == true ? nil : try engineMAC(plan, network), mtu: plan.mtu,
      isIsolated: plan.isIsolated, macLimit: 0, isAddressed: !request.addresses.isEmpty, aliases: [],
      labels: [:], isEngines: true, state: .settled, created: Self.now())
    try store.insert(endpoint, in: sandbox) { subnet in subnet.isIpv6 ? plan.ipv6 : plan.ipv4 }
    arriving[endpoint.id] = Arrival()
    return DriverEndpoint(mac: mac(of: endpoint, on: network)?.description ?? "")
  }

  /// The one that is asked for; else, as Docker's own driver derives it from the address: a container that is started again, and has
  /// the address it had, is at once reached by neighbours that know it from before.
  private func engineMAC(_ plan: ConnectPlan, _ network: NetworkRecord) throws(ControlError) -> MACAddress {
    if plan.mac == nil, network.parent == nil, let address = plan.ipv4,
      let mac = MACAddress(bytes: [0x02, 0x42] + address.bytes), let free = try? freeMAC(mac, network)
    {
      return free
    }
    return try freeMAC(plan.mac, network)
  }

  private func connectRequest(_ request: DriverEndpointRequest) throws(ControlError) -> ConnectRequest {
    var connect = ConnectRequest(sandbox: "")
    (connect.mac, connect.mtu) = (request.mac, request.mtu)
    if request.addresses.isEmpty { connect.noAddress = true }
    for text in request.addresses {
      guard let prefix = IPPrefix(text) else {
        throw ControlError(.invalid, "address \(text.quoted) is no address with a prefix length, such as 10.0.0.2/24")
      }
      let address = prefix.address.description
      if prefix.isIPv6 { connect.ip6 = address } else { connect.ip = address }
    }
    return connect
  }

  private func removeLeftOverEndpoint(of network: NetworkRecord, with address: IPAddress) throws(ControlError) {
    guard let endpoint = try store.endpoint(network: network.id, address: address), endpoint.isEngines else { return }
    try collect(endpoint, because: "its engine gave \(address) to another")
  }

  private func removeLeftOverEndpoint(of network: NetworkRecord, with mac: MACAddress) throws(ControlError) {
    for endpoint in try store.endpoints(ofNetwork: network.id) where endpoint.isEngines && endpoint.mac == mac {
      if try place(of: endpoint) == nil { try collect(endpoint, because: "its engine gave \(mac) to another") }
    }
  }

  private func engineEndpoint(_ id: String, network: String) throws(ControlError) -> EndpointRecord {
    guard let endpoint = try store.endpoint(id: id), endpoint.networkId == network else {
      throw ControlError(
        .notFound,
        "martletd knows no endpoint \(Identifier.short(id)): disconnect it from the network and connect it again")
    }
    return endpoint
  }

  func endpointInformation(network: String, endpoint id: String) throws(ControlError) -> Endpoint {
    try view(try engineEndpoint(id, network: network))
  }

  func join(network networkID: String, endpoint id: String, sandbox path: String) throws(ControlError) -> DriverJoin {
    let network = try engineNetwork(networkID)
    let endpoint = try engineEndpoint(id, network: networkID)
    if endpointPorts[id] == nil {
      try change { rollback throws(ControlError) in
        let joined = try enter(endpoint, sandboxAt: path, &rollback)
        try raiseInterface(of: joined, on: network, &rollback)
      }
      logger.info("endpoint joined network \(network.name)", metadata: ["endpoint": "\(id)", "sandbox": "\(path)"])
    }
    let gateways = try network.offersDefaultRoute ? store.subnets(ofNetwork: networkID).compactMap(\.gateway) : []
    return DriverJoin(
      interface: Self.temporaryInterface(forEndpoint: id), interfacePrefix: try network.parsedOptions.interfacePrefix,
      gateway: gateways.first { !$0.isIPv6 }?.description, gateway6: gateways.first(where: \.isIPv6)?.description)
  }

  /// The endpoint, now in the sandbox at that path: with its other endpoints, or the first there.
  private func enter(
    _ endpoint: EndpointRecord, sandboxAt path: String, _ rollback: inout Rollback
  ) throws(ControlError) -> EndpointRecord {
    guard path.hasPrefix("/"), path.utf8.count <= Limits.pathLength, !path.utf8.contains(0) else {
      throw ControlError(.invalid, "sandbox \(path.quoted): an absolute path is needed, such as /run/netns/NAME")
    }
    guard var sandbox = try store.sandbox(id: endpoint.sandboxId) else {
      throw ControlError(.system, "endpoint \(endpoint.id) has lost its sandbox")
    }
    var joined = endpoint
    if let other = try store.sandbox(path: path), other.id != sandbox.id {
      if let earlier = try store.endpoint(network: endpoint.networkId, sandbox: other.id) {
        guard earlier.isEngines else {
          throw ControlError(.conflict, "sandbox \(other.name) is connected to the network already")
        }
        try collect(earlier, because: "its engine connects the sandbox anew")
      }
      // The last that was there may have taken the sandbox along.
      if try store.sandbox(id: other.id) != nil {
        joined.sandboxId = other.id
        try store.update(joined, leaving: sandbox)
        rollback.add("take endpoint \(endpoint.id) out of its sandbox") { [store, sandbox] () throws(ControlError) in
          try store.update(endpoint, entering: sandbox)
        }
        return joined
      }
    }
    rollback.add("take endpoint \(endpoint.id) out of its sandbox") { [store, sandbox] () throws(ControlError) in
      try store.update(sandbox)
    }
    let name = path.lastComponent
    let isTaken = try store.sandbox(exactly: name) != nil
    if !isTaken, (try? Name.check(name, of: "sandbox")) != nil { sandbox.name = name }
    sandbox.path = path
    try store.update(sandbox)
    return joined
  }

  private func raiseInterface(
    of endpoint: EndpointRecord, on network: NetworkRecord, _ rollback: inout Rollback
  ) throws(ControlError) {
    let port = try makeInterface(
      Self.temporaryInterface(forEndpoint: endpoint.id), of: endpoint, on: network, in: host.own, &rollback)
    try tellEndpoint(endpoint, at: port, on: network)
    try refreshParent(network)
    try tellCluster(of: endpoint, on: network)
    arriving[endpoint.id] = Arrival(path: try store.sandbox(id: endpoint.sandboxId)?.path ?? "")
  }

  func leave(network: String, endpoint id: String) throws(ControlError) {
    try unpublish(network: network, endpoint: id)
    arriving[id] = nil
  }

  func deleteEndpoint(network: String, endpoint id: String) throws(ControlError) {
    guard let endpoint = try store.endpoint(id: id), endpoint.networkId == network else { return }
    try disconnect(endpoint, waits: false)
  }

  // MARK: Ports

  func publish(network networkID: String, endpoint id: String, ports: [String]) throws(ControlError) {
    let network = try engineNetwork(networkID)
    let endpoint = try engineEndpoint(id, network: networkID)
    let published = try store.publications(ofEndpoint: id)
    var asked: [PublishedSpecification] = []
    for text in ports {
      let specification = try PublishedSpecification(text)
      if !published.contains(where: { $0.matches(specification) }) { asked.append(specification) }
    }
    if asked.isEmpty { return }
    try change { rollback throws(ControlError) in _ = try publish(asked, of: endpoint, on: network, &rollback) }
  }

  func unpublish(network: String, endpoint id: String) throws(ControlError) {
    guard let endpoint = try store.endpoint(id: id), endpoint.networkId == network else { return }
    let records = try store.publications(ofEndpoint: id)
    if records.isEmpty { return }
    // From the data plane too: another endpoint may publish the ports before this one's goes.
    try store.setPublications(records, state: .removing)
    for record in records { try withdraw(record) }
    try store.deletePublications(records)
  }

  // MARK: Where the interface is

  /// The namespace in which the endpoint's interface is now, and the interface; nil: nowhere.
  func place(of endpoint: EndpointRecord) throws(ControlError) -> (namespace: NamespaceReference, link: HostLink)? {
    var namespaces = [host.own]
    if let path = try store.sandbox(id: endpoint.sandboxId)?.path, !path.isEmpty,
      let namespace = try namespaceIfThere(path)
    {
      namespaces.insert(namespace, at: 0)
    }
    for namespace in namespaces {
      if let link = try link(of: endpoint, in: namespace) { return (namespace, link) }
    }
    return nil
  }

  /// Takes away what an engine that ended has left half connected: interfaces that it had not moved yet, or had moved back.
  func collectUnfinished() throws(ControlError) {
    for endpoint in try store.endpoints() where endpoint.isEngines {
      if let place = try place(of: endpoint), place.namespace.inode != host.own.inode { continue }
      try collect(endpoint, because: "its engine ended before it was connected")
    }
    try releaseUnusedAddresses()
  }

  /// Looks for interfaces that were on their way, and does in the sandbox what the engine does not.
  func receiveArriving() {
    for (id, arrival) in arriving {
      attempt("take up the interface of endpoint \(id)") { () throws(ControlError) in
        // Before the store is asked: most looks are in vain.
        let namespace = arrival.path.isEmpty ? nil : try namespaceIfThere(arrival.path)
        let isLate = arrival.since.duration(to: .now) > Limits.arrival
        guard namespace != nil || isLate else { return }
        guard var endpoint = try store.endpoint(id: id), var sandbox = try store.sandbox(id: endpoint.sandboxId) else {
          arriving[id] = nil
          return
        }
        guard let namespace, let link = try link(of: endpoint, in: namespace), link.isUp else {
          if isLate { try collect(endpoint, because: "its engine has not taken it") }
          return
        }
        arriving[id] = nil
        // The switch has queues of its own.
        try host.setUp(link.name, ipv6: nil, in: namespace)
        endpoint.interface = link.name
        try store.update(endpoint)
        sandbox.inode = Int64(bitPattern: namespace.inode)
        try store.update(sandbox)
        announce(id)
        repeatAnnouncement(id)
      }
    }
  }
}
