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

  public func unloadPolicy(network: String) throws(ControlError) {
    try locked { controller throws(ControlError) in try controller.unloadPolicy(network: network) }
  }
}
