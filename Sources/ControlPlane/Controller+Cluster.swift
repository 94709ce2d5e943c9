import Cluster
import ControlModel
import FoundationEssentials
import Wire

// Theory of operation. etcd has what the hosts agree on; each host makes the same of it, as far as it can. So a network of the
// cluster is made here as if its maker's request had come from a client, with what the maker's host has chosen filled in. What
// this host has is compared with what the cluster has whenever that changes, and every two seconds: a network that could not be
// made is tried again, and one that is gone is taken away once nothing is on it.
//
// While etcd cannot be reached nothing goes.

extension Controller {
  // MARK: Hosts

  /// Of this host: one a family at most, IPv4 first.
  func vteps() -> [IPAddress] {
    guard let membership else { return [] }
    if !membership.configuredVTEPs.isEmpty { return membership.configuredVTEPs }
    let external = (uplink?.facts.addresses.map(\.address) ?? []).filter { $0.troubleAsVTEP == nil }
    return [external.first { !$0.isIPv6 }, external.first(where: \.isIPv6)].compactMap { $0 }
  }

  /// By which this host reaches others in the networks of the cluster.
  private func vtep(isIPv6: Bool?) throws(ControlError) -> IPAddress {
    guard let vtep = vteps().first(where: { isIPv6 == nil || $0.isIPv6 == isIPv6 }) else {
      let family = isIPv6.map { $0 ? "IPv6 " : "IPv4 " } ?? ""
      throw ControlError(
        .invalid,
        "this host has no \(family)address by which the cluster's others reach it: set an uplink, or vtep in the configuration's section cluster"
      )
    }
    return vtep
  }

  /// Who has part in an overlay: `given` by hand, and the cluster's other hosts.
  func peers(of record: OverlayRecord, besides given: [IPAddress] = []) -> [IPAddress] {
    guard let membership, (try? store.network(id: record.networkId))?.isShared == true else { return given }
    let others = membership.hosts.values.compactMap { host in
      host.vteps.first { $0.isIPv6 == record.local.isIPv6 && $0.troubleAsVTEP == nil && $0 != record.local }
    }
    let hosts = Set(others).subtracting(given).sorted { $0.bits < $1.bits }
    return Array((given + hosts).prefix(Limits.peersPerNetwork))
  }

  // MARK: Changes

  func take(_ changes: [ClusterChange]) {
    guard let membership else { return }
    var (hasOtherHosts, isOnlyEndpoints) = (false, true)
    var networks: Set<String> = []
    for change in changes {
      if case .endpoint = change {} else { isOnlyEndpoints = false }
      switch change {
      case .network, .service: break
      case .host(.added(let host)), .host(.changed(let host, from: _)):
        guard host.name != membership.cluster.hostName else { continue }
        self.membership?.hosts[host.name] = host
        hasOtherHosts = true
      case .host(.gone(let host)):
        hasOtherHosts = self.membership?.hosts.removeValue(forKey: host.name) != nil || hasOtherHosts
      case .endpoint(let change): networks.insert(take(change))
      }
    }
    if !isOnlyEndpoints { watchCluster() }
    if hasOtherHosts { watchOverlays() }
    // They may be members.
    for network in networks where raisedServices.values.contains(where: { $0.network == dataPlaneNetworks[network] }) {
      refreshServices(ofNetwork: network)
    }
  }

  /// Makes of what the cluster has what is not here yet, and takes away what it has no more.
  func watchCluster() {
    guard let membership, !membership.isLeaving else { return }
    let vteps = vteps()
    if vteps != membership.toldVTEPs {
      membership.cluster.setVTEPs(vteps)
      self.membership?.toldVTEPs = vteps
    }
    guard membership.cluster.status == .connected else { return }
    let networks = membership.cluster.networks
    let ids = Set(networks.map(\.id))
    let services = membership.cluster.services.map { (service: $0, asked: AskedService($0)) }
    let known = ids.union(services.compactMap(\.asked?.record.id))
    self.membership?.made.subtract(known)
    self.membership?.removed.formIntersection(known)
    attempt("compare networks with the cluster's") { () throws(ControlError) in
      let here = try store.networks().filter(\.isShared)
      for network in here {
        if network.isEngines || ids.contains(network.id) {
          follow(network)
        } else if !membership.made.contains(network.id) {
          drop(network)
        }
      }
      let present = Set(here.map(\.id))
      for network in networks where !present.contains(network.id) && !membership.removed.contains(network.id) {
        remember(network.id, "network \(network.name)") { () throws(ControlError) in try adopt(network) }
      }
      try follow(services)
    }
  }

  /// Runs what may fail for as long as this host is not as the others are.
  ///
  /// - Parameter what: with its kind, for the log.
  func remember(_ id: String, _ what: String, _ body: () throws(ControlError) -> Void) {
    let before = membership?.troubles[id]
    do throws(ControlError) {
      try body()
      membership?.troubles[id] = nil
    } catch {
      if error.message != before { logger.error("\(what) of the cluster: \(error)") }
      membership?.troubles[id] = error.message
    }
  }

  // MARK: Networks

  func isShared(_ request: NetworkRequest, from origin: NetworkOrigin) -> Bool {
    switch origin {
    case .cluster: true
    case .engine(let id): Identifier.isSwarms(id) || membership != nil && request.driver == Driver.overlay.rawValue
    case .user: false
    }
  }

  /// Whether the cluster is to have the network; refuses a scope that cannot be.
  func isForCluster(_ request: NetworkRequest) throws(ControlError) -> Bool {
    let isOverlay = request.driver == Driver.overlay.rawValue
    guard let text = request.scope else { return isOverlay && membership != nil }
    guard let scope = NetworkScope(rawValue: text) else {
      let known = NetworkScope.allCases.map(\.rawValue).joined(separator: ", ")
      throw ControlError(.invalid, "no scope \(text.quoted): there are \(known)")
    }
    guard scope == .global else { return false }
    guard isOverlay else {
      throw ControlError(.invalid, "scope global: only the driver overlay reaches other hosts")
    }
    guard membership != nil else {
      throw ControlError(
        .unsupported, "scope global: this host is in no cluster: the section cluster of the configuration says which")
    }
    return true
  }

  /// What `request` comes to beside the networks that the cluster has. Nothing is changed by it.
  func draft(
    _ request: NetworkRequest, beside others: [ClusterNetwork]
  ) throws(ControlError) -> (network: ClusterNetwork, wantedVNI: UInt32?) {
    if others.contains(where: { $0.name == request.name }) {
      throw ControlError(.conflict, "network \(request.name) exists already in the cluster")
    }
    let vtep = try vtep(isIPv6: nil)
    let here = Set(try store.networks().map(\.id))
    let inUse = others.filter { !here.contains($0.id) }.flatMap { network in
      network.subnets.map { PrefixInUse(prefix: $0.subnet, owner: "network \(network.name) of the cluster") }
    }
    let origin = NetworkOrigin.cluster(id: Identifier.random(), vtep: vtep)
    let planned = try plan(request, from: origin, others: inUse)
    if planned.overlayPlan?.local != nil {
      throw ControlError(
        .invalid,
        "option \(OverlayPlan.localKey): each host of the cluster has its own: leave it out, or make a network of this host with scope local"
      )
    }
    let wanted = planned.overlayPlan?.vni.map(UInt32.init)
    return (try ClusterNetwork(planned, request, isIPv6: vtep.isIPv6), wanted)
  }

  /// Makes a network of the cluster here. Once more is no error.
  func adopt(_ network: ClusterNetwork) throws(ControlError) {
    if try store.network(id: network.id) != nil { return }
    let (request, isIPv6) = try network.request()
    _ = try make(try plan(request, from: .cluster(id: network.id, vtep: try vtep(isIPv6: isIPv6))))
  }

  /// The cluster has it no more.
  private func drop(_ network: NetworkRecord) {
    remember(network.id, "network \(network.name)") { () throws(ControlError) in
      do throws(ControlError) { try checkUnused(network) } catch {
        throw ControlError(.conflict, "it was removed from the cluster, and \(error.message)")
      }
      try removeNetwork(network)
    }
  }

  /// Where this host's own address is another now.
  private func follow(_ network: NetworkRecord) {
    guard let record = try? store.overlay(ofNetwork: network.id) else { return }
    remember(network.id, "network \(network.name)") { () throws(ControlError) in
      let vtep = try vtep(isIPv6: record.local.isIPv6)
      guard vtep != record.local else { return }
      var moved = record
      moved.local = vtep
      try store.set(moved, of: network)
      watchOverlays()
      for endpoint in try store.endpoints(ofNetwork: network.id) where endpointPorts[endpoint.id] != nil {
        try tellCluster(of: endpoint, on: network)
      }
      if let mesh = try meshEndpoint(of: network) { try membership?.cluster.publish(mesh) }
    }
  }

  /// For a removal: the id of a network that the cluster has, which nothing of this host is on. nil: it is this host's alone.
  func sharedNetwork(_ name: String) throws(ControlError) -> String? {
    guard let membership else { return nil }
    do throws(ControlError) {
      let network = try store.network(name)
      guard network.isShared, !network.isEngines else { return nil }
      try checkUnused(network)
      return network.id
    } catch let error where error.code == .notFound {
      // One that could not be made here.
      if let network = membership.cluster.networks.first(where: { $0.name == name || $0.id == name }) {
        return network.id
      }
      throw error
    }
  }

  // MARK: Addresses

  /// What is to be claimed for an endpoint before it is made; nil: nothing, its network is this host's alone.
  func addressWishes(
    network name: String, _ request: ConnectRequest
  ) throws(ControlError) -> (network: String, wishes: [AddressWish])? {
    let network = try settled(try store.network(name))
    guard network.isShared, !network.isEngines else { return nil }
    guard membership != nil else { throw Self.inNoCluster(network) }
    let subnets = try store.subnets(ofNetwork: network.id)
    let plan = try ConnectPlan(request, network: network, subnets: subnets)
    guard plan.isAddressed else { return (network.id, []) }
    var wishes: [AddressWish] = []
    for subnet in subnets {
      wishes.append(try AddressWish(in: subnet, wanted: subnet.isIpv6 ? plan.ipv6 : plan.ipv4))
    }
    return (network.id, wishes)
  }

  static func inNoCluster(_ network: NetworkRecord) -> ControlError {
    ControlError(
      .unsupported,
      "network \(network.name) is a cluster's, and this host is in none: the section cluster of the configuration says which"
    )
  }

  // MARK: View

  func clusterView() throws(ControlError) -> ClusterView {
    guard let membership else {
      throw ControlError(
        .notFound, "this host is in no cluster: the section cluster of the configuration would say which")
    }
    let cluster = membership.cluster
    var view = ClusterView(host: cluster.hostName, state: "connected", detail: cluster.trouble, hosts: [], networks: [])
    if case .cutOff(let since, let reason) = cluster.status {
      (view.state, view.since, view.detail) = ("cut off", since.formatted(.iso8601), reason)
    }
    var endpoints: [String: Int] = [:]
    for endpoint in remoteEndpoints.values.joined() where !endpoint.value.isMesh {
      endpoints[endpoint.value.host, default: 0] += 1
    }
    for network in try store.networks() where network.isShared {
      endpoints[cluster.hostName, default: 0] += try store.countEndpoints(ofNetwork: network.id)
    }
    for host in cluster.hosts.sorted(by: { $0.name < $1.name }) {
      view.hosts.append(
        ClusterView.Host(
          name: host.name, vteps: host.vteps.map(\.description), endpoints: endpoints[host.name] ?? 0))
    }
    for network in cluster.networks.sorted(by: { $0.name < $1.name }) {
      view.networks.append(
        ClusterView.Network(
          id: network.id, name: network.name, vni: network.vni.map(Int.init), detail: membership.troubles[network.id]))
    }
    return view
  }
}

extension ClusterNetwork {
  /// Of `options`: the request that made the network, with what was chosen filled in, as JSON.
  private static let requestKey = "request"
  /// Of `options`: what carries it, `ipv4` or `ipv6`.
  private static let underlayKey = "underlay"

  init(_ planned: PlannedNetwork, _ request: NetworkRequest, isIPv6: Bool) throws(ControlError) {
    var request = request
    request.scope = nil
    request.subnets = planned.subnets.map(\.prefix.description)
    request.gateways = planned.subnets.compactMap { $0.gateway?.description }
    request.ipRanges = planned.subnets.compactMap { $0.range?.description }
    request.mtu = planned.network.mtu
    for key in [OverlayPlan.vniKey, OverlayPlan.vniListKey, NetworkOptions.mtuKey] { request.options?[key] = nil }
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    guard let json = try? encoder.encode(request) else { preconditionFailure("texts and numbers always have JSON") }
    self.init(
      id: planned.network.id, name: request.name,
      subnets: planned.subnets.map { Subnet($0.prefix, gateway: $0.gateway, range: $0.range) },
      options: [Self.requestKey: String(decoding: json, as: UTF8.self), Self.underlayKey: isIPv6 ? "ipv6" : "ipv4"])
  }

  /// To be made on this host.
  fileprivate func request() throws(ControlError) -> (request: NetworkRequest, isIPv6: Bool) {
    guard let text = options[Self.requestKey], let vni,
      var request = try? JSONDecoder().decode(NetworkRequest.self, from: Data(text.utf8))
    else {
      throw ControlError(.invalid, "this Martlet cannot read what another has written of it: is one of them newer?")
    }
    request.name = name
    request.options = request.options ?? [:]
    request.options?[OverlayPlan.vniKey] = String(vni)
    return (request, options[Self.underlayKey] == "ipv6")
  }
}
