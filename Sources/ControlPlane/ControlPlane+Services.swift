import ControlModel

extension ControlPlane {
  public func createService(_ request: ServiceRequest) throws(ControlError) -> Created {
    defer { lookForMembers() }
    let drafted = try locked { controller throws(ControlError) in
      try controller.clusterDraft(request).map { ($0, controller.membership!.cluster) }
    }
    if let ((asked, wishes), cluster) = drafted { return try createClusterService(asked, wishes, in: cluster) }
    return try locked { controller throws(ControlError) in try controller.createService(request) }
  }

  public func services() throws(ControlError) -> [Service] {
    try locked { controller throws(ControlError) in try controller.services() }
  }

  public func service(_ name: String) throws(ControlError) -> Service {
    try locked { controller throws(ControlError) in
      try controller.view(try controller.store.asked(try controller.store.service(name)))
    }
  }

  public func changeService(_ name: String, _ change: ServiceChange) throws(ControlError) -> Service {
    defer { lookForMembers() }
    if let (service, cluster) = try clusterService(name) {
      return try changeClusterService(service.name, network: service.network, change, in: cluster)
    }
    return try locked { controller throws(ControlError) in try controller.changeService(name, change) }
  }

  public func removeService(_ name: String) throws(ControlError) {
    if let (service, cluster) = try clusterService(name) {
      return try removeClusterService(service.id, service.name, network: service.network, from: cluster)
    }
    try locked { controller throws(ControlError) in try controller.removeService(name) }
  }

  private func clusterService(
    _ name: String
  ) throws(ControlError) -> (service: (id: String, name: String, network: String), cluster: any ClusterMember)? {
    try locked { controller throws(ControlError) in
      try controller.clusterService(name).map { ($0, controller.membership!.cluster) }
    }
  }
}
