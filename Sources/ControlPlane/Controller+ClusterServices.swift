import Cluster
import ControlModel
import FoundationEssentials
import Wire

// Services of the cluster's networks: each host makes the same of them, as it does of networks (`Controller+Cluster.swift`). On each
// of these networks a host that has services has an address of its own, by which members on other hosts answer it; for those it is an
// endpoint without a name, at the MAC address of the gateway here.

extension Controller {
  // MARK: Making

  /// What a service comes to that the cluster is to have, with the virtual addresses to be claimed for it. nil: its network is this host's
  /// alone.
  func clusterDraft(
    _ request: ServiceRequest
  ) throws(ControlError) -> (asked: AskedService, wishes: [AddressWish])? {
    let network = try settled(try store.network(request.network))
    guard network.isShared else { return nil }
    if network.isEngines {
      throw ControlError(
        .unsupported, "network \(network.name) is a swarm's, which gives its addresses: make its services with Docker")
    }
    guard membership != nil else { throw Self.inNoCluster(network) }
    let (asked, plan) = try draft(request, on: network)
    var wishes: [AddressWish] = []
    for subnet in try store.subnets(ofNetwork: network.id) {
      if let wanted = plan.wish(in: subnet) { wishes.append(try AddressWish(in: subnet, wanted: wanted)) }
    }
    return (asked, wishes)
  }

  /// The cluster's services, as far as they are not yet, or no more, what this host has.
  ///
  /// - Parameter services: of the cluster; nil: what it has cannot be read, and what this host has of it stays.
  func follow(_ services: [(service: ClusterService, asked: AskedService?)]) throws(ControlError) {
    var names: Set<String> = []
    for (service, asked) in services {
      names.insert(service.name)
      if let id = asked?.record.id, membership?.removed.contains(id) == true { continue }
      remember(asked?.record.id ?? service.name, "service \(service.name)") { () throws(ControlError) in
        guard let asked else {
          throw ControlError(.invalid, "this Martlet cannot read what another has written of it: is one of them newer?")
        }
        try adopt(asked)
      }
    }
    for record in try store.services()
    where !names.contains(record.name) && membership?.made.contains(record.id) != true {
      guard try store.network(id: record.networkId)?.isShared == true else { continue }
      remember(record.id, "service \(record.name)") { () throws(ControlError) in try removeService(record) }
    }
  }

  /// Makes a service of the cluster here, or what it is now of the one that is here. Once more is no error.
  func adopt(_ asked: AskedService) throws(ControlError) {
    guard let network = try store.network(id: asked.record.networkId) else {
      throw ControlError(.notFound, "its network is not here")
    }
    if let record = try store.services().first(where: { $0.id == asked.record.id }) {
      let old = try store.asked(record)
      var new = asked
      (new.record.state, new.addresses, new.publications) = (record.state, old.addresses, old.publications)
      guard record.state == .settled, new != old else { return }
      return try replace(old, by: new)
    }
    var unplaced = asked
    unplaced.addresses = []
    unplaced.record.state = .creating
    try make(unplaced, on: network) { subnet in
      asked.addresses.first { $0.isIPv6 == subnet.isIpv6 }.map { .some($0) }
    }
  }

  /// The network of a service that the cluster has; nil: it is this host's alone.
  func clusterService(_ name: String) throws(ControlError) -> (id: String, name: String, network: String)? {
    guard membership != nil else { return nil }
    let record = try store.service(name)
    guard try store.network(id: record.networkId)?.isShared == true else { return nil }
    return (record.id, record.name, record.networkId)
  }

  // MARK: Mesh addresses

  /// What is to be claimed so that this host has an address of its own on each network of the cluster with services.
  func meshWishes() throws(ControlError) -> [(network: String, subnet: Int64, wish: AddressWish)] {
    var wishes: [(network: String, subnet: Int64, wish: AddressWish)] = []
    for id in Set(try store.services().map(\.networkId)) {
      guard let network = try store.network(id: id), network.isShared else { continue }
      let known = try store.meshAddresses(ofNetwork: id)
      for subnet in try store.subnets(ofNetwork: id) where subnet.gateway != nil {
        guard !known.contains(where: subnet.prefix.contains), let number = subnet.id else { continue }
        wishes.append((id, number, try AddressWish(in: subnet, wanted: nil)))
      }
    }
    return wishes
  }

  /// What was claimed. false: there is nothing to use it for any more.
  func takeMeshAddress(_ address: IPAddress, network id: String, subnet: Int64) throws(ControlError) -> Bool {
    guard let network = try store.network(id: id), try !store.services(ofNetwork: id).isEmpty else { return false }
    try store.insert(MeshAddressRecord(subnetId: subnet, networkId: id, address: address))
    try tellMesh(of: network)
    try publishMesh(of: network)
    refreshServices(ofNetwork: id)
    return true
  }

  private func publishMesh(of network: NetworkRecord) throws(ControlError) {
    if let endpoint = try meshEndpoint(of: network) { try membership?.cluster.publish(endpoint) }
  }

  /// What other hosts know of this one's mesh addresses; nil: it has none.
  func meshEndpoint(of network: NetworkRecord) throws(ControlError) -> ClusterEndpoint? {
    guard let membership, network.isShared else { return nil }
    let addresses = try store.meshAddresses(ofNetwork: network.id)
    guard !addresses.isEmpty else { return nil }
    return ClusterEndpoint(
      id: membership.meshID, network: network.id, mac: network.gatewayMac, addresses: addresses, name: "",
      vtep: try store.overlay(ofNetwork: network.id)?.local)
  }

  /// With the network's last service.
  func withdrawMesh(of network: NetworkRecord, _ addresses: [IPAddress]) {
    guard let membership, network.isShared else { return }
    membership.cluster.withdraw(membership.meshID, network: network.id)
    membership.cluster.releaseSoon(addresses, network: network.id, endpoint: membership.meshID)
  }
}

extension Membership {
  /// By which this host's own addresses on networks are known; one a network.
  var meshID: String { "mesh-" + cluster.hostName }
}

extension ClusterEndpoint {
  /// A host's own address on a network, nobody's container.
  var isMesh: Bool { name.isEmpty }
}

extension AddressWish {
  init(in subnet: SubnetRecord, wanted: IPAddress?) throws(ControlError) {
    let pool = subnet.pool
    if let wanted { try pool.check(wanted, taken: []) }
    range = AddressRange(subnet: pool.subnet, range: pool.range, reserved: Set(pool.reserved.keys))
    self.wanted = wanted
  }
}

extension AskedService {
  /// nil: it cannot be read.
  init?(_ service: ClusterService) {
    guard let asked = try? JSONDecoder().decode(Self.self, from: Data(service.specification.utf8)) else { return nil }
    self = asked
    addresses = service.addresses
  }

  /// As the cluster keeps it.
  var clusterService: ClusterService {
    var specified = self
    specified.addresses = []
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let json = try? encoder.encode(specified) else { preconditionFailure("texts and numbers always have JSON") }
    // In mode host others may have them elsewhere.
    let ports =
      record.mode == .host
      ? []
      : publications.flatMap { publication in
        publication.hostPorts.map { "\(publication.transport.rawValue)/\($0)" }
      }
    return ClusterService(
      name: record.name, network: record.networkId, addresses: addresses, ports: ports,
      specification: String(decoding: json, as: UTF8.self))
  }
}
