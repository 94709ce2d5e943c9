import ControlModel
import Etcd
import FoundationEssentials

extension Claims {
  // MARK: Networks

  func networksNow() throws(ControlError) -> (networks: [ClusterNetwork], revision: Int64) {
    let all = try asking { () throws(EtcdError) in try client.readAll(.prefix(keys.networks)) }
    let networks = all.values.compactMap { value in
      keys.parse(value.key).flatMap { try? StoredNetwork.read(value.value, $0.ids) }
    }
    return (networks, all.revision)
  }

  /// - Parameter revision: at which it was seen that the network goes with the others.
  func createNetwork(_ network: ClusterNetwork, asOf revision: Int64?) throws(ControlError) {
    try ClusterKeys.check(network.id, "network id")
    try ClusterKeys.check(network.name, "network name")
    let key = keys.network(network.id)
    let nameKey = keys.networkName(network.name)
    let (value, owner) = (StoredNetwork(network).data, StoredNetworkID(network.id).data)
    var compares: [Compare] = [.isAbsent(key), .isAbsent(nameKey)]
    if let vni = network.vni { compares.append(Compare(.key(keys.vni(vni)), .equal, .value(owner))) }
    if let revision { compares.append(Compare(.prefix(keys.networks), .less, .modRevision(revision + 1))) }
    let answer = try change(
      compares, success: [.put(key, value), .put(nameKey, owner)], failure: [.range(.key(key)), .range(.key(nameKey))])
    if answer.succeeded { return }
    if let found = answer.results[0].first {
      // Sent again after a lost answer, or made by another host for the same engine.
      if found.value == value { return }
      throw ControlError(.conflict, "network \(network.id) is in the cluster already, and different")
    }
    if !answer.results[1].isEmpty {
      throw ControlError(.conflict, "another network of the cluster has the name \(network.name): choose another")
    }
    if let vni = network.vni, try !hasVNI(vni, network: network.id) {
      throw ControlError(.conflict, "VNI \(vni) is not the network's: claim it first")
    }
    throw ControlError(.conflict, "another host changed the cluster's networks in between: try again")
  }

  func updateNetwork(_ network: ClusterNetwork) throws(ControlError) {
    let key = keys.network(network.id)
    while true {
      let (found, before) = try find(network.id)
      if let before, before.name != network.name || before.vni != network.vni {
        throw ControlError(.invalid, "name and VNI of a network of the cluster stay as they are: make another network")
      }
      let answer = try change(
        [.isUnchanged(key, since: found.modRevision)], success: [.put(key, StoredNetwork(network).data)], failure: [])
      if answer.succeeded { return }
    }
  }

  private func find(_ id: String) throws(ControlError) -> (KeyValue, ClusterNetwork?) {
    let answer = try asking { () throws(EtcdError) in try client.range(.key(keys.network(id))) }
    guard let found = answer.values.first else {
      throw ControlError(.notFound, "network \(id) is not in the cluster")
    }
    return (found, try? StoredNetwork.read(found.value, [id]))
  }

  /// With its name, its VNI and the claims on its addresses. One that is gone is no error.
  func removeNetwork(_ id: String) throws(ControlError) {
    while true {
      let found: KeyValue
      let network: ClusterNetwork?
      do throws(ControlError) {
        (found, network) = try find(id)
      } catch {
        if error.code == .notFound { return }
        throw error
      }
      let endpoints = KeyRange.prefix(keys.endpoints(of: id))
      let services = KeyRange.prefix(keys.services(of: id))
      var operations: [Operation] = [.delete(.key(found.key)), .delete(.prefix(keys.addresses(of: id)))]
      if let network { operations.append(.delete(.key(keys.networkName(network.name)))) }
      let answer = try change(
        [.isUnchanged(found.key, since: found.modRevision), .isAbsent(endpoints), .isAbsent(services)],
        success: operations, failure: [.range(endpoints, limit: 1), .range(services, limit: 1)])
      if answer.succeeded {
        if let vni = network?.vni { try releaseVNI(vni, network: id) }
        return
      }
      if let service = answer.results[1].first.flatMap({ keys.parse($0.key)?.ids.last }) {
        throw ControlError(
          .conflict, "network \(network?.name ?? id) has service \(service): martlet service rm \(service)")
      }
      if let endpoint = answer.results[0].first {
        let host = (try? StoredEndpoint.read(endpoint.value, [id, ""]))?.host ?? "unknown"
        throw ControlError(
          .conflict,
          "network \(network?.name ?? id) has endpoints in the cluster, on host \(host): disconnect them first")
      }
    }
  }
}
