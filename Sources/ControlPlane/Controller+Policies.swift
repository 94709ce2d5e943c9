import ControlModel
import Foundation
import Policies
import Wire

/// A policy that decides on a network's frames.
struct RaisedPolicy {
  var installed: InstalledPolicy
  /// What it was told last.
  var ports: [DataPlanePolicyPort]
}

// A policy is written to the store, then it is made and given to the workers. One that cannot be made, or that had to be taken out,
// stays in the store with the reason, and its network is a learning switch until another is loaded.
extension Controller {
  /// Below the state directory: copies of libraries, so that what runs is what was loaded, however often it is built anew.
  static let policyFolder = "policies"

  // MARK: Loading

  func loadPolicy(network name: String, _ request: PolicyRequest) throws(ControlError) -> Policy {
    let network = try settled(try store.network(name))
    guard let handle = dataPlaneNetworks[network.id], network.lanMode == nil else {
      throw ControlError(
        .invalid, "network \(network.name) has driver \(network.driver.rawValue): policies are for bridge and overlay")
    }
    var record = try PolicyRecord(request, network: network.id, created: Self.now())
    let old = try store.policy(ofNetwork: network.id)
    return try change { rollback throws(ControlError) in
      if let path = record.path {
        let copy = try copyLibrary(path, network: network.id)
        record.copy = copy
        rollback.add("remove the copy of \(path)") { [self] () throws(ControlError) in removeLibrary(copy) }
      }
      let installed = try make(record)
      try store.setPolicy(record, ofNetwork: network.id)
      rollback.add("go back to the policy before") { [self] () throws(ControlError) in
        try store.setPolicy(old, ofNetwork: network.id)
      }
      let ports = try policyPorts(of: network)
      try dataPlane.setPolicy(installed, of: handle, ports: ports)
      raisedPolicies[network.id] = RaisedPolicy(installed: installed, ports: ports)
      try removeUnusedLibraries()
      logger.info("network \(network.name): policy \(record.name)")
      return view(record, of: network)
    }
  }

  /// Once more is no error.
  func unloadPolicy(network name: String) throws(ControlError) {
    let network = try store.network(name)
    guard let record = try store.policy(ofNetwork: network.id) else { return }
    try lowerPolicy(of: network)
    try store.setPolicy(nil, ofNetwork: network.id)
    try removeUnusedLibraries()
    logger.info("network \(network.name): policy \(record.name) unloaded")
  }

  /// One that does harm.
  func takeOutPolicy(network id: String, because reason: String) {
    attempt("take out the policy of network \(id)") { () throws(ControlError) in
      guard let network = try store.network(id: id), var record = try store.policy(ofNetwork: id),
        raisedPolicies[id] != nil
      else { return }
      record.unloaded = reason
      try store.setPolicy(record, ofNetwork: id)
      try lowerPolicy(of: network)
      logger.error("network \(network.name): policy \(record.name) is unloaded: \(reason)")
    }
  }

  private func lowerPolicy(of network: NetworkRecord) throws(ControlError) {
    guard let handle = dataPlaneNetworks[network.id], raisedPolicies[network.id] != nil else { return }
    try dataPlane.setPolicy(nil, of: handle, ports: [])
    raisedPolicies[network.id] = nil
  }

  /// With the network, before it has ports.
  func restorePolicy(of network: NetworkRecord) {
    guard let handle = dataPlaneNetworks[network.id] else { return }
    attempt("restore the policy of network \(network.name)") { () throws(ControlError) in
      guard var record = try store.policy(ofNetwork: network.id), record.unloaded == nil else { return }
      if let fault = policyWatch?.faults.first(where: { $0.network == network.id }) {
        record.unloaded = fault.reason
        try store.setPolicy(record, ofNetwork: network.id)
        return logger.error("network \(network.name): policy \(record.name) is unloaded: \(fault.reason)")
      }
      do throws(ControlError) {
        let installed = try make(record)
        try dataPlane.setPolicy(installed, of: handle, ports: [])
        raisedPolicies[network.id] = RaisedPolicy(installed: installed, ports: [])
      } catch {
        policyTroubles[network.id] = error.message
        throw error
      }
    }
  }

  private func make(_ record: PolicyRecord) throws(ControlError) -> InstalledPolicy {
    do throws(PolicyError) {
      return try record.source(libraries: libraryFolder)
        .make(record.parameters, workers: dataPlane.workerCount, watch: policyWatch, network: record.networkId)
    } catch {
      throw ControlError(.invalid, error.description)
    }
  }

  // MARK: Ports

  /// Tells policies which ports there are, where that has changed. After each call and each thing that happens.
  func refreshPolicies() {
    guard !raisedPolicies.isEmpty, portsGeneration != toldPortsGeneration else { return }
    toldPortsGeneration = portsGeneration
    for (id, raised) in raisedPolicies {
      guard dataPlaneNetworks[id] != nil else {
        raisedPolicies[id] = nil
        continue
      }
      attempt("tell the policy of network \(id) of ports") { () throws(ControlError) in
        guard let network = try store.network(id: id) else { return }
        let ports = try policyPorts(of: network)
        guard ports != raised.ports else { return }
        try dataPlane.tell(raised.installed, ports: ports)
        raisedPolicies[id]?.ports = ports
      }
    }
  }

  func policyPorts(of network: NetworkRecord) throws(ControlError) -> [DataPlanePolicyPort] {
    var ports: [DataPlanePolicyPort] = []
    if let port = gatewayPorts[network.id] {
      ports.append(
        DataPlanePolicyPort(
          port: port, kind: .gateway, names: ["gateway"], mac: network.gatewayMac ?? .zero,
          addresses: try gatewayAddresses(network).map(\.address)))
    }
    for endpoint in try store.endpoints(ofNetwork: network.id) {
      guard let port = endpointPorts[endpoint.id] else { continue }
      let sandbox = try store.sandbox(id: endpoint.sandboxId)?.name
      ports.append(
        DataPlanePolicyPort(
          port: port, kind: .endpoint,
          names: [endpoint.id, String(endpoint.id.prefix(12))] + [sandbox].compactMap { $0 } + endpoint.aliases,
          mac: mac(of: endpoint, on: network) ?? .zero,
          addresses: try store.addresses(ofEndpoint: endpoint.id).map(\.address)))
    }
    for record in try store.interfacePorts() where record.networkId == network.id {
      guard let attached = interfacePorts[record.interface] else { continue }
      ports.append(DataPlanePolicyPort(port: attached.port, kind: .interface, names: [record.interface]))
    }
    for (address, remote) in raisedOverlays[network.id]?.remotes ?? [:] {
      ports.append(DataPlanePolicyPort(port: remote.port, kind: .vtep, names: ["\(address)", "vtep=\(address)"]))
    }
    return ports.sorted { $0.port.index < $1.port.index }
  }

  // MARK: Libraries

  private var libraryFolder: String { stateDirectory + "/" + Self.policyFolder }

  /// The copy's name: another for each, for a process knows a library by its path.
  private func copyLibrary(_ path: String, network: String) throws(ControlError) -> String {
    let name = "\(network.prefix(12))-\(UUID().uuidString.prefix(8)).so"
    do {
      try FileManager.default.createDirectory(
        atPath: libraryFolder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      try FileManager.default.copyItem(atPath: path, toPath: libraryFolder + "/" + name)
    } catch {
      throw ControlError(.invalid, "cannot copy the library \(path): \(error.localizedDescription)")
    }
    return name
  }

  private func removeLibrary(_ copy: String) {
    try? FileManager.default.removeItem(atPath: libraryFolder + "/" + copy)
  }

  /// Of policies that are gone with their networks.
  func removeUnusedLibraries() throws(ControlError) {
    let used = Set(try store.policies().compactMap(\.copy))
    for file in (try? FileManager.default.contentsOfDirectory(atPath: libraryFolder)) ?? [] where !used.contains(file) {
      removeLibrary(file)
    }
    if used.isEmpty { rmdir(libraryFolder) }
  }

  // MARK: Showing

  func policy(network name: String) throws(ControlError) -> Policy {
    let network = try store.network(name)
    guard let record = try store.policy(ofNetwork: network.id) else {
      throw ControlError(
        .notFound, "network \(network.name) has no policy: it is a learning switch; martlet policy load gives it one")
    }
    return view(record, of: network)
  }

  func policies() throws(ControlError) -> PolicyList {
    var loaded: [Policy] = []
    for record in try store.policies() {
      if let network = try store.network(id: record.networkId) { loaded.append(view(record, of: network)) }
    }
    return PolicyList(
      loaded: loaded,
      builtIn: PolicyCatalog.builtIn.map { BuiltInPolicyDescription(name: $0.name, summary: $0.summary) })
  }

  func policyState(network id: String) -> String { raisedPolicies[id] == nil ? "unloaded" : "active" }

  private func view(_ record: PolicyRecord, of network: NetworkRecord) -> Policy {
    let raised = raisedPolicies[network.id]
    return Policy(
      network: network.name, name: record.name, kind: record.kind, parameters: record.parameters,
      state: policyState(network: network.id),
      detail: raised == nil ? record.unloaded ?? policyTroubles[network.id] : nil,
      text: record.text, path: record.path, loaded: record.created,
      counters: raised?.installed.counters().map { PolicyCounter(name: $0.name, value: $0.value) } ?? [])
  }
}

extension PolicyRecord {
  fileprivate init(_ request: PolicyRequest, network: String, created: String) throws(ControlError) {
    let parameters = request.parameters ?? [:]
    guard parameters.count <= Limits.policyParameters,
      parameters.allSatisfy({ $0.key.utf8.count + $0.value.utf8.count <= Limits.policyParameterBytes })
    else {
      throw ControlError(
        .invalid,
        "more than \(Limits.policyParameters) parameters, or one of more than \(Limits.policyParameterBytes) bytes")
    }
    let name: String
    switch request.kind {
    case .builtIn:
      guard let asked = request.name, request.text == nil, request.path == nil else {
        throw ControlError(.invalid, "a built-in policy is asked for by its name alone")
      }
      name = asked
    case .text:
      guard let text = request.text, request.path == nil else {
        throw ControlError(.invalid, "a policy of kind text needs its text, and has no path")
      }
      guard text.utf8.count <= PolicySource.textLengthMax else {
        throw ControlError(.invalid, "the policy's text is longer than \(PolicySource.textLengthMax >> 10) KiB")
      }
      name = request.name ?? "text"
    case .library:
      guard let path = request.path, path.hasPrefix("/"), request.text == nil else {
        throw ControlError(.invalid, "a policy of kind library needs the library's path, which begins with /")
      }
      name = request.name ?? PolicySource.name(ofFile: path)
    }
    self.init(
      networkId: network, kind: request.kind, name: name, text: request.text, path: request.path, copy: nil,
      parameters: parameters, unloaded: nil, created: created)
  }

  fileprivate func source(libraries folder: String) -> PolicySource {
    switch kind {
    case .builtIn: .builtIn(name)
    case .text: .text(name: name, text ?? "")
    case .library: .library(path: folder + "/" + (copy ?? ""))
    }
  }
}
