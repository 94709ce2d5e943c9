import Cluster
import ControlModel
import Wire

// As with networks and endpoints: what only the cluster can give is claimed before the control plane's lock is taken.

extension ControlPlane {
  func createClusterService(
    _ asked: AskedService, _ wishes: [AddressWish], in cluster: any ClusterMember
  ) throws(ControlError) -> Created {
    var asked = asked
    let (name, network) = (asked.record.name, asked.record.networkId)
    do throws(ControlError) {
      for wish in wishes {
        asked.addresses.append(
          try cluster.claimVirtualAddress(network: network, service: name, in: wish.range, wanted: wish.wanted))
      }
      asked.record.state = .settled
      try cluster.createService(asked.clusterService)
    } catch {
      for address in asked.addresses {
        try? cluster.releaseVirtualAddress(address, network: network, service: name)
      }
      throw error
    }
    do throws(ControlError) {
      try locked { [asked] controller throws(ControlError) in
        controller.membership?.made.insert(asked.record.id)
        try controller.adopt(asked)
      }
    } catch {
      try? cluster.removeService(name, network: network)
      try locked { [id = asked.record.id] controller throws(ControlError) in
        _ = controller.membership?.made.remove(id)
      }
      throw error
    }
    claimMeshAddresses()
    return Created(id: asked.record.id)
  }

  func changeClusterService(
    _ name: String, network: String, _ change: ServiceChange, in cluster: any ClusterMember
  ) throws(ControlError) -> Service {
    var changed: AskedService?
    try cluster.updateService(name, network: network) { service throws(ControlError) in
      guard let old = AskedService(service) else {
        throw ControlError(.invalid, "service \(name) cannot be read: was it made by a newer Martlet?")
      }
      let new = try self.locked { controller throws(ControlError) in try controller.changed(old, by: change) }
      (service, changed) = (new.clusterService, new)
    }
    return try locked { [changed] controller throws(ControlError) in
      if let changed { try controller.adopt(changed) }
      return try controller.view(try controller.store.asked(try controller.store.service(name)))
    }
  }

  func removeClusterService(
    _ id: String, _ name: String, network: String, from cluster: any ClusterMember
  ) throws(ControlError) {
    try cluster.removeService(name, network: network)
    try locked { controller throws(ControlError) in
      controller.membership?.made.remove(id)
      controller.membership?.removed.insert(id)
      if let record = try controller.store.services().first(where: { $0.id == id }) {
        try controller.removeService(record)
      }
    }
  }

  /// Gives this host an address on each network with services that it has none on. What cannot be claimed now is tried again when the
  /// cluster has news, or is back.
  func claimMeshAddresses() {
    guard
      let (membership, wishes) = try? locked({ controller throws(ControlError) in
        (controller.membership, try controller.meshWishes())
      }), let membership
    else { return }
    let (cluster, id) = (membership.cluster, membership.meshID)
    for (network, subnet, wish) in wishes {
      guard let address = try? cluster.claimAddress(network: network, endpoint: id, in: wish.range, wanted: nil) else {
        continue
      }
      let isTaken = try? locked { controller throws(ControlError) in
        try controller.takeMeshAddress(address, network: network, subnet: subnet)
      }
      if isTaken != true { cluster.releaseSoon([address], network: network, endpoint: id) }
    }
  }
}
