import Cluster
import ControlModel
import Wire

// What only the cluster can give is claimed before the control plane's lock is taken: etcd may not answer, and nobody else is to
// wait for that. What was claimed for a change that then fails is given back.

extension ControlPlane: ClusterConsumer {
  /// How often a network is planned anew because another host has changed the cluster's in between.
  private static let planAttempts = 4

  /// Of this installation, for `ClusterHost`.
  public func identity() throws(ControlError) -> String {
    try locked { controller throws(ControlError) in try controller.store.identity() }
  }

  /// Takes part in a cluster from now on, until `stop`. Once.
  ///
  /// - Parameter vteps: where this host's tunnels end; empty: at the uplink's addresses.
  public func join(_ cluster: any ClusterMember, vteps: [IPAddress]) throws(ControlError) {
    let (there, holders) = try locked { controller throws(ControlError) in
      controller.membership = Membership(cluster: cluster, configuredVTEPs: vteps)
      controller.watchCluster()
      return try controller.endpointsForCluster()
    }
    cluster.start(endpoints: there, holders: holders, consumer: self)
  }

  /// What this host has stays in the cluster until its lease has ended, so that a daemon that starts again takes it over.
  func end(_ membership: Membership) {
    guard membership.isLeaving else { return membership.cluster.stop() }
    // Where etcd does not answer, the lease's end does it.
    try? membership.cluster.leave()
  }

  public func take(_ changes: [ClusterChange]) {
    unlessStopped { $0.take(changes) }
    claimMeshAddresses()
  }

  public func statusChanged(_ status: ClusterStatus) {
    unlessStopped { $0.watchCluster() }
    if status == .connected { claimMeshAddresses() }
  }

  private var cluster: (any ClusterMember)? {
    get throws(ControlError) { try locked { controller throws(ControlError) in controller.membership?.cluster } }
  }

  // MARK: Networks

  func createClusterNetwork(
    _ request: NetworkRequest, in cluster: any ClusterMember
  ) throws(ControlError) -> Created {
    for _ in 1..<Self.planAttempts {
      if let created = try createOnce(request, in: cluster) { return created }
    }
    guard let created = try createOnce(request, in: cluster) else {
      throw ControlError(.conflict, "other hosts change the cluster's networks all the time: try again")
    }
    return created
  }

  /// nil: another host has changed the cluster's networks since they were read.
  private func createOnce(_ request: NetworkRequest, in cluster: any ClusterMember) throws(ControlError) -> Created? {
    let (others, revision) = try cluster.networksNow()
    var (network, wanted) = try locked { controller throws(ControlError) in
      try controller.draft(request, beside: others)
    }
    let vni = try cluster.claimVNI(network: network.id, wanted: wanted)
    network.vni = vni
    do throws(ControlError) {
      try cluster.createNetwork(network, asOf: revision)
    } catch {
      // Its answer may have been lost.
      if error.code != .conflict { try? cluster.removeNetwork(network.id) }
      try? cluster.releaseVNI(vni, network: network.id)
      if error.code == .conflict { return nil }
      throw error
    }
    do throws(ControlError) {
      try locked { [network] controller throws(ControlError) in
        controller.membership?.made.insert(network.id)
        try controller.adopt(network)
      }
    } catch {
      // With its VNI.
      try? cluster.removeNetwork(network.id)
      try locked { [id = network.id] controller throws(ControlError) in
        _ = controller.membership?.made.remove(id)
      }
      throw error
    }
    return Created(id: network.id)
  }

  /// First from the cluster, which says whether another host has something on it.
  func removeClusterNetwork(_ id: String, from cluster: any ClusterMember) throws(ControlError) {
    try cluster.removeNetwork(id)
    try locked { controller throws(ControlError) in
      controller.membership?.made.remove(id)
      controller.membership?.removed.insert(id)
      if let network = try controller.store.network(id: id) { try controller.removeNetwork(network) }
    }
  }

  // MARK: Endpoints

  func connectInCluster(
    network: String, id: String, _ wishes: [AddressWish], _ request: ConnectRequest, in cluster: any ClusterMember
  ) throws(ControlError) -> Created {
    var claimed = ClaimedAddresses(endpoint: Identifier.random())
    do throws(ControlError) {
      for wish in wishes {
        claimed.addresses.append(
          try cluster.claimAddress(network: id, endpoint: claimed.endpoint, in: wish.range, wanted: wish.wanted))
      }
      return try locked { [claimed] controller throws(ControlError) in
        try controller.connect(network, request, claimed: claimed)
      }
    } catch {
      cluster.releaseSoon(claimed.addresses, network: id, endpoint: claimed.endpoint)
      throw error
    }
  }

  // MARK: The cluster itself

  public func clusterView() throws(ControlError) -> ClusterView {
    try locked { controller throws(ControlError) in try controller.clusterView() }
  }

  public func forgetHost(_ name: String) throws(ControlError) {
    guard let cluster = try cluster else {
      throw ControlError(.notFound, "this host is in no cluster")
    }
    try cluster.forgetHost(name)
  }
}
