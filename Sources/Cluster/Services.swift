import ControlModel
import Etcd
import FoundationEssentials
import Wire

extension Claims {
  // MARK: Services

  /// Who has a service's virtual addresses: no host's, they outlive each.
  private func holder(of service: String) -> StoredAddress.Holder {
    StoredAddress.Holder(endpoint: "service \(service)", host: "")
  }

  func claimVirtualAddress(
    network: String, service: String, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress {
    try claimAddress(network: network, holder: holder(of: service), in: range, wanted: wanted)
  }

  func releaseVirtualAddress(_ address: IPAddress, network: String, service: String) throws(ControlError) {
    try asking { () throws(EtcdError) in
      try releaseAddress(address, network: network, holder: holder(of: service))
    }
  }

  func createService(_ service: ClusterService) throws(ControlError) {
    try ClusterKeys.check(service.name, "service name")
    try ClusterKeys.check(service.network, "network id")
    let key = keys.service(service.name, of: service.network)
    let (nameKey, networkKey) = (keys.serviceName(service.name), keys.network(service.network))
    guard service.ports.count <= ClusterLimits.portsPerService else {
      throw ControlError(
        .exhausted,
        "\(service.ports.count) ports: a service of the cluster has at most \(ClusterLimits.portsPerService)")
    }
    let value = StoredService(service).data
    let ports = service.ports.map { keys.port($0) }
    let answer = try change(
      [.exists(networkKey), .isAbsent(nameKey)] + ports.map { .isAbsent($0) },
      success: [.put(key, value), .put(nameKey, StoredNetworkID(service.network).data)]
        + ports.map { .put($0, Data(service.name.utf8)) },
      failure: [.range(.key(networkKey)), .range(.key(key)), .range(.key(nameKey))] + ports.map { .range(.key($0)) })
    if answer.succeeded { return }
    guard !answer.results[0].isEmpty else {
      throw ControlError(.notFound, "network \(service.network) is not in the cluster")
    }
    // Sent again after a lost answer.
    if answer.results[1].first?.value == value { return }
    if answer.results[2].isEmpty, let taken = answer.results.dropFirst(3).firstIndex(where: { !$0.isEmpty }) {
      let owner = String(decoding: answer.results[taken][0].value, as: UTF8.self)
      throw ControlError(
        .conflict, "port \(service.ports[taken - 3]) is service \(owner)'s on all hosts of the cluster: choose another")
    }
    throw ControlError(.conflict, "another service of the cluster has the name \(service.name): choose another")
  }

  /// Name, network and virtual addresses stay. `edit` may be called more than once.
  func updateService(
    _ name: String, network: String, _ edit: (inout ClusterService) throws(ControlError) -> Void
  ) throws(ControlError) {
    let key = keys.service(name, of: network)
    while true {
      let found = try asking { () throws(EtcdError) in try client.range(.key(key)).values.first }
      guard let found, var service = try? StoredService.read(found.value, [network, name]) else {
        throw ControlError(.notFound, "service \(name) is not in the cluster")
      }
      try edit(&service)
      let value = StoredService(service).data
      if value == found.value { return }
      let answer = try change(
        [.isUnchanged(key, since: found.modRevision)], success: [.put(key, value)], failure: [])
      if answer.succeeded { return }
    }
  }

  /// With its name, its ports and its virtual addresses. One that is gone is no error.
  func removeService(_ name: String, network: String) throws(ControlError) {
    let key = keys.service(name, of: network)
    while true {
      let found = try asking { () throws(EtcdError) in try client.range(.key(key)).values.first }
      guard let found else { return }
      let service = try? StoredService.read(found.value, [network, name])
      let claims =
        (service?.addresses ?? []).map { Operation.delete(.key(keys.address($0.description, of: network))) }
        + (service?.ports ?? []).map { .delete(.key(keys.port($0))) }
      let answer = try change(
        [.isUnchanged(key, since: found.modRevision)],
        success: [.delete(.key(key)), .delete(.key(keys.serviceName(name)))] + claims, failure: [])
      if answer.succeeded { return }
    }
  }
}
