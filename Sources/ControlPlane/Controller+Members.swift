import Cluster
import ControlModel
import Wire

// Who the members of services are now, and where. One on another host is a host of the data plane at the port that leads there: by
// what the cluster says of it, or else by what the host's own kernel and the network's MAC table say.

/// As the data plane was told.
struct HostElsewhere: Equatable {
  var mac: MACAddress
  var port: DataPlanePort
}

/// A member, as far as it is known.
struct KnownMember: Equatable {
  var endpoint: String?
  var sandbox: String?
  var addresses: [IPAddress] = []
  var isLocal = false
  /// Takes new flows.
  var isPresent = false
}

extension Controller {
  // MARK: Members

  /// What is known of members; one that is named twice is one.
  func known(
    _ members: [ServiceMemberRecord], on network: NetworkRecord
  ) throws(ControlError) -> [KnownMember] {
    var known: [KnownMember] = []
    // The kernel hears of those alone that the cluster knows nothing of.
    let link = members.contains { $0.address != nil } ? gatewayLink(of: network) : nil
    for member in members {
      let found = try self.known(member, on: network, by: link)
      let isNew = !known.contains { other in
        (found.endpoint != nil && other.endpoint == found.endpoint && found.addresses == other.addresses)
          || (!found.addresses.isEmpty && other.addresses.contains(where: found.addresses.contains))
      }
      if isNew { known.append(found) }
    }
    return Array(known.prefix(Limits.serviceMembers))
  }

  private func known(
    _ member: ServiceMemberRecord, on network: NetworkRecord, by link: Int32?
  ) throws(ControlError) -> KnownMember {
    var endpoint = try member.endpointId.flatMap { id throws(ControlError) in try store.endpoint(id: id) }
    if endpoint == nil, let address = member.address {
      endpoint = try store.endpoint(network: network.id, address: address)
    }
    if let endpoint {
      return KnownMember(
        endpoint: endpoint.id, sandbox: try store.sandbox(id: endpoint.sandboxId)?.name,
        addresses: try store.addresses(ofEndpoint: endpoint.id).map(\.address), isLocal: true,
        isPresent: endpointPorts[endpoint.id] != nil && endpoint.state != .removing)
    }
    let remote = remoteEndpoint(member, on: network)
    let addresses = remote?.addresses ?? [member.address].compactMap { $0 }
    let reached = addresses.filter { hostsElsewhere[network.id]?[$0] != nil }
    return KnownMember(
      endpoint: remote?.id ?? member.endpointId, addresses: reached.isEmpty ? addresses : reached,
      isPresent: !reached.isEmpty && (remote != nil || isAnswering(reached, by: link)))
  }

  /// As the cluster knows it.
  private func remoteEndpoint(_ member: ServiceMemberRecord, on network: NetworkRecord) -> ClusterEndpoint? {
    let all = remoteEndpoints[network.id] ?? [:]
    if let id = member.endpointId, let endpoint = all[id] { return endpoint }
    return member.address.flatMap { address in all.values.first { $0.addresses.contains(address) } }
  }

  /// Whether the kernel hears of one of them.
  private func isAnswering(_ addresses: [IPAddress], by link: Int32?) -> Bool {
    guard let link else { return false }
    return addresses.contains { (try? host.neighbour($0, on: link)) != nil }
  }

  // MARK: Where they are

  /// Ports of the network by which members on other hosts are reached.
  func waysElsewhere(of network: NetworkRecord) -> Set<DataPlanePort> {
    var ports = Set(raisedOverlays[network.id]?.remotes.values.map(\.port) ?? [])
    let attached = (try? store.interfacePorts(ofNetwork: network.id)) ?? []
    ports.formUnion(attached.compactMap { interfacePorts[$0.interface]?.port })
    return ports
  }

  private func gatewayLink(of network: NetworkRecord) -> Int32? {
    guard gatewayPorts[network.id] != nil, let name = network.gatewayInterface else { return nil }
    return try? host.links(in: host.own).first { $0.name == name }?.index
  }

  /// Tells the data plane where members on other hosts are now. Those that are members no longer stay: their flows go on.
  func refreshHostsElsewhere(on network: NetworkRecord) throws(ControlError) {
    guard let handle = dataPlaneNetworks[network.id] else { return }
    let ports = waysElsewhere(of: network)
    // What was behind a port went with it; what has come to this host is told of with its endpoint.
    for (address, told) in hostsElsewhere[network.id] ?? [:] {
      let isHere = try store.endpoint(network: network.id, address: address) != nil
      if isHere || !ports.contains(told.port) { hostsElsewhere[network.id]![address] = nil }
    }
    var unknown: [IPAddress] = []
    for record in try store.services(ofNetwork: network.id) where record.state != .removing {
      for member in try store.asked(record).members {
        if let id = member.endpointId, try store.endpoint(id: id) != nil { continue }
        if let remote = remoteEndpoint(member, on: network) {
          guard let mac = remote.mac, let vtep = remote.vtep,
            let port = raisedOverlays[network.id]?.remotes[vtep]?.port
          else { continue }
          for address in remote.addresses { try tell(address, HostElsewhere(mac: mac, port: port), on: network) }
        } else if let address = member.address, try store.endpoint(network: network.id, address: address) == nil {
          unknown.append(address)
        }
      }
    }
    guard !unknown.isEmpty, let link = gatewayLink(of: network) else { return }
    let table = try dataPlane.forwardingEntries(handle)
    for address in unknown {
      if let mac = try host.neighbour(address, on: link), let port = table.first(where: { $0.mac == mac })?.port,
        ports.contains(port)
      {
        try tell(address, HostElsewhere(mac: mac, port: port), on: network)
      }
      try host.resolve(address, on: link)
    }
  }

  private func tell(_ address: IPAddress, _ place: HostElsewhere, on network: NetworkRecord) throws(ControlError) {
    let told = hostsElsewhere[network.id]?[address]
    if told == place { return }
    if told != nil {
      try dataPlane.removeHost(address)
      hostsElsewhere[network.id]![address] = nil
    }
    try dataPlane.addHost(DataPlaneHost(address: address, mac: place.mac, port: place.port, isElsewhere: true))
    hostsElsewhere[network.id, default: [:]][address] = place
  }
}
