import ControlModel
import Wire

extension Controller {
  // MARK: Disconnecting

  /// Once more is no error.
  func disconnect(network networkName: String, sandbox sandboxName: String) throws(ControlError) {
    let network = try store.network(networkName)
    guard let sandbox = try findSandbox(sandboxName),
      let endpoint = try store.endpoint(network: network.id, sandbox: sandbox.id)
    else { return }
    try disconnect(endpoint)
  }

  /// - Parameter waits: until the interface is gone. The kernel takes its time; an engine that only wants to be rid of it need
  ///   not wait. What a crash leaves of it, no record names, and the next start removes.
  func disconnect(_ endpoint: EndpointRecord, waits: Bool = true) throws(ControlError) {
    try removeEndpoint(endpoint, waits: waits)
    logger.info("endpoint disconnected", metadata: ["endpoint": "\(endpoint.id)"])
    guard let sandbox = try store.sandbox(id: endpoint.sandboxId) else { return }
    refreshDefaultRoutes(in: sandbox)
    try removeIfImplicit(sandbox)
  }

  /// Port, MAC entries, published ports, interface, neighbours, addresses and record. What of it is gone already is no error; what cannot be
  /// taken away keeps the record, so that a second try finds the rest.
  func removeEndpoint(_ endpoint: EndpointRecord, waits: Bool = true) throws(ControlError) {
    var removing = endpoint
    removing.state = .removing
    try store.update(removing)
    if let port = endpointPorts[endpoint.id] {
      try dataPlane.removePort(port)
      endpointPorts[endpoint.id] = nil
    }
    (seenAddresses[endpoint.id], followedAddresses[endpoint.id]) = (nil, nil)
    if let network = try store.network(id: endpoint.networkId) { try refreshParent(network) }
    refreshServices(ofNetwork: endpoint.networkId)
    try forgetPublications(of: endpoint)
    if !endpoint.interface.isEmpty, let sandbox = try store.sandbox(id: endpoint.sandboxId) {
      let namespaces = [host.own, sandbox.namespace]
      if waits {
        try removeInterface(of: endpoint, in: namespaces)
      } else {
        removals.async { [host, logger, id = endpoint.id] in
          do { try host.removeInterface(of: id, in: namespaces) } catch {
            logger.error("remove the interface of endpoint \(id): \(error)")
          }
        }
      }
    }
    let addresses = try store.addresses(ofEndpoint: endpoint.id).map(\.address)
    if !addresses.isEmpty, gatewayPorts[endpoint.networkId] != nil,
      let interface = try store.network(id: endpoint.networkId)?.gatewayInterface
    {
      attempt("forget neighbours on \(interface)") { () throws(ControlError) in
        try host.forgetNeighbours(addresses, on: interface)
      }
    }
    try store.deleteEndpoint(endpoint.id)
    names?.removeEndpoint(id: endpoint.id)
    withdraw(endpoint, addresses)
    attempt("names in the sandbox of \(endpoint.id)") { () throws(ControlError) in
      if let sandbox = try store.sandbox(id: endpoint.sandboxId) { try refreshNames(in: sandbox) }
    }
    troubles[endpoint.id] = nil
    arriving[endpoint.id] = nil
  }

  func removeInterface(of endpoint: EndpointRecord, in namespaces: [NamespaceReference]) throws(ControlError) {
    try host.removeInterface(of: endpoint.id, in: namespaces)
  }

  /// The interface of an endpoint in its sandbox; nil where it is gone, `notFound` where the namespace is.
  func link(of endpoint: EndpointRecord, in namespace: NamespaceReference) throws(ControlError) -> HostLink? {
    let mark = InterfaceMark.endpoint(endpoint.id)
    return try host.links(in: namespace).first { $0.alias == mark }
  }

  func removeIfImplicit(_ sandbox: SandboxRecord) throws(ControlError) {
    guard sandbox.isImplicit, try store.endpoints(ofSandbox: sandbox.id).isEmpty else { return }
    // As the store has it now: it may have become the owner of a resolv.conf.
    if let current = try store.sandbox(id: sandbox.id) { try removeSandbox(current) }
  }

  // MARK: Default routes

  /// Gives a namespace that has none a default route of each family, by the first of `endpoints` whose gateway offers it.
  func giveDefaultRoutes(in namespace: NamespaceReference, from endpoints: [EndpointRecord]) throws(ControlError) {
    for ipv6 in [false, true] {
      for endpoint in endpoints
      where endpoint.isAddressed && endpoint.givesDefaultRoute && !endpoint.isEngines && endpoint.state != .removing {
        guard let network = try store.network(id: endpoint.networkId), network.offersDefaultRoute,
          let subnet = try store.subnets(ofNetwork: network.id).first(where: { $0.isIpv6 == ipv6 }),
          let gateway = subnet.gateway
        else { continue }
        if try !host.hasDefaultRoute(ipv6: ipv6, in: namespace) {
          let name = try link(of: endpoint, in: namespace)?.name ?? endpoint.interface
          try host.addDefaultRoute(via: gateway, on: name, in: namespace)
        }
        break
      }
    }
  }

  /// After a default route may have gone with its endpoint: the oldest endpoint with a gateway gives the next.
  func refreshDefaultRoutes(in sandbox: SandboxRecord) {
    if sandbox.inode == 0 { return }
    attempt("default route of sandbox \(sandbox.name)") { () throws(ControlError) in
      guard try namespaceNow(of: sandbox) != nil else { return }
      try giveDefaultRoutes(in: sandbox.namespace, from: try store.endpoints(inode: sandbox.inode))
    }
  }

  /// After a network began or ceased to offer a default route.
  func refreshDefaultRoutes(ofNetwork network: NetworkRecord) {
    attempt("default routes by network \(network.name)") { () throws(ControlError) in
      let subnets = try store.subnets(ofNetwork: network.id)
      for endpoint in try store.endpoints(ofNetwork: network.id) where endpoint.isAddressed && !endpoint.isEngines {
        guard let sandbox = try store.sandbox(id: endpoint.sandboxId), try namespaceNow(of: sandbox) != nil,
          let link = try link(of: endpoint, in: sandbox.namespace)
        else { continue }
        if !network.offersDefaultRoute {
          for gateway in subnets.compactMap(\.gateway) {
            try host.removeDefaultRoute(via: gateway, on: link.name, in: sandbox.namespace)
          }
        }
        refreshDefaultRoutes(in: sandbox)
      }
    }
  }

  // MARK: Changing

  func changeEndpoint(_ name: String, _ change: EndpointChange) throws(ControlError) -> Endpoint {
    let old = try store.endpoint(name)
    if change.guard == true {
      throw ControlError(.unsupported, "the address guard is not built yet: an endpoint's guard stays off")
    }
    var new = old
    if let isolated = change.isolated {
      if let network = try store.network(id: old.networkId) { try Self.checkIsolation(isolated, on: network) }
      new.isIsolated = isolated
    }
    if let limit = change.macLimit {
      new.macLimit = try NetworkPlan.check(limit, in: 0...Limits.fdbEntries.upperBound, "MAC limit")
    }
    if let rate = change.rateIn { new.rateIn = try Self.rate(rate) }
    if let rate = change.rateOut { new.rateOut = try Self.rate(rate) }
    guard new != old else { return try view(old) }
    guard let port = endpointPorts[old.id] else {
      throw ControlError(.conflict, "endpoint \(Identifier.short(old.id)) is down or has no port: nothing can be set")
    }
    try self.change { rollback throws(ControlError) in
      try dataPlane.changePort(port, new.dataPlaneOptions)
      rollback.add("give endpoint \(old.id) its old settings") { [dataPlane] () throws(ControlError) in
        try dataPlane.changePort(port, old.dataPlaneOptions)
      }
      try store.update(new)
    }
    return try view(new)
  }

  private static func rate(_ bits: UInt64) throws(ControlError) -> Int64 {
    guard bits == 0 || Limits.rate.contains(bits) else {
      throw ControlError(
        .invalid,
        "rate \(bits): allowed is \(Limits.rate.lowerBound) to \(Limits.rate.upperBound) bits a second, or 0 for no limit"
      )
    }
    return Int64(bits)
  }
}

extension EndpointRecord {
  var dataPlaneOptions: DataPlanePortOptions {
    DataPlanePortOptions(
      isolated: isIsolated, macLimit: macLimit, rateIn: UInt64(rateIn), rateOut: UInt64(rateOut))
  }
}

extension HostNetwork {
  /// Wherever it stands, and whatever it is called there: our mark tells.
  func removeInterface(of endpoint: String, in namespaces: [NamespaceReference]) throws(ControlError) {
    for namespace in namespaces {
      do throws(ControlError) {
        for link in try links(in: namespace) where link.alias == InterfaceMark.endpoint(endpoint) {
          try removeLink(link.name, in: namespace)
        }
      } catch let error where error.code == .notFound {
        continue
      }
    }
  }
}
