import Cluster
import ControlModel
import Wire

/// This host's part in a cluster, as the control plane uses it. `Cluster` is the one that runs; it says what blocks, and which
/// threads may call.
public protocol ClusterMember: AnyObject, Sendable {
  /// This host's name.
  var hostName: String { get }
  var networks: [ClusterNetwork] { get }
  var hosts: [ClusterHost] { get }
  var services: [ClusterService] { get }
  var status: ClusterStatus { get }
  var trouble: String? { get }

  func start(endpoints: [ClusterEndpoint], holders: Set<String>, consumer: any ClusterConsumer)
  func stop()
  func leave() throws(ControlError)

  func publish(_ endpoint: ClusterEndpoint) throws(ControlError)
  func withdraw(_ id: String, network: String)
  func setVTEPs(_ vteps: [IPAddress])

  func networksNow() throws(ControlError) -> (networks: [ClusterNetwork], revision: Int64)
  func createNetwork(_ network: ClusterNetwork, asOf revision: Int64?) throws(ControlError)
  func removeNetwork(_ id: String) throws(ControlError)
  func claimVNI(network: String, wanted: UInt32?) throws(ControlError) -> UInt32
  func releaseVNI(_ vni: UInt32, network: String) throws(ControlError)
  func claimAddress(
    network: String, endpoint: String, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress
  func claimVirtualAddress(
    network: String, service: String, in range: AddressRange, wanted: IPAddress?
  ) throws(ControlError) -> IPAddress
  func releaseVirtualAddress(_ address: IPAddress, network: String, service: String) throws(ControlError)
  func createService(_ service: ClusterService) throws(ControlError)
  func updateService(
    _ name: String, network: String, _ edit: (inout ClusterService) throws(ControlError) -> Void
  ) throws(ControlError)
  func removeService(_ name: String, network: String) throws(ControlError)
  func releaseSoon(_ addresses: [IPAddress], network: String, endpoint: String)
  func forgetHost(_ name: String) throws(ControlError)
}

extension Cluster: ClusterMember {}

/// Which hosts have a network.
enum NetworkScope: String, CaseIterable {
  /// This one.
  case local
  /// All of the cluster.
  case global
}

/// What the cluster has given an endpoint that is to be made.
struct ClaimedAddresses {
  var endpoint: String
  var addresses: [IPAddress] = []
}

/// An address to be claimed for an endpoint.
struct AddressWish {
  var range: AddressRange
  /// nil: any.
  var wanted: IPAddress?
}

/// This host's part in the cluster, and what it has made of it.
struct Membership {
  let cluster: any ClusterMember
  /// Where its tunnels end, by the configuration; empty: the uplink's addresses.
  let configuredVTEPs: [IPAddress]
  var toldVTEPs: [IPAddress] = []
  /// The others, by name.
  var hosts: [String: ClusterHost] = [:]
  /// Networks and services that were made or removed by this host, and are not yet, or still, among the cluster's as it knows them.
  var made: Set<String> = []
  var removed: Set<String> = []
  /// By the network's id: why it is not as the cluster has it.
  var troubles: [String: String] = [:]
  /// This host's part ends, and all it has is taken away.
  var isLeaving = false
}
