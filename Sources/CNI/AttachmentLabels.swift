import ControlModel

/// What an endpoint is found by: the specification has plugins keep their state by network, container and interface.
enum AttachmentLabels {
  static let network = "org.martlet.cni.network"
  static let container = "org.martlet.cni.container"
  static let interface = "org.martlet.cni.interface"

  static func labels(_ configuration: Configuration, _ invocation: Invocation) -> [String: String] {
    [network: configuration.name, container: invocation.containerID, interface: invocation.interface]
  }

  /// The attachment's endpoints: one, or none.
  static func endpoints(
    of configuration: Configuration, _ invocation: Invocation, in service: any ControlService
  ) throws(ControlError) -> [Endpoint] {
    let labels = labels(configuration, invocation)
    let found = try service.endpoints(EndpointFilter(label: "\(container)=\(invocation.containerID)"))
    return found.filter { endpoint in labels.allSatisfy { endpoint.labels[$0.key] == $0.value } }
  }
}
