import ControlModel
import Dispatch
import Etcd
import FoundationEssentials
import Logging
import Synchronization
import Wire

// Theory of operation. What this host has in etcd hangs on its lease, which one thread keeps alive. What it should have
// is `own`; keys of which it is not known that etcd has the same are `unsettled`. They are read in one transaction, and
// made equal in a second that holds only if nobody changed them in between, so lost answers and races do no harm: the
// next round reads again. Everything is unsettled when the lease is new: at the start, or after a cut that outlasted
// it.
//
// A daemon that starts takes over from one that crashed: it puts what it has under its own lease first, and then ends
// the old one, which its host's key tells: what hangs on that by then are leftovers.
//
// A host that comes back after a cut may hold a container for its own that has been started elsewhere since. So only an
// endpoint that is published for the first time takes a key from another host; when everything is published again, what
// is another's by then stays another's.

/// This host's lease, and what it publishes under it. Every method but `run` may be called from any thread and does not
/// block.
final class Membership: Sendable {
  private struct Entry {
    var value: Data
    /// May take the key from another host.
    var takesOver: Bool
  }

  private struct Release: Hashable {
    var address: IPAddress
    var network: String
    var endpoint: String
  }

  private struct Shared {
    /// Addresses that are to be given back.
    var releases: Set<Release> = []
    /// By key.
    var own: [String: Entry] = [:]
    var unsettled: Set<String> = []
    /// Some of what was unsettled is being made equal.
    var isSettling = false
    var host: ClusterHost
    var isHostSettled = false
    var lease: LeaseID?
    var trouble: String?
    var isStopped = false
  }

  private let client: EtcdClient
  private let keys: ClusterKeys
  private let claims: Claims
  private let leaseSeconds: Int
  private let logger: Logger
  private let name: String
  private let shared: Mutex<Shared>
  private let wake = DispatchSemaphore(value: 0)

  init(
    client: EtcdClient, keys: ClusterKeys, claims: Claims, host: ClusterHost, leaseSeconds: Int, logger: Logger
  ) {
    (self.client, self.keys, self.claims) = (client, keys, claims)
    (self.leaseSeconds, self.logger, name) = (leaseSeconds, logger, host.name)
    shared = Mutex(Shared(host: host))
  }

  /// nil: this host is in the cluster, and all it has is in etcd.
  var trouble: String? {
    shared.withLock { shared in
      if let trouble = shared.trouble { return trouble }
      let isSettled = shared.unsettled.isEmpty && !shared.isSettling && shared.releases.isEmpty
      return isSettled && shared.isHostSettled && shared.lease != nil ? nil : "not yet published"
    }
  }

  /// - Parameter takesOver: one that was not published here before came just now, from wherever it was.
  func publish(_ endpoint: ClusterEndpoint, takesOver: Bool) {
    var endpoint = endpoint
    endpoint.host = name
    let (key, value) = (keys.endpoint(endpoint.id, of: endpoint.network), StoredEndpoint(endpoint).data)
    shared.withLock { shared in
      let before = shared.own[key]
      guard before?.value != value else { return }
      shared.own[key] = Entry(value: value, takesOver: before?.takesOver ?? takesOver)
      shared.unsettled.insert(key)
    }
    wake.signal()
  }

  func withdraw(_ id: String, network: String) {
    let key = keys.endpoint(id, of: network)
    shared.withLock { shared in
      shared.own[key] = nil
      shared.unsettled.insert(key)
    }
    wake.signal()
  }

  func releaseSoon(_ addresses: [IPAddress], network: String, endpoint: String) {
    if addresses.isEmpty { return }
    shared.withLock { shared in
      for address in addresses {
        shared.releases.insert(Release(address: address, network: network, endpoint: endpoint))
      }
    }
    wake.signal()
  }

  func setVTEPs(_ vteps: [IPAddress]) {
    shared.withLock { ($0.host.vteps, $0.isHostSettled) = (vteps, false) }
    wake.signal()
  }

  /// What came from etcd: entries of ours that are not as they should be.
  func notice(_ events: [WatchEvent], isComplete: Bool) {
    let isUnsettled = shared.withLock { shared in
      guard let lease = shared.lease else { return false }
      let before = shared.unsettled.count
      for event in events {
        switch event {
        case .delete(let key, _):
          if shared.own[key] != nil { shared.unsettled.insert(key) }
          if key == keys.host(name) { shared.isHostSettled = false }
        case .put(let value):
          guard let (kind, ids) = keys.parse(value.key), kind == .endpoints else { continue }
          let own = shared.own[value.key]
          if own == nil ? isOurs(value, ids) : value.lease != lease { shared.unsettled.insert(value.key) }
        }
      }
      if isComplete { shared.unsettled.formUnion(Set(shared.own.keys).subtracting(events.map(\.key))) }
      return shared.unsettled.count > before || !shared.isHostSettled
    }
    if isUnsettled { wake.signal() }
  }

  private func isOurs(_ value: KeyValue, _ ids: [String]) -> Bool {
    (try? StoredEndpoint.read(value.value, ids))?.host == name
  }

  func stop() {
    shared.withLock { $0.isStopped = true }
    wake.signal()
  }

  // MARK: On the thread

  private var isStopped: Bool { shared.withLock { $0.isStopped } }

  /// Until `stop`; tells `state` how etcd is.
  ///
  /// - Parameter holders: ids of what has addresses on this host. Others that it has are of a daemon that crashed.
  func run(_ state: ClusterState, holders: Set<String>) {
    let interval = Duration.seconds(leaseSeconds) / ClusterLimits.keepalivesPerLease
    var backoff = Backoff(first: ClusterLimits.retryDelay, max: ClusterLimits.retryDelayMax)
    var due = ContinuousClock.now
    var leftoversUpTo: Int64?
    var isSwept = false
    while !isStopped {
      do throws(EtcdError) {
        if shared.withLock({ $0.lease }) == nil {
          let revision = try join()
          leftoversUpTo = leftoversUpTo ?? revision
          due = .now + interval
        }
        guard let lease = shared.withLock({ $0.lease }) else { continue }
        if ContinuousClock.now >= due {
          try client.keepAlive(lease, patience: interval)
          state.heard()
          due = .now + interval
        }
        let isAllSettled = try settleSome(lease)
        try releaseOne()
        if !isSwept, isAllSettled, let revision = leftoversUpTo {
          let ids = shared.withLock { $0.own.keys.compactMap { keys.parse($0)?.ids.last } }
          try claims.releaseAddresses(of: name, keeping: holders.union(ids), upTo: revision)
          isSwept = true
        }
        backoff.reset()
        shared.withLock { $0.trouble = nil }
        if isAllSettled, shared.withLock({ $0.releases.isEmpty }) {
          let rest = max(.zero, ContinuousClock.now.duration(to: due))
          _ = wake.wait(timeout: .now() + DispatchTimeInterval(rest))
        }
      } catch {
        fail(error, state)
        if error.code != .notFound { _ = wake.wait(timeout: .now() + DispatchTimeInterval(backoff.delay())) }
      }
    }
  }

  private func fail(_ error: EtcdError, _ state: ClusterState) {
    guard !isStopped else { return }
    if error.code == .notFound {
      logger.warning("cluster: this host's lease has ended; everything is published again")
      return loseLease()
    }
    let isNew = shared.withLock { shared in
      defer { shared.trouble = error.message }
      return shared.trouble != error.message
    }
    if isNew { logger.warning("cluster: \(error)") }
    if [.unreachable, .uncertain, .malformed].contains(error.code) { state.suspect(error.message) }
  }

  private func loseLease() {
    shared.withLock { shared in
      shared.lease = nil
      shared.isHostSettled = false
      shared.unsettled.formUnion(shared.own.keys)
    }
  }

  /// A lease, this host's key and everything own under it. Returns the revision before it.
  private func join() throws(EtcdError) -> Int64 {
    let key = keys.host(name)
    let host = shared.withLock { $0.host }
    let answer = try client.range(.key(key))
    let found = answer.values.first
    if let found, let other = try? StoredHost.read(found.value, [name]), other.identity != host.identity {
      throw nameConflict(other)
    }
    let lease = try client.grantLease(seconds: leaseSeconds)
    shared.withLock { $0.unsettled.formUnion($0.own.keys) }
    while !isStopped, try !settleSome(lease, isJoining: true) { try client.keepAlive(lease) }
    let announced = try client.transaction(
      [.isUnchanged(key, since: found?.modRevision ?? 0)], success: [.put(key, StoredHost(host).data, lease: lease)],
      failure: [.range(.key(key))])
    guard announced.succeeded else {
      try client.revokeLease(lease)
      throw nameConflict(nil)
    }
    if let previous = found?.lease, previous != lease { try client.revokeLease(previous) }
    shared.withLock { shared in
      shared.lease = lease
      shared.isHostSettled = shared.host == host
    }
    logger.info("cluster: host \(name) has joined")
    return answer.revision
  }

  private func nameConflict(_ other: ClusterHost?) -> EtcdError {
    let place = other.map { " (\($0.vteps.map(\.description).joined(separator: ", ")))" } ?? ""
    return EtcdError(
      .refused,
      "another host of the cluster has the name \(name)\(place): give one of them another; "
        + "if that host is gone, the name is free when its lease has ended"
    )
  }

  /// Makes some of what is unsettled equal. False: there is more.
  private func settleSome(_ lease: LeaseID, isJoining: Bool = false) throws(EtcdError) -> Bool {
    if !isJoining { try settleHost(lease) }
    let batch = shared.withLock { shared in
      let batch = Array(shared.unsettled.prefix(ClusterLimits.keysPerTransaction))
      shared.unsettled.subtract(batch)
      shared.isSettling = !batch.isEmpty
      return batch
    }
    defer { shared.withLock { $0.isSettling = false } }
    guard !batch.isEmpty else { return true }
    do throws(EtcdError) {
      if try !settle(batch, lease) { shared.withLock { $0.unsettled.formUnion(batch) } }
    } catch {
      shared.withLock { $0.unsettled.formUnion(batch) }
      throw error
    }
    return shared.withLock { $0.unsettled.isEmpty }
  }

  private func releaseOne() throws(EtcdError) {
    guard let release = shared.withLock({ $0.releases.first }) else { return }
    try claims.releaseAddress(release.address, network: release.network, endpoint: release.endpoint)
    shared.withLock { _ = $0.releases.remove(release) }
  }

  private func settleHost(_ lease: LeaseID) throws(EtcdError) {
    let (host, isSettled) = shared.withLock { ($0.host, $0.isHostSettled) }
    guard !isSettled else { return }
    try client.put(keys.host(name), StoredHost(host).data, lease: lease)
    shared.withLock { $0.isHostSettled = $0.host == host }
  }

  /// False: somebody else changed one of them in between.
  private func settle(_ batch: [String], _ lease: LeaseID) throws(EtcdError) -> Bool {
    let read = try client.transaction([], success: batch.map { .range(.key($0)) })
    let own = shared.withLock { shared in batch.map { shared.own[$0] } }
    var (compares, operations): ([Compare], [Operation]) = ([], [])
    for (index, key) in batch.enumerated() {
      let found = read.results[index].first
      guard let operation = operation(key, own[index], found, lease) else { continue }
      compares.append(.isUnchanged(key, since: found?.modRevision ?? 0))
      operations.append(operation)
    }
    if !operations.isEmpty {
      guard try client.transaction(compares, success: operations).succeeded else { return false }
    }
    shared.withLock { shared in
      // Not where it was published once more in between.
      for (key, entry) in zip(batch, own) where shared.own[key]?.value == entry?.value {
        shared.own[key]?.takesOver = false
      }
    }
    return true
  }

  /// What makes `found` what it should be.
  private func operation(_ key: String, _ own: Entry?, _ found: KeyValue?, _ lease: LeaseID) -> Operation? {
    let ids = keys.parse(key)?.ids ?? []
    let host = found.flatMap { try? StoredEndpoint.read($0.value, ids) }?.host
    guard let own else { return found != nil && host == name ? .delete(.key(key)) : nil }
    if let found, found.value == own.value, found.lease == lease { return nil }
    if let host, host != name, !own.takesOver {
      logger.warning("cluster: endpoint \(ids.last ?? key) is on host \(host) now: it is published here no more")
      shared.withLock { shared in
        if shared.own[key]?.takesOver == false { shared.own[key] = nil }
      }
      return nil
    }
    return .put(key, own.value, lease: lease)
  }

  /// After the thread has ended: everything own goes at once.
  func endLease() throws(EtcdError) {
    if let lease = shared.withLock({ $0.lease }) { try client.revokeLease(lease) }
  }
}
