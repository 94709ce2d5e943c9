import ControlModel

extension Run {
  func add() throws(CNIError) -> JSONValue {
    guard !namespaces.isOwn(invocation.namespace) else {
      throw CNIError(.invalidNamespace, "CNI_NETNS \(quoted(invocation.namespace)) is the host's own namespace")
    }
    var demand = try AttachmentDemand(configuration, invocation)
    let previous = try translated { () throws(ControlError) in try configuration.object.object("prevResult") }
    guard configuration.addressManager != nil else {
      return try translated { () throws(ControlError) in try attach(demand, after: previous) }
    }
    // A second ADD must not take from the first what its plugin knows by the same name.
    let present = try translated { () throws(ControlError) in
      try AttachmentLabels.endpoints(of: configuration, invocation, in: service)
    }
    guard present.isEmpty else {
      throw CNIError(
        .conflict, "container \(invocation.containerID) is attached to \(configuration.name) by \(invocation.interface)"
      )
    }
    let output = try delegate(.add) ?? []
    do throws(ControlError) {
      try demand.take(try Lease(output, of: configuration.addressManager ?? ""))
      return try attach(demand, after: previous)
    } catch {
      // The error that counts is the first.
      _ = try? delegate(.delete)
      throw CNIError(error)
    }
  }

  private func attach(_ demand: AttachmentDemand, after previous: JSONObject?) throws(ControlError) -> JSONValue {
    let network = try demand.network.satisfy(service)
    let id = try service.connect(network: network.id, demand.connect).id
    do throws(ControlError) {
      if let rates = demand.rates { _ = try service.changeEndpoint(id, rates) }
      let sandbox = try service.sandbox(invocation.namespace)
      guard let endpoint = sandbox.endpoints.first(where: { $0.id == id }) else {
        throw ControlError(.system, "the endpoint \(id) went as soon as it was made")
      }
      let result = AttachmentResult(
        endpoint: endpoint, network: network, routes: sandbox.routes.filter { $0.interface == endpoint.interface },
        namespace: invocation.namespace, dns: demand.dns)
      return try result.json(configuration.version, after: previous)
    } catch {
      try? service.removeEndpoint(id)
      throw error
    }
  }
}
