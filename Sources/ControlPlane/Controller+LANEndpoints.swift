import ControlModel
import Wire

/// Endpoints on the LAN: by which addresses frames are theirs.
extension Controller {
  /// The address of the endpoint's interface; nil where it has none.
  func mac(of endpoint: EndpointRecord, on network: NetworkRecord) -> MACAddress? {
    endpoint.mac ?? (endpoint.interface.isEmpty ? nil : network.sharedMac)
  }

  /// Addresses that the host has, which are no endpoint's to have.
  func hostAddresses(besides network: NetworkRecord) throws(ControlError) -> Set<IPAddress> {
    guard network.lanMode != nil else { return [] }
    return Set(try host.hostAddresses().map(\.address))
  }

  /// Refuses to take an address from the host.
  func checkLANAddresses(_ plan: ConnectPlan, on network: NetworkRecord) throws(ControlError) -> Set<IPAddress> {
    let taken = try hostAddresses(besides: network)
    for address in [plan.ipv4, plan.ipv6] {
      guard let address, taken.contains(address) else { continue }
      throw ControlError(.conflict, "address \(address) is the host's own: choose another")
    }
    return taken
  }

  /// Refuses isolation where the outside decides who reaches whom.
  static func checkIsolation(_ asked: Bool?, on network: NetworkRecord) throws(ControlError) {
    guard let asked, let mode = network.lanMode else { return }
    if asked, mode.hasNoIsolation {
      throw ControlError(
        .invalid, "network \(network.name) sends all frames outside: it cannot keep endpoints from each other")
    }
    if !asked, mode.isPrivate {
      throw ControlError(.invalid, "network \(network.name) is private: its endpoints are isolated")
    }
  }

  // MARK: What the data plane and the filter are told

  /// By IP the endpoint is found at these.
  private func lanAddresses(of endpoint: EndpointRecord) throws(ControlError) -> [IPAddress] {
    guard endpoint.isAddressed else { return followedAddresses[endpoint.id] ?? [] }
    let addresses = try store.addresses(ofEndpoint: endpoint.id).map(\.address)
    return addresses.contains(where: \.isIPv6) ? addresses + [Self.linkLocal(of: endpoint).address] : addresses
  }

  /// Endpoints that share a MAC address cannot make one of it (RFC 4291, appendix A).
  static func linkLocal(of endpoint: EndpointRecord) -> IPPrefix {
    let identifier = UInt128(UInt64(endpoint.id.prefix(16), radix: 16) ?? 0) | 1
    return IPPrefix(address: .v6(IPv6Address(bits: 0xFE80 << 112 | identifier)), length: 64)!
  }

  /// Tells the data plane where the endpoint is. It goes with the port.
  func tellEndpoint(_ endpoint: EndpointRecord, at port: DataPlanePort, on network: NetworkRecord) throws(ControlError)
  {
    guard let mode = network.lanMode else { return try addHosts(of: endpoint, at: port) }
    if mode.usesAddresses { return try dataPlane.setAddresses(try lanAddresses(of: endpoint), of: port) }
    if let mac = endpoint.mac { try dataPlane.addForwardingEntry(mac, port: port) }
  }

  /// Tells the parent's filter what is the endpoints', where that has changed.
  func refreshParent(_ network: NetworkRecord) throws(ControlError) {
    guard let raised = parents[network.id], let mode = network.lanMode else { return }
    var endpoints = ParentEndpoints()
    for endpoint in try store.endpoints(ofNetwork: network.id) where endpointPorts[endpoint.id] != nil {
      if mode.usesAddresses {
        endpoints.addresses.formUnion(try lanAddresses(of: endpoint))
      } else if let mac = mac(of: endpoint, on: network) {
        endpoints.macs.insert(mac)
      }
    }
    guard endpoints != raised.endpoints else { return }
    parents[network.id]?.endpoints = nil
    try host.setParentEndpoints(endpoints, ofNetwork: network.id)
    parents[network.id]?.endpoints = endpoints
  }

  // MARK: Addresses that others give

  /// An interface that is the user's gets its addresses from DHCP, by advertisements, by hand. They are the endpoint's unless
  /// somebody has them already.
  func followAddresses(on network: NetworkRecord) throws(ControlError) {
    guard network.lanMode?.usesAddresses == true else { return }
    let endpoints = try store.endpoints(ofNetwork: network.id).filter { !$0.isAddressed && endpointPorts[$0.id] != nil }
    if endpoints.isEmpty { return }
    var hasChanged = false
    for endpoint in endpoints {
      guard let sandbox = try store.sandbox(id: endpoint.sandboxId), let namespace = try namespaceNow(of: sandbox),
        let link = try link(of: endpoint, in: namespace)
      else { continue }
      let found = try host.addresses(of: link.name, in: namespace).filter { !$0.isLoopback && !$0.isUnspecified }
      if Set(found) == Set(seenAddresses[endpoint.id] ?? []) { continue }
      seenAddresses[endpoint.id] = found
      let taken = try takenAddresses(on: network, besides: endpoint)
      for address in found where taken.contains(address) {
        logger.warning(
          "endpoint \(endpoint.id) gave itself \(address), which is another's: it gets none of its packets")
      }
      followedAddresses[endpoint.id] = found.filter { !taken.contains($0) }
      try tellEndpoint(endpoint, at: endpointPorts[endpoint.id]!, on: network)
      hasChanged = true
    }
    if hasChanged { try refreshParent(network) }
  }

  /// The host's, and those of endpoints by the same parent.
  private func takenAddresses(
    on network: NetworkRecord, besides one: EndpointRecord
  ) throws(ControlError) -> Set<IPAddress> {
    var taken = try hostAddresses(besides: network)
    for other in try store.networks()
    where other.id == network.id || other.parent != nil && other.parent == network.parent {
      for endpoint in try store.endpoints(ofNetwork: other.id) where endpoint.id != one.id {
        taken.formUnion(try lanAddresses(of: endpoint))
      }
    }
    return taken
  }
}
