import Cluster
import ControlModel
import DNS
import Wire

// What other hosts have on the networks of the cluster: each is a static entry of the MAC table at its host's VTEP, an answer to
// questions for its addresses, and names.

extension Controller {
  // MARK: Other hosts' endpoints

  /// - Returns: the id of its network.
  func take(_ change: Change<ClusterEndpoint>) -> String {
    switch change {
    case .added(let endpoint):
      learn(endpoint)
      return endpoint.network
    case .gone(let endpoint):
      forget(endpoint, for: nil)
      return endpoint.network
    case .changed(let endpoint, from: let before):
      // In place of what was known, so that nothing is flooded in between.
      learn(endpoint)
      forget(before, for: endpoint)
      return endpoint.network
    }
  }

  private func isRemote(_ endpoint: ClusterEndpoint) -> Bool { endpoint.host != membership?.cluster.hostName }

  private func learn(_ endpoint: ClusterEndpoint) {
    guard isRemote(endpoint) else { return }
    guard (remoteEndpoints[endpoint.network]?.count ?? 0) < Limits.remoteEndpointsPerNetwork else {
      return logger.error("network \(endpoint.network): more endpoints on other hosts than are taken notice of")
    }
    remoteEndpoints[endpoint.network, default: [:]][endpoint.id] = endpoint
    tell(endpoint)
  }

  /// - Parameter successor: what is in its place, and has been told of.
  private func forget(_ endpoint: ClusterEndpoint, for successor: ClusterEndpoint?) {
    guard isRemote(endpoint) else { return }
    let isKept = successor.map(isRemote) ?? false
    if !(isKept && successor?.id == endpoint.id) {
      remoteEndpoints[endpoint.network]?[endpoint.id] = nil
      // Own ones have told their names by themselves.
      if successor?.id != endpoint.id { names?.removeEndpoint(id: endpoint.id) }
    }
    guard let handle = dataPlaneNetworks[endpoint.network] else { return }
    attempt("forget endpoint \(endpoint.id) of host \(endpoint.host)") { () throws(ControlError) in
      for address in endpoint.addresses where !(isKept && successor!.addresses.contains(address)) {
        try dataPlane.setNeighbour(address, mac: nil, in: handle)
      }
      if let mac = endpoint.mac, !(isKept && successor?.mac == mac), try !hasStaticEntry(mac, on: endpoint.network) {
        _ = try dataPlane.removeForwardingEntry(mac, network: handle)
      }
    }
  }

  /// By hand, or for an endpoint of this host.
  private func hasStaticEntry(_ mac: MACAddress, on network: String) throws(ControlError) -> Bool {
    try store.hasStaticEntry(network: network, mac: mac)
  }

  /// Of a network that is here now.
  func tellRemoteEndpoints(of network: NetworkRecord) throws(ControlError) {
    for endpoint in remoteEndpoints[network.id]?.values ?? [:].values { tell(endpoint) }
  }

  func forgetRemoteEndpoints(of network: NetworkRecord) {
    for id in remoteEndpoints[network.id]?.keys ?? [:].keys { names?.removeEndpoint(id: id) }
  }

  private func tell(_ endpoint: ClusterEndpoint) {
    guard let handle = dataPlaneNetworks[endpoint.network] else { return }
    attempt("tell of endpoint \(endpoint.id) of host \(endpoint.host)") { () throws(ControlError) in
      guard let network = try store.network(id: endpoint.network) else { return }
      if let mac = endpoint.mac {
        for address in endpoint.addresses { try dataPlane.setNeighbour(address, mac: mac, in: handle) }
        if let vtep = endpoint.vtep, let port = raisedOverlays[network.id]?.remotes[vtep]?.port,
          try !hasStaticEntry(mac, on: network.id)
        {
          try dataPlane.addForwardingEntry(mac, port: port)
        }
      }
      guard let names, !endpoint.isMesh, try network.hasNames else { return }
      names.setEndpoint(
        NamedEndpoint(
          id: endpoint.id, network: network.id, sandbox: "\(endpoint.host) \(endpoint.name)",
          names: [endpoint.name] + endpoint.aliases, addresses: endpoint.addresses,
          services: endpoint.services.map {
            NamedEndpoint.Service(port: $0.port, transport: $0.transport == "udp" ? .udp : .tcp)
          }))
    }
  }

  /// Of endpoints behind a VTEP.
  func remoteMACs(of network: String, at vtep: IPAddress) -> [MACAddress] {
    remoteEndpoints[network]?.values.compactMap { $0.vtep == vtep ? $0.mac : nil } ?? []
  }

  /// Each host has it, and asks none of the others for it.
  func tellGateway(of network: NetworkRecord, isThere: Bool) throws(ControlError) {
    guard let handle = dataPlaneNetworks[network.id] else { return }
    for address in try gatewayAddresses(network) {
      try dataPlane.setNeighbour(address.address, mac: isThere ? network.gatewayMac : nil, in: handle)
    }
  }

  // MARK: This host's endpoints

  /// After an endpoint came, or what it publishes changed.
  func tellCluster(of endpoint: EndpointRecord, on network: NetworkRecord) throws(ControlError) {
    guard let membership, network.isShared, let seen = try clusterEndpoint(endpoint, on: network) else { return }
    try membership.cluster.publish(seen)
  }

  private func clusterEndpoint(
    _ endpoint: EndpointRecord, on network: NetworkRecord
  ) throws(ControlError) -> ClusterEndpoint? {
    guard let sandbox = try store.sandbox(id: endpoint.sandboxId) else { return nil }
    return ClusterEndpoint(
      id: endpoint.id, network: network.id, mac: mac(of: endpoint, on: network),
      addresses: try store.addresses(ofEndpoint: endpoint.id).map(\.address), name: sandbox.name,
      aliases: endpoint.aliases,
      services: try services(of: endpoint).map { .init(port: $0.port, transport: $0.transport.rawValue) },
      vtep: try store.overlay(ofNetwork: network.id)?.local)
  }

  /// After it went.
  func withdraw(_ endpoint: EndpointRecord, _ addresses: [IPAddress]) {
    guard let membership, let network = try? store.network(id: endpoint.networkId), network.isShared else { return }
    membership.cluster.withdraw(endpoint.id, network: network.id)
    // Of an engine's, the engine has the addresses.
    if !endpoint.isEngines {
      membership.cluster.releaseSoon(addresses, network: network.id, endpoint: endpoint.id)
    }
  }

  /// All that are there, and the ids of those that are down.
  func endpointsForCluster() throws(ControlError) -> (there: [ClusterEndpoint], holders: Set<String>) {
    var (there, holders): ([ClusterEndpoint], Set<String>) = ([], [])
    for network in try store.networks() where network.isShared {
      for endpoint in try store.endpoints(ofNetwork: network.id) where endpoint.state == .settled {
        holders.insert(endpoint.id)
        guard endpointPorts[endpoint.id] != nil, let seen = try clusterEndpoint(endpoint, on: network) else { continue }
        there.append(seen)
      }
      if let mesh = try meshEndpoint(of: network) { there.append(mesh) }
    }
    return (there, holders)
  }
}
