import ControlModel
import Wire

extension Run {
  /// Compares what ADD answered, what the daemon knows and what is in the namespace. Later plugins of the chain may have changed
  /// things since: only what the last result still lists is looked for.
  func check() throws(CNIError) {
    let previous = try translated { () throws(ControlError) in try configuration.object.object("prevResult") }
    guard let previous else { throw CNIError(.invalidConfiguration, "prevResult: CHECK needs what ADD answered") }
    let endpoints = try translated { () throws(ControlError) in
      try AttachmentLabels.endpoints(of: configuration, invocation, in: service)
    }
    guard let endpoint = endpoints.first else {
      throw broken("has no endpoint on network \(configuration.network)")
    }
    guard let contents = try namespaces.contents(at: invocation.namespace) else {
      throw broken("has no network namespace at \(invocation.namespace)")
    }
    guard endpoint.state == "up", endpoint.detail == nil else {
      throw broken("is connected, but \(endpoint.detail ?? "its endpoint is \(endpoint.state)")")
    }
    let expected = try translated { () throws(ControlError) in try expectation(previous) }
    try check(expected, endpoint, contents)
    try delegate(.check)
  }

  /// Of a result, what concerns our interface.
  private struct Expectation {
    var mac: String?
    var addresses: [String] = []
    var routes: [String] = []
  }

  private func expectation(_ previous: JSONObject) throws(ControlError) -> Expectation {
    var expected = Expectation()
    let interfaces = try previous.objects("interfaces") ?? []
    var index: Int?
    for (place, interface) in interfaces.enumerated() {
      guard try interface.string("name") == invocation.interface, try interface.string("sandbox")?.isEmpty == false
      else { continue }
      index = place
      expected.mac = try interface.string("mac")
    }
    guard let index else {
      throw ControlError(.invalid, "\(previous.path("interfaces")): \(invocation.interface) is not among them")
    }
    for address in try previous.objects("ips") ?? [] where try address.integer("interface") == index {
      if let text = try address.string("address") { expected.addresses.append(text) }
    }
    for route in try previous.objects("routes") ?? [] {
      if let text = try route.string("dst") { expected.routes.append(text) }
    }
    return expected
  }

  private func check(
    _ expected: Expectation, _ endpoint: Endpoint, _ contents: NamespaceContents
  ) throws(CNIError) {
    let name = invocation.interface
    guard let interface = contents.interfaces.first(where: { $0.name == name }) else {
      throw broken("has no interface \(name)")
    }
    guard interface.isUp else { throw broken("has interface \(name) down") }
    let mac = interface.mac?.description ?? ""
    for asked in [expected.mac, endpoint.mac].compactMap({ $0 }) where MACAddress(asked) != interface.mac {
      throw broken("has interface \(name) with MAC \(mac), not \(asked)")
    }
    for text in expected.addresses {
      guard let prefix = IPPrefix(text) else { throw CNIError(.invalidConfiguration, "prevResult.ips: \(text)") }
      guard interface.addresses.contains(prefix) else { throw broken("has no address \(text) on \(name)") }
      guard endpoint.addresses.contains(where: { IPPrefix($0) == prefix }) else {
        throw broken("has the address \(text), which is not its endpoint's")
      }
    }
    for text in expected.routes {
      guard let prefix = IPPrefix(text)?.network else {
        throw CNIError(.invalidConfiguration, "prevResult.routes: \(text)")
      }
      guard contents.routes.contains(prefix) else { throw broken("has no route to \(text)") }
    }
  }

  private func broken(_ what: String) -> CNIError {
    CNIError(.broken, "container \(invocation.containerID) \(what)")
  }
}
