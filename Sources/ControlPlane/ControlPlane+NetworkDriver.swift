import ControlModel

extension ControlPlane: NetworkDriver {
  public func engineStarted() throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.collectUnfinished() }
  }

  public func createNetwork(id: String, _ request: NetworkRequest) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.createNetwork(id: id, request) }
  }

  public func deleteNetwork(id: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.deleteNetwork(id: id) }
  }

  public func createEndpoint(_ request: DriverEndpointRequest) throws(ControlError) -> DriverEndpoint {
    try locked { controller throws(ControlError) in try controller.createEndpoint(request) }
  }

  public func join(network: String, endpoint: String, sandbox: String) throws(ControlError) -> DriverJoin {
    let join = try locked { controller throws(ControlError) in
      try controller.join(network: network, endpoint: endpoint, sandbox: sandbox)
    }
    lookForArriving()
    return join
  }

  public func publish(network: String, endpoint: String, ports: [String]) throws(ControlError) {
    try locked { controller throws(ControlError) in
      try controller.publish(network: network, endpoint: endpoint, ports: ports)
    }
  }

  public func unpublish(network: String, endpoint: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.unpublish(network: network, endpoint: endpoint) }
  }

  public func endpointInformation(network: String, endpoint: String) throws(ControlError) -> Endpoint {
    try locked { controller throws(ControlError) in
      try controller.endpointInformation(network: network, endpoint: endpoint)
    }
  }

  public func leave(network: String, endpoint: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.leave(network: network, endpoint: endpoint) }
  }

  public func deleteEndpoint(network: String, endpoint: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.deleteEndpoint(network: network, endpoint: endpoint)
    }
  }

  public func requestPool(_ request: DriverPoolRequest) throws(ControlError) -> DriverPool {
    try locked { controller throws(ControlError) in try controller.requestPool(request) }
  }

  public func releasePool(id: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.releasePool(id: id) }
  }

  public func requestAddress(pool: String, address: String?, isGateway: Bool) throws(ControlError) -> String {
    try locked { controller throws(ControlError) in
      try controller.requestAddress(pool: pool, address: address, isGateway: isGateway)
    }
  }

  public func releaseAddress(pool: String, address: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.releaseAddress(pool: pool, address: address) }
  }
}
