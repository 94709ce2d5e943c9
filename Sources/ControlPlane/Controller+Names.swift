import ControlModel
import DNS
import SystemCalls
import Wire

// Sandboxes ask for names at their network's gateway, where there is one; else at 127.0.0.11 in their own namespace, as with
// Docker. Whoever shares a namespace is one asker, so the name server knows askers by the namespace's inode.
//
// Names are a help, never a condition: where a socket cannot be had, the sandbox is connected all the same, with the host's
// resolvers, and the sockets are tried for again.

/// Where names are served, and what stands in the way.
struct ServedNames {
  /// At the gateways of a network, by its id.
  var atGateways: [String: [IPAddress: Listener]] = [:]
  /// In namespaces, by inode.
  var inNamespaces: [Int64: Listener] = [:]
  /// By the place: why names are not served there. Said once.
  var troubles: [String: String] = [:]
  /// What is to be served and is not, or not at each of its gateways: networks and sandboxes, by id.
  var unservedNetworks: Set<String> = []
  var unservedSandboxes: Set<String> = []
}

extension Controller {
  /// In a sandbox.
  static let ownNameServer = IPAddress("127.0.0.11")!

  // MARK: Networks

  /// After the network's gateway came or went.
  func refreshNames(of network: NetworkRecord) throws(ControlError) {
    guard let names else { return }
    let hasNames = try network.hasNames && network.state != .removing
    let isRaised = hasNames && gatewayPorts[network.id] != nil
    let wanted = try isRaised ? Set(gatewayAddresses(network).map(\.address)) : []
    for (address, listener) in servedNames.atGateways[network.id] ?? [:] where !wanted.contains(address) {
      names.close(listener)
      servedNames.atGateways[network.id]![address] = nil
    }
    servedNames.unservedNetworks.remove(network.id)
    guard hasNames else {
      servedNames.atGateways[network.id] = nil
      return names.removeNetwork(id: network.id)
    }
    names.setNetwork(id: network.id, name: network.name)
    for address in wanted where servedNames.atGateways[network.id]?[address] == nil {
      servedNames.atGateways[network.id, default: [:]][address] = listen(
        .network(network.id), at: address, in: host.own)
      if servedNames.atGateways[network.id]?[address] == nil { servedNames.unservedNetworks.insert(network.id) }
    }
  }

  /// Before its gateway goes.
  func closeNames(of network: NetworkRecord) {
    servedNames.unservedNetworks.remove(network.id)
    for listener in (servedNames.atGateways.removeValue(forKey: network.id) ?? [:]).values { names?.close(listener) }
  }

  private func listen(_ clientele: Clientele, at address: IPAddress, in namespace: NamespaceReference) -> Listener? {
    guard let names else { return nil }
    do throws(ControlError) {
      let sockets = try host.openNameSockets(at: address, in: namespace)
      servedNames.troubles["\(address) in \(namespace.path)"] = nil
      do throws(Errno) {
        return try names.serve(clientele, sockets)
      } catch {
        throw ControlError(error)
      }
    } catch {
      let place = "\(address) in \(namespace.path)"
      if servedNames.troubles.updateValue(error.message, forKey: place) != error.message {
        logger.warning("names at \(place): \(error.message)")
      }
      return nil
    }
  }

  // MARK: Endpoints

  /// After the endpoint came, or what it publishes changed.
  func tellName(of endpoint: EndpointRecord, on network: NetworkRecord) throws(ControlError) {
    try tellCluster(of: endpoint, on: network)
    guard let names, try network.hasNames, let sandbox = try store.sandbox(id: endpoint.sandboxId) else { return }
    let services = try services(of: endpoint).map { service in
      NamedEndpoint.Service(port: service.port, transport: service.transport == .tcp ? .tcp : .udp)
    }
    names.setEndpoint(
      NamedEndpoint(
        id: endpoint.id, network: network.id, sandbox: sandbox.asker, names: [sandbox.name] + endpoint.aliases,
        addresses: try store.addresses(ofEndpoint: endpoint.id).map(\.address), services: services))
  }

  /// The ports at which it serves.
  func services(
    of endpoint: EndpointRecord
  ) throws(ControlError) -> [(port: UInt16, transport: PublicationRecord.Transport)] {
    var services: [(port: UInt16, transport: PublicationRecord.Transport)] = []
    for record in try store.publications(ofEndpoint: endpoint.id) where record.state != .removing {
      services += (record.port..<record.port + record.count).prefix(Limits.servicesPerPublication).map {
        (UInt16($0), record.transport)
      }
    }
    return services
  }

  // MARK: Sandboxes

  /// After the sandbox's endpoints, or the gateways of their networks, changed: where it asks, and its resolv.conf.
  func refreshNames(in sandbox: SandboxRecord) throws(ControlError) {
    // An engine's sandbox that has not been seen yet is nobody's namespace.
    guard names != nil, sandbox.inode != 0 else { return }
    servedNames.unservedSandboxes.remove(sandbox.id)
    let servers = try nameServers(of: sandbox)
    for sharer in try store.sandboxes(inode: sandbox.inode) where sharer.hasNameServers {
      try host.writeNameServers(servers, forNamespaceAt: sharer.path)
    }
  }

  func refreshNames(inSandboxesOf network: NetworkRecord) {
    attempt("names in sandboxes of network \(network.name)") { () throws(ControlError) in
      for endpoint in try store.endpoints(ofNetwork: network.id) {
        if let sandbox = try store.sandbox(id: endpoint.sandboxId) { try refreshNames(in: sandbox) }
      }
    }
  }

  /// nil: those of the host.
  private func nameServers(of sandbox: SandboxRecord) throws(ControlError) -> [IPAddress]? {
    var isNamed = false
    for endpoint in try store.endpoints(inode: sandbox.inode) where endpoint.state != .removing {
      guard let network = try store.network(id: endpoint.networkId), try network.hasNames else { continue }
      isNamed = true
      let reachable = try gatewaysWithNames(for: endpoint)
      guard !reachable.isEmpty else { continue }
      closeNames(inNamespace: sandbox.inode)
      return reachable
    }
    guard isNamed, let namespace = try namespaceNow(of: sandbox) else {
      closeNames(inNamespace: sandbox.inode)
      return nil
    }
    if servedNames.inNamespaces[sandbox.inode] == nil {
      servedNames.inNamespaces[sandbox.inode] = listen(.sandbox(sandbox.asker), at: Self.ownNameServer, in: namespace)
    }
    if servedNames.inNamespaces[sandbox.inode] != nil { return [Self.ownNameServer] }
    servedNames.unservedSandboxes.insert(sandbox.id)
    return nil
  }

  /// IPv4 first.
  private func gatewaysWithNames(for endpoint: EndpointRecord) throws(ControlError) -> [IPAddress] {
    let gateways = servedNames.atGateways[endpoint.networkId]?.keys.sorted { !$0.isIPv6 && $1.isIPv6 } ?? []
    let families = Set(try store.addresses(ofEndpoint: endpoint.id).map(\.isIPv6))
    return gateways.filter { families.contains($0.isIPv6) }
  }

  /// Where the endpoint's sandbox may ask by way of this endpoint, or in its own namespace.
  func nameServers(of endpoint: EndpointRecord, in sandbox: SandboxRecord) throws(ControlError) -> [IPAddress] {
    let gateways = try gatewaysWithNames(for: endpoint)
    if gateways.isEmpty, servedNames.inNamespaces[sandbox.inode] != nil { return [Self.ownNameServer] }
    return gateways
  }

  /// Open sockets would keep the namespace.
  func closeNames(inNamespace inode: Int64) {
    if let listener = servedNames.inNamespaces.removeValue(forKey: inode) { names?.close(listener) }
  }

  /// After a start.
  func restoreNames() throws(ControlError) {
    if names == nil { return }
    for network in try store.networks() where network.state == .settled { try refreshNames(of: network) }
    for endpoint in try store.endpoints() where endpointPorts[endpoint.id] != nil {
      if let network = try store.network(id: endpoint.networkId) { try tellName(of: endpoint, on: network) }
    }
    for sandbox in try store.sandboxesWithEndpoints() where sandbox.inode != 0 { try refreshNames(in: sandbox) }
    watchNames()
  }

  /// Every two seconds: what could not be had is tried for again, and the host's resolvers may have changed.
  func watchNames() {
    guard let names else { return }
    attempt("look after names") { () throws(ControlError) in
      if let resolvers = host.changedResolvers() { names.setUpstreams(Upstreams(resolvers)) }
      for id in servedNames.unservedNetworks {
        guard let network = try store.network(id: id) else { continue }
        try refreshNames(of: network)
        if servedNames.atGateways[id]?.isEmpty == false { refreshNames(inSandboxesOf: network) }
      }
      for id in servedNames.unservedSandboxes {
        servedNames.unservedSandboxes.remove(id)
        if let sandbox = try store.sandbox(id: id) { try refreshNames(in: sandbox) }
      }
    }
  }
}

extension NetworkRecord {
  /// Its sandboxes resolve each other's names. Not by default on the default network, as with Docker, nor on an engine's, which
  /// answers by itself.
  var hasNames: Bool {
    get throws(ControlError) {
      guard driver.hasSwitch else { return false }
      return try parsedOptions.names ?? (name != Self.defaultName && !isEngines)
    }
  }

  static let defaultName = "default"
}

extension SandboxRecord {
  /// By which the name server knows it, and all that share its namespace.
  var asker: String { String(UInt64(bitPattern: inode)) }
}

extension NameService {
  fileprivate func serve(_ clientele: Clientele, _ sockets: consuming NameSockets) throws(Errno) -> Listener {
    try serve(clientele, datagrams: sockets.datagrams, streams: sockets.streams)
  }
}

extension Upstreams {
  /// What is no address is left out, as resolvers do.
  init(_ resolvers: NameServers) {
    self.init(
      resolvers.servers.compactMap { text in
        let parts = text.split(separator: "%", maxSplits: 1).map(String.init)
        guard let address = parts.first.flatMap({ IPAddress($0) }) else { return nil }
        return Server(address, scope: parts.count > 1 ? HostScope.index(of: parts[1]) : 0)
      })
    for option in resolvers.options {
      let parts = option.split(separator: ":")
      guard parts.count == 2, let value = Int(parts[1]), value > 0 else { continue }
      // The most that resolv.conf(5) allows.
      if parts[0] == "timeout" { timeoutSeconds = min(value, 30) }
      if parts[0] == "attempts" { attempts = min(value, 5) }
    }
  }
}
