import ControlModel

extension ControlPlane {
  public func loadPolicy(network: String, _ request: PolicyRequest) throws(ControlError) -> Policy {
    try locked { controller throws(ControlError) in try controller.loadPolicy(network: network, request) }
  }

  public func policy(network: String) throws(ControlError) -> Policy {
    try locked { controller throws(ControlError) in try controller.policy(network: network) }
  }

  public func policies() throws(ControlError) -> PolicyList {
    try locked { controller throws(ControlError) in try controller.policies() }
  }

  public func trace(network: String, _ request: TraceRequest) throws(ControlError) -> Trace {
    try locked { controller throws(ControlError) in try controller.trace(network: network, request) }
  }

  public func drops(network: String) throws(ControlError) -> [DroppedFrame] {
    try locked { controller throws(ControlError) in try controller.drops(network: network) }
  }

  public func unloadPolicy(network: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.unloadPolicy(network: network) }
  }
}
