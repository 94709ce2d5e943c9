import ControlModel
import Dispatch
import Etcd
import Logging
import Synchronization
import Wire

/// How this host takes part in a cluster.
public struct ClusterConfiguration: Sendable {
  public var etcd: EtcdConfiguration
  /// Before every key. Clusters with different ones know nothing of each other.
  public var prefix = "/martlet"
  public var host: ClusterHost
  public var leaseSeconds = ClusterLimits.leaseSeconds
  /// Where what is known is kept for the next start; nil: nowhere.
  public var knowledgePath: String?

  public init(etcd: EtcdConfiguration, host: ClusterHost) { (self.etcd, self.host) = (etcd, host) }
}

/// This host's part in the cluster: what all hosts know, what this one adds, and claims on what only one may have.
///
/// Two threads of its own and etcd's event loop. Methods may be called from any thread but an event loop's, and from
/// the consumer where nothing else is said. `publish`, `withdraw`, `setVTEPs`, `networks`, `hosts`, `endpoints`,
/// `status` and `trouble` do not block; the others wait for etcd, `EtcdLimits.patience` for each of its answers, and
/// throw when there is none.
public final class Cluster: Sendable {
  /// This host's.
  public let hostName: String
  private let client: EtcdClient
  private let state: ClusterState
  private let membership: Membership
  private let claims: Claims
  private let queue = DispatchQueue(label: "martlet.cluster.membership")
  private let running = DispatchGroup()
  private let isStarted = Mutex(false)

  /// Checks the configuration and reads the TLS files. Connects to nobody yet.
  public init(_ configuration: ClusterConfiguration, logger: Logger) throws(ControlError) {
    let keys = try ClusterKeys(prefix: configuration.prefix)
    try ClusterKeys.check(configuration.host.name, "host name")
    guard ClusterLimits.leaseSecondsRange.contains(configuration.leaseSeconds) else {
      let range = ClusterLimits.leaseSecondsRange
      throw ControlError(
        .invalid, "lease of \(configuration.leaseSeconds) s: allowed is \(range.lowerBound) to \(range.upperBound)")
    }
    do throws(EtcdError) {
      client = try EtcdClient(configuration.etcd, logger: logger)
    } catch {
      throw ControlError(error)
    }
    hostName = configuration.host.name
    claims = Claims(client: client, keys: keys, host: configuration.host.name)
    let membership = Membership(
      client: client, keys: keys, claims: claims, host: configuration.host, leaseSeconds: configuration.leaseSeconds,
      logger: logger)
    self.membership = membership
    let file = configuration.knowledgePath.map { KnowledgeFile(path: $0, logger: logger) }
    state = ClusterState(client: client, keys: keys, file: file, logger: logger) {
      membership.notice($0, isComplete: $1)
    }
  }

  /// Joins, and tells `consumer` of all there is. Once. Returns at once, whether etcd can be reached or not.
  ///
  /// - Parameters:
  ///   - endpoints: all that this host has: what else it has in etcd, entries and addresses, is deleted.
  ///   - holders: ids beside those of `endpoints` for which it keeps addresses.
  public func start(endpoints: [ClusterEndpoint], holders: Set<String> = [], consumer: any ClusterConsumer) {
    let isFirst = isStarted.withLock { started in
      defer { started = true }
      return !started
    }
    precondition(isFirst, "a cluster is started once")
    for endpoint in endpoints { membership.publish(endpoint, takesOver: false) }
    state.start(consumer)
    let all = holders.union(endpoints.map(\.id))
    queue.async(group: running) { [membership, state] in membership.run(state, holders: all) }
  }

  /// Ends the threads, before the last reference goes. What is published stays for the time of the lease, so that a
  /// daemon which starts again takes it over. When it returns the consumer is called no more. Not from the consumer.
  public func stop() {
    membership.stop()
    state.stop()
    client.stop()
    state.waitForEnd(isKept: true)
    running.wait()
  }

  /// Leaves the cluster and stops: all that is published goes at once. Claims stay. Not from the consumer.
  public func leave() throws(ControlError) {
    membership.stop()
    state.stop()
    state.waitForEnd(isKept: false)
    running.wait()
    defer { client.stop() }
    try claims.asking { () throws(EtcdError) in try membership.endLease() }
  }

  // MARK: What all hosts know

  public var networks: [ClusterNetwork] { state.networks }
  public var services: [ClusterService] { state.services }
  public var hosts: [ClusterHost] { state.hosts }
  /// Own ones too.
  public var endpoints: [ClusterEndpoint] { state.endpoints }
  public var status: ClusterStatus { state.status }

  // MARK: What this host has

  /// Why what this host has is not in etcd, or not all of it; nil: all is.
  public var trouble: String? { membership.trouble }

  /// An endpoint that came to this host, from another maybe, or is another now. Reaches etcd soon, or when etcd can be
  /// reached again.
  public func publish(_ endpoint: ClusterEndpoint) throws(ControlError) {
    try ClusterKeys.check(endpoint.id, "endpoint id")
    try ClusterKeys.check(endpoint.network, "network id")
    membership.publish(endpoint, takesOver: true)
  }

  /// Without effect on an endpoint that is another host's by now.
  public func withdraw(_ id: String, network: String) { membership.withdraw(id, network: network) }

  public func setVTEPs(_ vteps: [IPAddress]) { membership.setVTEPs(vteps) }

  // MARK: What only one may have

  /// All networks as etcd has them now, and the revision at which they were read, for `createNetwork`.
  public func networksNow() throws(ControlError) -> (networks: [ClusterNetwork], revision: Int64) {
    try claims.networksNow()
  }

  /// A network that all hosts know from now on. Its VNI must have been claimed. The very same once more is no error.
  ///
  /// - Parameter revision: `conflict` where another host has made or changed a network since.
  public func createNetwork(_ network: ClusterNetwork, asOf revision: Int64? = nil) throws(ControlError) {
    try claims.createNetwork(network, asOf: revision)
  }

  /// Subnets and options of a network.
  public func updateNetwork(_ network: ClusterNetwork) throws(ControlError) { try claims.updateNetwork(network) }

  /// With its VNI and the claims on its addresses. Refused while it has endpoints on any host; one that is gone is no
  /// error.
  public func removeNetwork(_ id: String) throws(ControlError) { try claims.removeNetwork(id) }

  /// An address of a network of the cluster, for one endpoint alone: `wanted`, or the next free one. An endpoint that
  /// moved here gets its own by `wanted`; once more is no error.
  public func claimAddress(
    network: String, endpoint: String, in range: AddressRange, wanted: IPAddress? = nil
  ) throws(ControlError) -> IPAddress {
    try ClusterKeys.check(network, "network id")
    return try claims.claimAddress(network: network, endpoint: endpoint, in: range, wanted: wanted)
  }

  /// Without effect where the endpoint does not have it on this host.
  public func releaseAddress(_ address: IPAddress, network: String, endpoint: String) throws(ControlError) {
    try claims.asking { () throws(EtcdError) in
      try claims.releaseAddress(address, network: network, endpoint: endpoint)
    }
  }

  /// As `releaseAddress`, soon, or when etcd can be reached again. Does not block.
  public func releaseSoon(_ addresses: [IPAddress], network: String, endpoint: String) {
    membership.releaseSoon(addresses, network: network, endpoint: endpoint)
  }

  /// A VNI for one network alone: `wanted`, or one that is free. Once more is no error.
  public func claimVNI(network: String, wanted: UInt32? = nil) throws(ControlError) -> UInt32 {
    try ClusterKeys.check(network, "network id")
    return try claims.claimVNI(network: network, wanted: wanted)
  }

  /// Without effect where the network does not have it.
  public func releaseVNI(_ vni: UInt32, network: String) throws(ControlError) {
    try claims.releaseVNI(vni, network: network)
  }

  /// An address for a service alone, no host's: it goes with the service, or by `releaseVirtualAddress`.
  public func claimVirtualAddress(
    network: String, service: String, in range: AddressRange, wanted: IPAddress? = nil
  ) throws(ControlError) -> IPAddress {
    try ClusterKeys.check(network, "network id")
    return try claims.claimVirtualAddress(network: network, service: service, in: range, wanted: wanted)
  }

  /// Without effect where the service does not have it.
  public func releaseVirtualAddress(_ address: IPAddress, network: String, service: String) throws(ControlError) {
    try claims.releaseVirtualAddress(address, network: network, service: service)
  }

  /// A service that all hosts know from now on. Its addresses must have been claimed. The very same once more is no error.
  public func createService(_ service: ClusterService) throws(ControlError) { try claims.createService(service) }

  /// Changes what a service is, but for its name, network and addresses. `edit` may be called more than once: another host may change
  /// it at the same time.
  public func updateService(
    _ name: String, network: String, _ edit: (inout ClusterService) throws(ControlError) -> Void
  ) throws(ControlError) {
    try claims.updateService(name, network: network, edit)
  }

  /// With its virtual addresses. One that is gone is no error.
  public func removeService(_ name: String, network: String) throws(ControlError) {
    try claims.removeService(name, network: network)
  }

  /// Gives back the addresses of a host that will not return. Refused while it is in the cluster.
  public func forgetHost(_ name: String) throws(ControlError) { try claims.forgetHost(name) }
}
