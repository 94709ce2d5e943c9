import ControlModel
import Wire

/// Records as clients see them.
extension Controller {
  /// - Parameter isBare: without endpoints and attached interfaces.
  func view(_ network: NetworkRecord, isBare: Bool = false) throws(ControlError) -> Network {
    let subnets = try store.subnets(ofNetwork: network.id).map { subnet in
      Subnet(
        subnet: subnet.prefix.description, gateway: subnet.gateway?.description, ipRange: subnet.range?.description,
        auxiliaryAddresses: subnet.auxiliaryAddresses.isEmpty
          ? nil : subnet.auxiliaryAddresses.mapValues(\.description))
    }
    var endpoints: [Endpoint] = []
    if !isBare {
      for endpoint in try store.endpoints(ofNetwork: network.id) { endpoints.append(try view(endpoint)) }
    }
    return Network(
      id: network.id, name: network.name, driver: network.driver.rawValue,
      scope: (network.isShared ? NetworkScope.global : .local).rawValue, subnets: subnets,
      internal: network.isInternal, mtu: network.mtu, ageingSeconds: network.ageingSeconds, fdbLimit: network.fdbLimit,
      gatewayMode: network.gatewayMode.rawValue,
      gatewayInterface: network.gatewayMode == .isolated ? nil : network.gatewayInterface, parent: network.parent,
      overlay: try overlayView(of: network), labels: network.labels,
      options: network.options, created: network.created, endpoints: endpoints,
      ports: isBare ? [] : try ports(of: network))
  }

  func endpoints(_ filter: EndpointFilter) throws(ControlError) -> [Endpoint] {
    let records =
      if let network = filter.network { try store.endpoints(ofNetwork: try store.network(network).id) } else {
        try store.endpoints()
      }
    var all: [Endpoint] = []
    for record in records where filter.matches(labels: record.labels) { all.append(try view(record)) }
    return all
  }

  func view(_ endpoint: EndpointRecord) throws(ControlError) -> Endpoint {
    guard let network = try store.network(id: endpoint.networkId),
      let sandbox = try store.sandbox(id: endpoint.sandboxId)
    else { throw ControlError(.system, "endpoint \(endpoint.id) has lost its network or sandbox") }
    let port = endpointPorts[endpoint.id]
    let isUp = endpoint.state == .settled && (port != nil || !network.driver.hasSwitch)
    let published = try published(of: endpoint, on: network)
    let detail =
      endpoint.state == .settled ? troubles[endpoint.id] : "could not be removed completely: disconnect it again"
    return Endpoint(
      id: endpoint.id, network: network.name, sandbox: sandbox.name, netns: sandbox.path, interface: endpoint.interface,
      mac: mac(of: endpoint, on: network)?.description ?? "",
      addresses: try store.addresses(ofEndpoint: endpoint.id).map(\.description),
      aliases: endpoint.aliases, labels: endpoint.labels,
      nameServers: try nameServers(of: endpoint, in: sandbox).map(\.description), published: published,
      isolated: endpoint.isIsolated,
      guard: false,
      macLimit: endpoint.macLimit, rateIn: UInt64(endpoint.rateIn), rateOut: UInt64(endpoint.rateOut),
      mtu: network.driver.hasSwitch ? endpoint.mtu ?? network.mtu : 0, state: isUp ? "up" : "down",
      detail: isUp ? published.lazy.compactMap(\.detail).first : detail,
      counters: port.map { dataPlane.counters($0) } ?? Counters())
  }

  func view(_ sandbox: SandboxRecord) throws(ControlError) -> Sandbox {
    let namespace = try namespaceNow(of: sandbox)
    var endpoints: [Endpoint] = []
    for endpoint in try store.endpoints(ofSandbox: sandbox.id) { endpoints.append(try view(endpoint)) }
    let sharers = try store.sandboxes(inode: sandbox.inode).filter { $0.id != sandbox.id }
    return Sandbox(
      id: sandbox.id, name: sandbox.name, netns: sandbox.path, inode: namespace?.inode ?? 0,
      sharedWith: sharers.map(\.name), origin: sandbox.origin.rawValue, endpoints: endpoints,
      routes: try namespace.map { namespace throws(ControlError) in try host.routes(in: namespace) } ?? [],
      dns: host.nameServers(forNamespaceAt: sandbox.path), created: sandbox.created)
  }
}
