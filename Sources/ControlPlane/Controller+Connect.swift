import ControlModel
import Wire

extension Controller {
  /// - Parameter claimed: of a network of the cluster: the endpoint's id, and what the cluster has given it.
  func connect(
    _ networkName: String, _ request: ConnectRequest, claimed: ClaimedAddresses? = nil
  ) throws(ControlError) -> Created {
    let network = try settled(try store.network(networkName))
    let plan = try ConnectPlan(request, network: network, subnets: try store.subnets(ofNetwork: network.id))
    return try change { rollback throws(ControlError) in
      let sandbox = try sandboxToConnect(request.sandbox, &rollback)
      try checkConnection(of: sandbox, to: network)
      let endpoint = try record(plan, id: claimed?.endpoint ?? Identifier.random(), network: network, sandbox: sandbox)
      let others = try checkLANAddresses(plan, on: network)
      try store.insert(endpoint, others: others) { subnet in
        claimed?.addresses.first { $0.isIPv6 == subnet.isIpv6 } ?? (subnet.isIpv6 ? plan.ipv6 : plan.ipv4)
      }
      rollback.add("forget endpoint \(endpoint.id)") { [store] () throws(ControlError) in
        try store.deleteEndpoint(endpoint.id)
      }
      if network.driver.hasSwitch { try raiseEndpoint(endpoint, network: network, sandbox: sandbox, &rollback) }
      // They go with the interface.
      for route in plan.routes {
        try host.addRoute(to: route.destination, via: route.gateway, on: endpoint.interface, in: sandbox.namespace)
      }
      if !plan.published.isEmpty { _ = try publish(plan.published, of: endpoint, on: network, &rollback) }
      rollback.add("forget the name of \(endpoint.id)") { [names, membership] () throws(ControlError) in
        names?.removeEndpoint(id: endpoint.id)
        membership?.cluster.withdraw(endpoint.id, network: network.id)
      }
      try tellName(of: endpoint, on: network)
      var settled = endpoint
      settled.state = .settled
      try store.update(settled)
      if plan.isAnnounced {
        announce(endpoint.id)
        repeatAnnouncement(endpoint.id)
      }
      logger.info(
        "sandbox \(sandbox.name) connected to network \(network.name)",
        metadata: ["endpoint": "\(endpoint.id)", "interface": "\(endpoint.interface)"])
      return Created(id: endpoint.id)
    }
  }

  // MARK: Checks

  /// The sandbox named, or the namespace at that path, adopted on the way.
  private func sandboxToConnect(_ name: String, _ rollback: inout Rollback) throws(ControlError) -> SandboxRecord {
    if let sandbox = try findSandbox(name), try !collectIfReplaced(sandbox) {
      guard try settledSandbox(name).namespace == namespaceNow(of: sandbox) else { throw Self.gone(sandbox) }
      return sandbox
    }
    let namespace = try namespace(at: name)
    try checkSandboxLimit()
    var adoptedName = name.lastComponent
    if namespace.path != host.namespacePath(named: adoptedName) || (try? Name.check(adoptedName, of: "sandbox")) == nil
    {
      adoptedName = "netns-\(namespace.inode)"
    }
    if try store.sandbox(exactly: adoptedName) != nil { adoptedName = "netns-\(namespace.inode)" }
    let sandbox = try adopt(namespace, as: adoptedName, implicit: true)
    try store.insert(sandbox)
    rollback.add("forget sandbox \(sandbox.name)") { [store] () throws(ControlError) in
      try store.deleteSandbox(sandbox.id)
    }
    return sandbox
  }

  /// A path that was adopted, `/proc/PID/ns/net` say, may lead to another namespace before the sweep sees that the first is gone.
  private func collectIfReplaced(_ sandbox: SandboxRecord) throws(ControlError) -> Bool {
    guard sandbox.isImplicit, sandbox.inode != 0, let found = try namespaceIfThere(sandbox.path),
      found != sandbox.namespace
    else { return false }
    for endpoint in try store.endpoints(ofSandbox: sandbox.id) {
      try collect(endpoint, because: "its namespace \(sandbox.path) is another now")
    }
    return true
  }

  func checkConnection(of sandbox: SandboxRecord, to network: NetworkRecord) throws(ControlError) {
    if try store.endpoint(network: network.id, sandbox: sandbox.id) != nil {
      throw ControlError(.conflict, "sandbox \(sandbox.name) is connected to network \(network.name) already")
    }
    guard try store.countEndpoints(ofNetwork: network.id) < Limits.endpointsPerNetwork else {
      throw ControlError(
        .exhausted, "network \(network.name) has \(Limits.endpointsPerNetwork) endpoints, the most allowed")
    }
    let isOwn = sandbox.namespace.inode == host.own.inode
    if network.driver == .host, !isOwn {
      throw ControlError(
        .invalid, "network \(network.name) is the host's: sandbox \(sandbox.name) has a namespace of its own")
    }
    if network.driver.hasSwitch, isOwn {
      let way = network.lanMode == nil ? "which reaches network \(network.name) by its gateway" : "which has the parent"
      throw ControlError(.invalid, "sandbox \(sandbox.name) has the daemon's own namespace, \(way)")
    }
    if network.lanMode?.hasParentAlone == true, let first = try store.endpoints(ofNetwork: network.id).first {
      let name = try store.sandbox(id: first.sandboxId)?.name ?? first.id
      throw ControlError(
        .conflict, "network \(network.name) passes its parent through to one endpoint, that of sandbox \(name)")
    }
    for endpoint in try store.endpoints(ofSandbox: sandbox.id) {
      guard let other = try store.network(id: endpoint.networkId) else { continue }
      if !network.driver.hasSwitch || !other.driver.hasSwitch {
        let exclusive = other.driver.hasSwitch ? network : other
        throw ControlError(
          .conflict,
          "network \(exclusive.name) of the driver \(exclusive.driver.rawValue) allows no other: disconnect sandbox \(sandbox.name) from \(other.name) first"
        )
      }
    }
  }

  /// The intent. Addresses are chosen when it is written.
  private func record(
    _ plan: ConnectPlan, id: String, network: NetworkRecord, sandbox: SandboxRecord
  ) throws(ControlError) -> EndpointRecord {
    let hasInterface = network.driver.hasSwitch
    let hasMAC = hasInterface && network.lanMode?.sharesMAC != true
    return EndpointRecord(
      id: id, networkId: network.id, sandboxId: sandbox.id,
      interface: hasInterface ? try interfaceName(plan.interface, network, sandbox) : "",
      mac: hasMAC ? try freeMAC(plan.mac, network) : nil, mtu: plan.mtu, isIsolated: plan.isIsolated, macLimit: 0,
      isAddressed: plan.isAddressed, aliases: plan.aliases, labels: plan.labels,
      givesDefaultRoute: plan.givesDefaultRoute, state: .creating, created: Self.now())
  }

  private func interfaceName(
    _ asked: String?, _ network: NetworkRecord, _ sandbox: SandboxRecord
  ) throws(ControlError) -> String {
    let taken = Set(try host.links(in: sandbox.namespace).map(\.name))
    if let asked {
      guard !taken.contains(asked) else {
        throw ControlError(.conflict, "sandbox \(sandbox.name) has an interface \(asked) already")
      }
      return asked
    }
    let prefix = try network.parsedOptions.interfacePrefix
    // As many names as taken ones, and one more: one of them is free.
    return (0...taken.count).lazy.map { "\(prefix)\($0)" }.first { !taken.contains($0) }!
  }

  func freeMAC(_ asked: MACAddress?, _ network: NetworkRecord) throws(ControlError) -> MACAddress {
    var taken = try store.macs(ofNetwork: network.id)
    if let gateway = network.gatewayMac { taken.insert(gateway) }
    taken.formUnion(remoteEndpoints[network.id]?.values.compactMap(\.mac) ?? [])
    if let parent = network.parent {
      taken.formUnion(try host.links(in: host.own).filter { $0.name == parent }.compactMap(\.mac))
      for other in try store.networks() where other.parent == parent && other.id != network.id {
        taken.formUnion(try store.macs(ofNetwork: other.id))
      }
    }
    if let asked {
      guard !taken.contains(asked) else {
        throw ControlError(.conflict, "MAC \(asked) is taken on network \(network.name)")
      }
      return asked
    }
    var generator = SystemRandomNumberGenerator()
    while true {
      let mac = MACAddress.randomLocal(using: &generator)
      if !taken.contains(mac) { return mac }
    }
  }

  // MARK: Kernel and data plane

  /// The endpoint's interface, still down, and its port, whose neighbours do not know it yet.
  ///
  /// It is made where it is to stay: to move an interface from one namespace to another takes the kernel longer than all else that is
  /// done for an endpoint.
  func makeInterface(
    _ name: String, of endpoint: EndpointRecord, on network: NetworkRecord, in namespace: NamespaceReference,
    _ rollback: inout Rollback
  ) throws(ControlError) -> DataPlanePort {
    guard let handle = dataPlaneNetworks[network.id] else {
      throw ControlError(.system, "network \(network.name) has no switch: the log says why")
    }
    let settings = LinkSettings(
      mac: mac(of: endpoint, on: network), mtu: endpoint.mtu ?? network.mtu,
      segmentedFrameBytesMax: try segmentedFrameBytesMax(on: network))
    let tap = try host.makeTAP(
      name, alias: InterfaceMark.endpoint(endpoint.id), settings, queues: dataPlane.queuesPerPort, in: namespace)
    rollback.add("remove interface of \(endpoint.id)") { [self] () throws(ControlError) in
      try removeInterface(of: endpoint, in: [namespace])
    }
    let port = try dataPlane.addPort(queues: tap, to: handle, endpoint.dataPlaneOptions)
    endpointPorts[endpoint.id] = port
    rollback.add("take the port of \(endpoint.id) away") { [self] () throws(ControlError) in
      endpointPorts[endpoint.id] = nil
      try dataPlane.removePort(port)
      try refreshParent(network)
    }
    return port
  }

  private func raiseEndpoint(
    _ endpoint: EndpointRecord, network: NetworkRecord, sandbox: SandboxRecord, _ rollback: inout Rollback
  ) throws(ControlError) {
    let namespace = sandbox.namespace
    let port = try makeInterface(endpoint.interface, of: endpoint, on: network, in: namespace, &rollback)
    let addresses = try store.addresses(ofEndpoint: endpoint.id)
    // A network without IPv6 has none at all, link-local neither; without addresses of ours the interface is the user's.
    let ipv6 = endpoint.isAddressed ? addresses.contains(where: \.isIPv6) : nil
    let sharesMAC = network.lanMode?.usesAddresses == true
    if sharesMAC { try host.setLinkLocal(isRandom: !endpoint.isAddressed, endpoint.interface, in: namespace) }
    try host.setUp(endpoint.interface, ipv6: ipv6, in: namespace)
    let linkLocal = sharesMAC && ipv6 == true ? [Self.linkLocal(of: endpoint)] : []
    for address in addresses + linkLocal { try host.addAddress(address, to: endpoint.interface, in: namespace) }
    try tellEndpoint(endpoint, at: port, on: network)
    try refreshParent(network)
    try giveDefaultRoutes(in: namespace, from: [endpoint])
    try giveNameServers(to: sandbox, &rollback)
  }

  /// What a TAP is called until its engine moves it. As long as an interface's name may be.
  static func temporaryInterface(forEndpoint id: String) -> String { "mtx" + id.prefix(12) }

  /// Recorded first: a daemon that is killed between the two leaves no file that nobody knows of.
  private func giveNameServers(to sandbox: SandboxRecord, _ rollback: inout Rollback) throws(ControlError) {
    guard !sandbox.hasNameServers else { return try refreshNames(in: sandbox) }
    var changed = sandbox
    changed.hasNameServers = true
    try store.update(changed)
    rollback.add("remove resolv.conf of \(sandbox.name)") { [host, store] () throws(ControlError) in
      try host.removeNameServers(forNamespaceAt: sandbox.path)
      try store.update(sandbox)
    }
    try host.writeNameServers(nil, forNamespaceAt: sandbox.path)
    rollback.add("ask the host's resolvers in \(sandbox.name)") { [self] () throws(ControlError) in
      closeNames(inNamespace: sandbox.inode)
    }
    try refreshNames(in: sandbox)
  }
}
