import ControlModel

// The part of `NetworkDriver` that a swarm alone calls. A cluster is asked before the control plane's lock is taken.

extension ControlPlane {
  public func allocateNetwork(
    id: String, _ request: NetworkRequest, isRepeated: Bool
  ) throws(ControlError) -> Int {
    let wanted = try locked { controller throws(ControlError) in try controller.checkAllocation(id: id, request) }
    return try allocateVNI(network: id, wanted: wanted, isRepeated: isRepeated)
  }

  public func freeNetwork(id: String) throws(ControlError) { try freeVNI(network: id) }

  /// From the cluster, where this host is in one: no host of it gives the number to another network.
  private func allocateVNI(network id: String, wanted: Int?, isRepeated: Bool) throws(ControlError) -> Int {
    let (cluster, kept) = try locked { controller throws(ControlError) in
      (controller.membership?.cluster, try controller.store.allocatedVNI(network: id))
    }
    guard let cluster else {
      return try locked { controller throws(ControlError) in
        try controller.allocateVNI(network: id, wanted: wanted, isRepeated: isRepeated)
      }
    }
    let vni: Int
    do throws(ControlError) {
      vni = Int(try cluster.claimVNI(network: id, wanted: (wanted ?? kept).map(UInt32.init)))
    } catch let error where isRepeated && error.code == .system {
      // It was claimed when it was handed out first.
      guard let wanted else { throw error }
      vni = wanted
    }
    if let kept, kept != vni { try? cluster.releaseVNI(UInt32(kept), network: id) }
    try locked { controller throws(ControlError) in try controller.store.allocateVNI(vni, network: id) }
    return vni
  }

  private func freeVNI(network id: String) throws(ControlError) {
    let (cluster, kept) = try locked { controller throws(ControlError) in
      (controller.membership?.cluster, try controller.store.allocatedVNI(network: id))
    }
    guard let kept else { return }
    try cluster?.releaseVNI(UInt32(kept), network: id)
    try locked { controller throws(ControlError) in try controller.store.freeVNI(network: id) }
  }

  public func nodeCame(_ address: String, isOwn: Bool) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.nodeCame(address, isOwn: isOwn) }
  }

  public func nodeWent(_ address: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.nodeWent(address) }
  }
}
