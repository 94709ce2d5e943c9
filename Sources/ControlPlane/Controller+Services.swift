import ControlModel
import DNS
import Wire

extension Controller {
  // MARK: Making

  func createService(_ request: ServiceRequest) throws(ControlError) -> Created {
    let network = try settled(try store.network(request.network))
    let (asked, plan) = try draft(request, on: network)
    try make(asked, on: network) { subnet in plan.wish(in: subnet) }
    return Created(id: asked.record.id)
  }

  /// What the request comes to; its virtual addresses are yet to be chosen. Nothing is changed by it.
  func draft(
    _ request: ServiceRequest, on network: NetworkRecord
  ) throws(ControlError) -> (asked: AskedService, plan: ServicePlan) {
    let plan = try ServicePlan(request)
    try check(plan, of: request.name, on: network)
    let id = Identifier.random()
    let record = ServiceRecord(
      id: id, networkId: network.id, name: request.name, mode: plan.mode, seed: .random(in: .min ... .max),
      state: .creating, created: Self.now())
    let binding = try network.parsedOptions.hostBinding
    var asked = AskedService(
      record: record,
      publications: plan.publications.map { ServicePublicationRecord($0, service: id, binding: binding) },
      addresses: [], members: [])
    asked.members = try members(request.endpoints ?? [], of: record, on: network)
    try checkCount(asked.members)
    return (asked, plan)
  }

  /// - Parameter wish: as of `Store.insert`.
  func make(
    _ asked: AskedService, on network: NetworkRecord, wish: (SubnetRecord) throws(ControlError) -> IPAddress??
  ) throws(ControlError) {
    let record = asked.record
    try change { rollback throws(ControlError) in
      try raiseMesh(of: network, &rollback)
      let written = try store.insert(asked, wish: wish)
      rollback.add("forget service \(record.name)") { [store] () throws(ControlError) in
        try store.deleteService(record.id)
      }
      try move(to: written, &rollback)
      try store.setService(record.id, state: .settled)
    }
    logger.info("service \(record.name) made on network \(network.name)", metadata: ["id": "\(record.id)"])
  }

  func changeService(_ name: String, _ change: ServiceChange) throws(ControlError) -> Service {
    let old = try store.asked(try settledService(name))
    let new = try changed(old, by: change)
    if new != old { try replace(old, by: new) }
    return try view(new)
  }

  /// Changes nothing.
  func changed(_ old: AskedService, by change: ServiceChange) throws(ControlError) -> AskedService {
    let record = old.record
    guard let network = try store.network(id: record.networkId) else { throw Self.lostNetwork(record) }
    var new = old
    if let mode = change.mode { new.record.mode = try ServicePlan.mode(mode) }
    let removed = try change.removedEndpoints.map { names throws(ControlError) in
      try members(names, of: record, on: network)
    }
    for member in removed ?? [] where !old.members.contains(member) {
      let name = member.endpointId.map(Identifier.short) ?? member.address!.description
      throw ControlError(.notFound, "endpoint \(name) is no member of service \(record.name)")
    }
    new.members.removeAll { removed?.contains($0) == true }
    for member in try members(change.addedEndpoints ?? [], of: record, on: network)
    where !new.members.contains(member) { new.members.append(member) }
    try checkCount(new.members)
    return new
  }

  func replace(_ old: AskedService, by new: AskedService) throws(ControlError) {
    let record = new.record
    try self.change { rollback throws(ControlError) in
      try store.update(new)
      rollback.add("keep service \(record.name) as it was") { [store] () throws(ControlError) in try store.update(old) }
      rollback.add("bring service \(record.name) back") { [self] () throws(ControlError) in try converge(old) }
      try converge(new)
    }
    logger.info("service \(record.name) changed: \(new.members.count) members")
  }

  /// What could not be taken away keeps the record, so that a second try finds the rest.
  func removeService(_ name: String) throws(ControlError) { try removeService(try store.service(name)) }

  func removeService(_ record: ServiceRecord) throws(ControlError) {
    try store.setService(record.id, state: .removing)
    try lower(record)
    names?.removeEndpoint(id: record.id)
    serviceTroubles[record.id] = nil
    let isLast = try store.services(ofNetwork: record.networkId).allSatisfy { $0.id == record.id }
    if isLast, let network = try store.network(id: record.networkId) { try lowerMesh(of: network) }
    try store.deleteService(record.id)
    logger.info("service \(record.name) removed", metadata: ["id": "\(record.id)"])
  }

  private func move(to asked: AskedService, _ rollback: inout Rollback) throws(ControlError) {
    rollback.add("take service \(asked.record.name) away") { [self, names] () throws(ControlError) in
      names?.removeEndpoint(id: asked.record.id)
      try lower(asked.record)
    }
    try converge(asked)
    try tellName(of: asked)
  }

  /// Its name stands for its virtual addresses, and without any is not known.
  func tellName(of asked: AskedService) throws(ControlError) {
    guard let names, !asked.addresses.isEmpty, let network = try store.network(id: asked.record.networkId),
      try network.hasNames
    else { return }
    let services = asked.publications.flatMap { publication in
      publication.hostPorts.prefix(Limits.servicesPerPublication).map {
        NamedEndpoint.Service(port: $0, transport: publication.transport == .tcp ? .tcp : .udp)
      }
    }
    names.setEndpoint(
      NamedEndpoint(
        id: asked.record.id, network: network.id, sandbox: "service \(asked.record.id)", names: [asked.record.name],
        addresses: asked.addresses, services: services))
  }

  // MARK: Checks

  private func check(_ plan: ServicePlan, of name: String, on network: NetworkRecord) throws(ControlError) {
    let services = try store.services()
    if services.contains(where: { $0.name == name }) {
      throw ControlError(.conflict, "service \(name) exists already")
    }
    guard services.count < Limits.services else {
      throw ControlError(.exhausted, "there are \(services.count) services, the most allowed: remove one")
    }
    func refusal(_ why: String) -> ControlError {
      ControlError(.invalid, "network \(network.name) \(why): it takes no services")
    }
    if network.lanMode != nil { throw refusal("is on the LAN") }
    guard network.driver.hasSwitch else { throw refusal("of the driver \(network.driver.rawValue) has no switch") }
    guard network.gatewayInterface != nil else { throw refusal("has no gateway") }
    if network.isInternal { throw refusal("is internal") }
    if network.gatewayMode == .isolated { throw refusal("is isolated") }
    guard uplinkRecord != nil else {
      throw ControlError(.conflict, "services need an uplink: martlet uplink set INTERFACE")
    }
    let modes = try network.gatewayModes
    let subnets = try store.subnets(ofNetwork: network.id)
    if !plan.publications.isEmpty, subnets.contains(where: { modes.routes(ipv6: $0.isIpv6) }) {
      throw ControlError(
        .unsupported,
        "network \(network.name) is routed: services publish no ports there, and are reached by their virtual address")
    }
    for address in plan.wished where !subnets.contains(where: { $0.prefix.contains(address) }) {
      throw ControlError(.invalid, "virtual address \(address) is in no subnet of network \(network.name)")
    }
    for asked in plan.publications { try checkHostAddress(of: asked) }
  }

  private func checkHostAddress(of asked: PublishedSpecification) throws(ControlError) {
    guard let address = asked.hostAddress, !address.isUnspecified, !address.isLoopback else { return }
    guard try host.hostAddresses().contains(where: { $0.address == address }) else {
      throw ControlError(
        .invalid, "port \(asked.text.quoted): \(address) is no address of the host: ip address shows those there are")
    }
  }

  private func checkCount(_ members: [ServiceMemberRecord]) throws(ControlError) {
    guard members.count <= Limits.serviceMembers else {
      throw ControlError(.exhausted, "\(members.count) endpoints: a service has at most \(Limits.serviceMembers)")
    }
  }

  private func settledService(_ name: String) throws(ControlError) -> ServiceRecord {
    let record = try store.service(name)
    guard record.state == .settled else {
      throw ControlError(.conflict, "service \(record.name) could not be removed completely: remove it again")
    }
    return record
  }

  private static func lostNetwork(_ record: ServiceRecord) -> ControlError {
    ControlError(.system, "service \(record.name) has lost its network")
  }

  /// Refuses to lose what services have.
  func checkServices(of network: NetworkRecord) throws(ControlError) {
    guard let service = try store.services(ofNetwork: network.id).first else { return }
    throw ControlError(
      .conflict, "network \(network.name) is in use by service \(service.name): martlet service rm \(service.name)")
  }

  /// As users name them: endpoints of the network by id, its beginning, or their sandbox; those of other hosts of the cluster as well, and by address.
  private func members(
    _ names: [String], of service: ServiceRecord, on network: NetworkRecord
  ) throws(ControlError) -> [ServiceMemberRecord] {
    var members: [ServiceMemberRecord] = []
    for name in names {
      let member = try member(name, of: service, on: network)
      if !members.contains(member) { members.append(member) }
    }
    return members
  }

  private func member(
    _ name: String, of service: ServiceRecord, on network: NetworkRecord
  ) throws(ControlError) -> ServiceMemberRecord {
    if let address = IPAddress(name) {
      let subnets = try store.subnets(ofNetwork: network.id)
      guard let subnet = subnets.first(where: { $0.prefix.contains(address) }), subnet.gateway != address else {
        throw ControlError(.invalid, "endpoint \(name) is no address of network \(network.name) that a member can have")
      }
      if let endpoint = try store.endpoint(network: network.id, address: address) {
        return ServiceMemberRecord(serviceId: service.id, endpointId: endpoint.id)
      }
      let known = remoteEndpoints[network.id]?.values.first { $0.addresses.contains(address) && !$0.isMesh }
      if let known { return ServiceMemberRecord(serviceId: service.id, endpointId: known.id) }
      return ServiceMemberRecord(serviceId: service.id, address: address)
    }
    let endpoint: EndpointRecord
    if let id = try remoteEndpoint(named: name, on: network) {
      return ServiceMemberRecord(serviceId: service.id, endpointId: id)
    } else if let sandbox = try store.sandbox(exactly: name) {
      guard let found = try store.endpoint(network: network.id, sandbox: sandbox.id) else {
        throw ControlError(.invalid, "sandbox \(name) is not connected to network \(network.name)")
      }
      endpoint = found
    } else {
      endpoint = try store.endpoint(name)
      guard endpoint.networkId == network.id else {
        throw ControlError(.invalid, "endpoint \(Identifier.short(endpoint.id)) is not on network \(network.name)")
      }
    }
    guard try !store.addresses(ofEndpoint: endpoint.id).isEmpty else {
      throw ControlError(.invalid, "endpoint \(Identifier.short(endpoint.id)) has no address: it can be no member")
    }
    return ServiceMemberRecord(serviceId: service.id, endpointId: endpoint.id)
  }

  /// On another host: by its id, its beginning, or its sandbox, where nothing of this host is called so. nil: none.
  private func remoteEndpoint(named name: String, on network: NetworkRecord) throws(ControlError) -> String? {
    let others = (remoteEndpoints[network.id] ?? [:]).values.filter { !$0.isMesh }
    if others.contains(where: { $0.id == name }) { return name }
    guard try store.sandbox(exactly: name) == nil, (try? store.endpoint(name)) == nil else { return nil }
    let isPrefix = name.utf8.count >= Limits.idPrefixMinimum && Identifier.isPrefix(name)
    let found = others.filter { $0.name == name || isPrefix && $0.id.hasPrefix(name) }
    guard found.count < 2 else {
      throw ControlError(
        .invalid, "endpoint \(name.quoted) names \(found.count) on other hosts: give an id, or an address")
    }
    return found.first?.id
  }

  // MARK: Restore

  /// What was cut short.
  func rollBackServices() throws(ControlError) {
    for record in try store.services() where record.state != .settled {
      logger.warning("service \(record.name) was cut short: taken away")
      attempt("take service \(record.name) away") { () throws(ControlError) in try removeService(record) }
    }
  }

  // MARK: Views

  func services() throws(ControlError) -> [Service] {
    var all: [Service] = []
    for record in try store.services() { all.append(try view(try store.asked(record))) }
    return all
  }

  func view(_ asked: AskedService) throws(ControlError) -> Service {
    let record = asked.record
    guard let network = try store.network(id: record.networkId) else { throw Self.lostNetwork(record) }
    var members: [ServiceMember] = []
    for found in try known(asked.members, on: network) {
      members.append(
        ServiceMember(
          endpoint: found.endpoint, sandbox: found.sandbox, addresses: found.addresses.map(\.description),
          local: found.isLocal, state: found.isPresent ? "up" : "down"))
    }
    let detail =
      record.state == .settled ? serviceTroubles[record.id] : "could not be removed completely: remove it again"
    let isServing = gateways[network.id] != nil && detail == nil && members.contains { $0.state == "up" }
    let why =
      gateways[network.id] == nil
      ? "there is no uplink: martlet uplink set INTERFACE" : members.isEmpty ? "it has no member" : "no member is up"
    return Service(
      id: record.id, name: record.name, network: network.name, mode: record.mode.rawValue,
      published: asked.publications.map { $0.shown(serviceTroubles[record.id]) },
      virtualAddresses: asked.addresses.map(\.description), members: members, state: isServing ? "up" : "down",
      detail: detail ?? (isServing ? nil : why))
  }
}
