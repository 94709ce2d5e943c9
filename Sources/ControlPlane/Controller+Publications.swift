import ControlModel
import Wire

// A publication is a row, a range of ports too, and costs the host and the data plane one command for each family. It is
// held on the host first, so that a program which has the port is found out, and only then taken from the wire.

/// A publication as host and data plane were told of it.
struct RaisedPublication: Equatable {
  var record: PublicationRecord
  /// The endpoint's.
  var addresses: [IPAddress]
  var modes: GatewayModes
  var holds: [HeldPorts] = []
  var entries: [DataPlanePublication] = []
}

extension Controller {
  func publish(endpoint name: String, _ request: PublishRequest) throws(ControlError) -> [Publication] {
    var asked: [PublishedSpecification] = []
    for text in request.ports { asked.append(try PublishedSpecification(text)) }
    let endpoint = try store.endpoint(name)
    guard !asked.isEmpty else { throw ControlError(.invalid, "nothing to publish: give at least one port") }
    guard let network = try store.network(id: endpoint.networkId) else {
      throw ControlError(.system, "endpoint \(endpoint.id) has lost its network")
    }
    guard endpoint.state == .settled, !network.driver.hasSwitch || endpointPorts[endpoint.id] != nil else {
      throw ControlError(.conflict, "endpoint \(Identifier.short(endpoint.id)) is down: nothing can be published")
    }
    let records = try change { rollback throws(ControlError) in
      try publish(asked, of: endpoint, on: network, &rollback)
    }
    var publications: [Publication] = []
    for record in records { publications += try views(of: record, endpoint, network) }
    return publications
  }

  /// All of `asked`, settled.
  func publish(
    _ asked: [PublishedSpecification], of endpoint: EndpointRecord, on network: NetworkRecord,
    _ rollback: inout Rollback
  ) throws(ControlError) -> [PublicationRecord] {
    let context = try publishing(endpoint, on: network)
    guard try store.countPublications() + asked.count <= Limits.publications else {
      throw ControlError(.exhausted, "\(Limits.publications) ports are published, the most allowed: withdraw some")
    }
    var (fixed, chosen) = ([PublicationRecord](), [(PublicationRecord, PublishedSpecification)]())
    for specification in asked {
      let hostAddress = try hostAddress(of: specification, context, on: network)
      var record = PublicationRecord(specification, endpoint: endpoint.id, hostAddress: hostAddress)
      if !needsHostPort(record, context) {
        record.hostPort = nil
        fixed.append(record)
      } else if record.hostPort != nil, !specification.choosesFromRange {
        fixed.append(record)
      } else {
        chosen.append((record, specification))
      }
    }
    // Ports that were asked for come before those of which any will do.
    var records = try insert(fixed, &rollback)
    for record in records {
      rollback.add("withdraw \(record.port)/\(record.transport.rawValue)") { [self] () throws(ControlError) in
        try lower(record.id!)
      }
      try raise(record, context)
    }
    for (record, specification) in chosen {
      records.append(try raiseChosen(record, specification, context, &rollback))
    }
    try store.setPublications(records, state: .settled)
    try tellName(of: endpoint, on: network)
    return records.map { record in
      var record = record
      record.state = .settled
      return record
    }
  }

  // MARK: Checks

  /// What is needed of an endpoint to publish its ports, or why it publishes none.
  private func publishing(
    _ endpoint: EndpointRecord, on network: NetworkRecord
  ) throws(ControlError) -> RaisedPublication {
    let empty = PublicationRecord(
      endpointId: endpoint.id, transport: .tcp, port: 1, count: 1, state: .creating)
    func refusal(_ why: String) -> ControlError {
      ControlError(.invalid, "network \(network.name) \(why): it publishes no ports")
    }
    if network.lanMode != nil { throw refusal("is on the LAN, where its endpoints are reached at their own addresses") }
    guard network.driver.hasSwitch else {
      throw refusal("of the driver \(network.driver.rawValue) gives no interface")
    }
    guard network.gatewayInterface != nil else { throw refusal("has no gateway") }
    if network.isInternal { throw refusal("is internal") }
    if network.gatewayMode == .isolated { throw refusal("is isolated") }
    let addresses = try store.addresses(ofEndpoint: endpoint.id).map(\.address)
    guard !addresses.isEmpty else {
      throw ControlError(.invalid, "endpoint \(Identifier.short(endpoint.id)) has no address: it publishes no ports")
    }
    return RaisedPublication(record: empty, addresses: addresses, modes: try network.gatewayModes)
  }

  /// The address that is meant, checked.
  private func hostAddress(
    of asked: PublishedSpecification, _ context: RaisedPublication, on network: NetworkRecord
  ) throws(ControlError) -> IPAddress? {
    let binding = try network.parsedOptions.hostBinding
    let address = asked.hostAddress ?? binding
    if let address {
      if address.isIPv6, !host.hasIPv6 {
        throw ControlError(.invalid, "port \(asked.text.quoted): the host has no IPv6")
      }
      if context.modes.routes(ipv6: address.isIPv6), !context.addresses.contains(where: { $0.isIPv6 == address.isIPv6 })
      {
        throw ControlError(
          .invalid,
          "port \(asked.text.quoted): network \(network.name) is routed, and the endpoint has no \(address.isIPv6 ? "IPv6" : "IPv4") address"
        )
      }
      if address.isLoopback {
        guard !context.modes.routes(ipv6: address.isIPv6) else {
          throw ControlError(
            .invalid,
            "port \(asked.text.quoted): network \(network.name) is routed: \(address) would not keep it to the host"
          )
        }
        // The host alone reaches it, by its own stack.
        return address
      }
      if !address.isUnspecified, !(try host.hostAddresses().contains { $0.address == address }) {
        throw ControlError(
          .invalid, "port \(asked.text.quoted): \(address) is no address of the host: ip address shows those there are")
      }
    }
    guard uplinkRecord != nil else {
      throw ControlError(.conflict, "publishing needs an uplink: martlet uplink set INTERFACE")
    }
    return address
  }

  /// false: all that it comes to is the endpoint's own port at its own address.
  private func needsHostPort(_ record: PublicationRecord, _ context: RaisedPublication) -> Bool {
    var record = record
    record.hostPort = 1
    record.count = 1
    return !plan(record, context).holds.isEmpty
  }

  /// Refuses a gateway mode that would leave publications without a port of the host.
  func checkPublications(of old: NetworkRecord, allow new: NetworkRecord) throws(ControlError) {
    let (before, after) = (try old.gatewayModes, try new.gatewayModes)
    let isKept =
      new.gatewayMode != .isolated && before.routes(ipv6: false) == after.routes(ipv6: false)
      && before.routes(ipv6: true) == after.routes(ipv6: true)
    if isKept { return }
    try checkServices(of: old)
    for endpoint in try store.endpoints(ofNetwork: old.id)
    where try !store.publications(ofEndpoint: endpoint.id).isEmpty {
      throw ControlError(
        .conflict,
        "gateway mode \(new.gatewayMode.rawValue): endpoint \(Identifier.short(endpoint.id)) has published ports: unpublish them first"
      )
    }
  }

  /// As at a start: what an endpoint publishes that is up.
  func raiseAgain(_ record: PublicationRecord) throws(ControlError) {
    guard let endpoint = try store.endpoint(id: record.endpointId),
      let network = try store.network(id: endpoint.networkId)
    else { return }
    try raise(record, try publishing(endpoint, on: network))
  }

  func withdraw(_ record: PublicationRecord) throws(ControlError) {
    try lower(record.id!)
    publicationTroubles[record.id!] = nil
  }

  // MARK: Host and data plane

  private func plan(_ record: PublicationRecord, _ context: RaisedPublication) -> PublicationPlan {
    PublicationPlan(
      record, addresses: context.addresses, modes: context.modes,
      external: uplink.map { $0.facts.addresses.map(\.address) }, hasIPv6: host.hasIPv6)
  }

  private func insert(
    _ records: [PublicationRecord], _ rollback: inout Rollback
  ) throws(ControlError) -> [PublicationRecord] {
    if records.isEmpty { return [] }
    let inserted = try store.insert(records)
    rollback.add("forget publications") { [store] () throws(ControlError) in try store.deletePublications(inserted) }
    return inserted
  }

  private func raise(_ record: PublicationRecord, _ context: RaisedPublication) throws(ControlError) {
    let plan = plan(record, context)
    try change { rollback throws(ControlError) in
      var raised = context
      (raised.record, raised.holds, raised.entries) = (record, plan.holds, plan.entries)
      for held in plan.holds {
        try host.hold(held)
        rollback.add("release \(held.ports)") { [host] () throws(ControlError) in try host.release(held) }
      }
      for entry in plan.entries {
        try dataPlane.publish(entry)
        rollback.add("withdraw \(entry.hostPorts)") { [dataPlane] () throws(ControlError) in
          try dataPlane.unpublish(entry)
        }
      }
      raisedPublications[record.id!] = raised
    }
  }

  /// With a port of the host that is free in the store and on the host. Docker's range where none is given: what the
  /// kernel gives out itself, so that no mapping of the uplink can have it.
  private func raiseChosen(
    _ record: PublicationRecord, _ asked: PublishedSpecification, _ context: RaisedPublication,
    _ rollback: inout Rollback
  ) throws(ControlError) -> PublicationRecord {
    let kernel = try host.localPortRange()
    let range = asked.hostPorts?.ports ?? kernel
    var (start, refusal, tried) = (asked.hostPorts == nil ? lastChosenPort + 1 : 0, nil as ControlError?, Set<Int>())
    while tried.count < Limits.chosenPortAttempts,
      let first = try store.freeHostPort(for: record, in: range, from: start), tried.insert(first).inserted
    {
      var chosen = record
      chosen.hostPort = first
      do throws(ControlError) {
        let inserted = try change { inner throws(ControlError) in
          let inserted = try insert([chosen], &inner)[0]
          try raise(inserted, context)
          return inserted
        }
        rollback.add("withdraw port \(first)") { [self] () throws(ControlError) in
          try lower(inserted.id!)
          try store.deletePublications([inserted])
        }
        lastChosenPort = first
        return inserted
      } catch let error where error.code == .conflict {
        (refusal, start) = (error, first + 1)
      }
    }
    let why = refusal.map { ": \($0.message)" } ?? ""
    throw ControlError(
      .exhausted, "port \(asked.text.quoted): no port of the host is free from \(PortRange(range))\(why)")
  }

  /// What is gone already is no error; what cannot be withdrawn is tried again.
  private func lower(_ id: Int64) throws(ControlError) {
    guard let raised = raisedPublications[id] else { return }
    for entry in raised.entries {
      try dataPlane.unpublish(entry)
      raisedPublications[id]?.entries.removeFirst()
    }
    for held in raised.holds {
      try host.release(held)
      raisedPublications[id]?.holds.removeFirst()
    }
    raisedPublications[id] = nil
  }

  /// When an endpoint's port has gone, and with it what the data plane had of them.
  func forgetPublications(of endpoint: EndpointRecord) throws(ControlError) {
    for record in try store.publications(ofEndpoint: endpoint.id) {
      raisedPublications[record.id!]?.entries = []
      try lower(record.id!)
      publicationTroubles[record.id!] = nil
    }
  }

  /// When the uplink has gone, and with it what the data plane had.
  func forgetEntries() {
    for id in raisedPublications.keys { raisedPublications[id]!.entries = [] }
    forgetServiceEntries()
  }

  /// After the uplink or its addresses changed. One that cannot be told is tried again.
  func refreshPublications() throws(ControlError) {
    for (id, raised) in raisedPublications {
      let wanted = plan(raised.record, raised).entries
      if wanted == raised.entries { continue }
      for entry in raised.entries where !wanted.contains(entry) {
        try dataPlane.unpublish(entry)
        raisedPublications[id]!.entries.removeAll { $0 == entry }
      }
      for entry in wanted where !raised.entries.contains(entry) {
        try dataPlane.publish(entry)
        raisedPublications[id]!.entries.append(entry)
      }
      raisedPublications[id]!.entries = wanted
    }
  }
}
