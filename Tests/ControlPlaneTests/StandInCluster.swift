import Cluster
import ControlModel
import ControlPlane
import Foundation
import Synchronization
import Wire

/// A cluster in memory: this host's part, and what the test says of others. It is told of changes when the test says so.
final class StandInCluster: ClusterMember {
  struct State {
    var networks: [String: ClusterNetwork] = [:]
    var revision: Int64 = 1
    var vnis: [UInt32: String] = [:]
    var addresses: [IPAddress: String] = [:]
    var published: [String: ClusterEndpoint] = [:]
    var vteps: [IPAddress] = []
    var hosts: [ClusterHost] = []
    var services: [String: ClusterService] = [:]
    var status = ClusterStatus.connected
    var started: Set<String>?
    weak var consumer: (any ClusterConsumer)?
    /// Makes the next network that is made collide, so often.
    var rivals = 0
  }

  private let contents = Mutex(State())
  var state: State { contents.withLock { $0 } }
  func edit(_ body: (inout State) -> Void) { contents.withLock { body(&$0) } }

  let hostName = "h1"
  var networks: [ClusterNetwork] { Array(state.networks.values) }
  var hosts: [ClusterHost] { state.hosts }
  var services: [ClusterService] { Array(state.services.values) }
  var status: ClusterStatus { state.status }
  var trouble: String? { nil }

  func start(endpoints: [ClusterEndpoint], holders: Set<String>, consumer: any ClusterConsumer) {
    edit { state in
      for endpoint in endpoints { state.published[endpoint.id] = endpoint }
      (state.started, state.consumer) = (holders, consumer)
    }
  }

  func stop() { edit { $0.consumer = nil } }
  func leave() throws(ControlError) { edit { ($0.consumer, $0.published) = (nil, [:]) } }

  func publish(_ endpoint: ClusterEndpoint) throws(ControlError) { edit { $0.published[endpoint.id] = endpoint } }
  func withdraw(_ id: String, network: String) { edit { $0.published[id] = nil } }
  func setVTEPs(_ vteps: [IPAddress]) { edit { $0.vteps = vteps } }

  func networksNow() throws(ControlError) -> (networks: [ClusterNetwork], revision: Int64) {
    (networks, state.revision)
  }

  func createNetwork(_ network: ClusterNetwork, asOf revision: Int64?) throws(ControlError) {
    let isTaken = contents.withLock { state in
      if state.rivals > 0 {
        (state.rivals, state.revision) = (state.rivals - 1, state.revision + 1)
        return true
      }
      guard revision == nil || revision == state.revision else { return true }
      precondition(network.vni.map { state.vnis[$0] } == network.id, "claimed")
      state.networks[network.id] = network
      state.revision += 1
      return false
    }
    if isTaken { throw ControlError(.conflict, "another host changed the cluster's networks in between") }
  }

  func removeNetwork(_ id: String) throws(ControlError) {
    let isUsed = contents.withLock { state in
      guard !state.published.values.contains(where: { $0.network == id }) else { return true }
      if let vni = state.networks.removeValue(forKey: id)?.vni { state.vnis[vni] = nil }
      return false
    }
    if isUsed { throw ControlError(.conflict, "it has endpoints on host h2") }
  }

  func claimVNI(network: String, wanted: UInt32?) throws(ControlError) -> UInt32 {
    if case .cutOff(_, let reason) = status { throw ControlError(.system, reason) }
    let vni = contents.withLock { state -> UInt32? in
      let vni = wanted ?? (5000...).first { state.vnis[$0] == nil }!
      guard state.vnis[vni] == nil || state.vnis[vni] == network else { return nil }
      state.vnis[vni] = network
      return vni
    }
    guard let vni else { throw ControlError(.conflict, "the VNI is taken") }
    return vni
  }

  func releaseVNI(_ vni: UInt32, network: String) throws(ControlError) {
    edit { if $0.vnis[vni] == network { $0.vnis[vni] = nil } }
  }

  func claimAddress(
    network: String, endpoint: String, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress {
    let claimed = contents.withLock { state -> IPAddress? in
      let free = range.range.firstAddress(after: nil, steps: 1000) {
        range.subnet.hasHost($0) && !range.reserved.contains($0) && state.addresses[$0] == nil
      }
      guard let address = wanted ?? free, state.addresses[address] == nil else { return nil }
      state.addresses[address] = endpoint
      return address
    }
    guard let claimed else { throw ControlError(.conflict, "the address is taken") }
    return claimed
  }

  func releaseSoon(_ addresses: [IPAddress], network: String, endpoint: String) {
    edit { state in
      for address in addresses where state.addresses[address] == endpoint { state.addresses[address] = nil }
    }
  }

  func claimVirtualAddress(
    network: String, service: String, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress {
    try claimAddress(network: network, endpoint: service, in: range, wanted: wanted)
  }

  func releaseVirtualAddress(_ address: IPAddress, network: String, service: String) throws(ControlError) {
    releaseSoon([address], network: network, endpoint: service)
  }

  func createService(_ service: ClusterService) throws(ControlError) {
    let isTaken = contents.withLock { state in
      guard state.services[service.name] == nil else { return true }
      state.services[service.name] = service
      return false
    }
    if isTaken { throw ControlError(.conflict, "another service of the cluster has the name \(service.name)") }
  }

  func updateService(
    _ name: String, network: String, _ edit: (inout ClusterService) throws(ControlError) -> Void
  ) throws(ControlError) {
    guard var service = state.services[name] else { throw ControlError(.notFound, "no service \(name)") }
    try edit(&service)
    self.edit { $0.services[name] = service }
  }

  func removeService(_ name: String, network: String) throws(ControlError) {
    edit { state in
      for address in state.services.removeValue(forKey: name)?.addresses ?? [] { state.addresses[address] = nil }
    }
  }

  func forgetHost(_ name: String) throws(ControlError) {}

  // MARK: The test's side

  func tell(_ changes: ClusterChange...) { state.consumer?.take(changes) }

  /// That it is connected, or is not: all is compared.
  func tellStatus() { state.consumer?.statusChanged(status) }

  func tell(_ change: Change<ClusterEndpoint>) { tell(.endpoint(change)) }

  /// A host that comes.
  func addHost(_ name: String, _ vtep: String) {
    let host = ClusterHost(name: name, vteps: [IPAddress(vtep)!], identity: name)
    edit { $0.hosts.append(host) }
    tell(.host(.added(host)))
  }
}
