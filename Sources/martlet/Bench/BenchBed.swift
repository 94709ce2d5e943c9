import ControlModel

/// The network and the two sandboxes that a bench makes.
struct BenchBed {
  struct Host {
    let sandbox: Sandbox
    /// Without prefix length.
    let address: String
  }

  private enum Thing: CustomStringConvertible {
    case network(String)
    case sandbox(String)
    case endpoint(network: String, sandbox: String)

    var description: String {
      switch self {
      case .network(let name): "network \(name)"
      case .sandbox(let name): "sandbox \(name)"
      case .endpoint(let network, let sandbox): "the endpoint of \(sandbox) on \(network)"
      }
    }
  }

  private let service: any ControlService
  /// Begins every name.
  private let name: String
  private var made: [Thing] = []

  /// - Parameter name: one that no other run has.
  init(service: any ControlService, name: String) { (self.service, self.name) = (service, name) }

  /// A plain switch with a subnet that is free.
  mutating func makeNetwork() throws(ControlError) -> String {
    var request = NetworkRequest(name: name)
    request.noGateway = true
    _ = try make(.network(name)) { service throws(ControlError) in try service.createNetwork(request) }
    return name
  }

  mutating func makeHost(_ label: String, on network: String) throws(ControlError) -> Host {
    let name = "\(name)-\(label)"
    let made = try make(.sandbox(name)) { service throws(ControlError) in
      try service.createSandbox(SandboxRequest(name: name))
    }
    let connected = try make(.endpoint(network: network, sandbox: name)) { service throws(ControlError) in
      try service.connect(network: network, ConnectRequest(sandbox: name))
    }
    let endpoint = try service.endpoint(connected.id)
    guard let prefix = endpoint.addresses.first(where: { !$0.contains(":") }) ?? endpoint.addresses.first else {
      throw ControlError(.invalid, "network \(network) gives its endpoints no addresses: the bench needs them")
    }
    return Host(sandbox: try service.sandbox(made.id), address: String(prefix.prefix { $0 != "/" }))
  }

  /// Takes all of it away.
  /// - Throws: what could not be, and why the first of it.
  mutating func takeDown() throws(ControlError) {
    var left: [String] = []
    var failure: ControlError?
    while let thing = made.popLast() {
      do throws(ControlError) {
        switch thing {
        case .network(let name): try service.removeNetwork(name)
        case .sandbox(let name): try service.removeSandbox(name)
        case .endpoint(let network, let sandbox): try service.disconnect(network: network, sandbox: sandbox)
        }
      } catch  where error.code != .notFound {
        left.append(thing.description)
        failure = failure ?? error
      } catch {}
    }
    if let failure {
      throw ControlError(failure.code, "left behind: \(left.joined(separator: ", ")): \(failure.message)")
    }
  }

  /// Notes it before it is there: of a call whose answer is lost nobody knows whether it was made.
  private mutating func make(
    _ thing: Thing, _ create: (any ControlService) throws(ControlError) -> Created
  ) throws(ControlError) -> Created {
    made.append(thing)
    do throws(ControlError) {
      return try create(service)
    } catch {
      if error.code != .unreachable { made.removeLast() }
      throw error
    }
  }
}
