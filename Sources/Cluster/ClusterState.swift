import Dispatch
import Etcd
import FoundationEssentials
import Logging
import Synchronization

// Theory of operation. One thread reads all below `state` at one revision, then watches from the next. Where the watch
// ends it begins another at the revision it had come to; where that is forgotten (compacted), or the store is another
// than it was, it reads all again, and tells the differences only. It begins with what a file has of an earlier start. While etcd cannot be reached it tries again and
// again, and nothing of what is known goes. A watch may be dead without a sign: `suspect`, by who heard nothing from
// etcd, has it begun anew.

/// What the hosts of the cluster know together, as a mirror in memory.
public final class ClusterState: Sendable {
  private struct Shared {
    var mirror: Mirror
    var status: ClusterStatus
    var lastHeard: Date
    var watch: Watch?
    var suspicion: String?
    var isStopped = false
    weak var consumer: (any ClusterConsumer)?
  }

  /// Told of what came from etcd before the consumer is, on the same thread. `isComplete`: there is nothing else.
  typealias Observer = @Sendable (_ events: [WatchEvent], _ isComplete: Bool) -> Void

  private let client: EtcdClient
  private let keys: ClusterKeys
  private let logger: Logger
  private let observer: Observer
  /// nil: nothing is kept.
  private let file: KnowledgeFile?
  private let shared: Mutex<Shared>
  private let wake = DispatchSemaphore(value: 0)
  private let queue = DispatchQueue(label: "martlet.cluster.state")
  private let running = DispatchGroup()

  init(
    client: EtcdClient, keys: ClusterKeys, file: KnowledgeFile? = nil, logger: Logger,
    observer: @escaping Observer = { _, _ in }
  ) {
    (self.client, self.keys, self.file, self.logger, self.observer) = (client, keys, file, logger, observer)
    let now = Date()
    shared = Mutex(
      Shared(
        mirror: Mirror(keys: keys), status: .cutOff(since: now, reason: "not connected yet"), lastHeard: now))
  }

  // MARK: From any thread

  var networks: [ClusterNetwork] { shared.withLock { $0.mirror.allNetworks } }
  var services: [ClusterService] { shared.withLock { $0.mirror.allServices } }
  var hosts: [ClusterHost] { shared.withLock { $0.mirror.allHosts } }
  var endpoints: [ClusterEndpoint] { shared.withLock { $0.mirror.allEndpoints } }
  var status: ClusterStatus { shared.withLock { $0.status } }

  /// Once.
  func start(_ consumer: any ClusterConsumer) {
    shared.withLock { $0.consumer = consumer }
    queue.async(group: running) { self.run() }
  }

  func stop() {
    shared.withLock { shared in
      shared.isStopped = true
      shared.watch?.cancel()
    }
    wake.signal()
  }

  /// After `stop`: when it returns the consumer is called no more. Not from the consumer.
  ///
  /// - Parameter isKept: for the next start.
  func waitForEnd(isKept: Bool) {
    running.wait()
    if isKept { file?.writeNow(shared.withLock { $0.mirror.keyValues }) } else { file?.remove() }
  }

  /// etcd did not answer somebody else.
  func suspect(_ reason: String) {
    shared.withLock { shared in
      guard shared.watch != nil else { return }
      shared.suspicion = reason
      shared.watch?.cancel()
    }
  }

  /// etcd answered, here or to somebody else.
  func heard() { shared.withLock { $0.lastHeard = Date() } }

  // MARK: On the thread

  private var isStopped: Bool { shared.withLock { $0.isStopped } }

  private func run() {
    let kept = file?.read() ?? []
    if !kept.isEmpty { tell { $0.replace(with: kept) } }
    var next: Int64?
    var backoff = Backoff(first: ClusterLimits.retryDelay, max: ClusterLimits.retryDelayMax)
    while !isStopped {
      do throws(EtcdError) {
        if next == nil { next = try readAll() + 1 }
        try follow(&next, &backoff)
      } catch {
        shared.withLock { $0.watch = nil }
        guard !isStopped else { return }
        let suspicion = shared.withLock { shared in
          defer { shared.suspicion = nil }
          return shared.suspicion
        }
        switch error.code {
        case .cancelled:
          cutOff(suspicion ?? error.message)
          continue
        case .compacted:
          logger.info("cluster: \(error): reading everything again")
          next = nil
        case .malformed, .tooLarge:
          // Whatever it was, it is not known what it should have been.
          next = nil
          cutOff(error.message)
        default: cutOff(error.message)
        }
        _ = wake.wait(timeout: .now() + DispatchTimeInterval(backoff.delay()))
      }
    }
  }

  /// Returns the revision at which it was read.
  private func readAll() throws(EtcdError) -> Int64 {
    let all = try client.readAll(.prefix(keys.state))
    heard()
    observer(all.values.map { .put($0) }, true)
    tell { $0.replace(with: all.values) }
    return all.revision
  }

  /// Until it throws.
  private func follow(_ next: inout Int64?, _ backoff: inout Backoff) throws(EtcdError) {
    let watch = try client.watch(.prefix(keys.state), from: next ?? 1)
    let isStopped = shared.withLock { shared in
      shared.watch = watch
      return shared.isStopped
    }
    if isStopped { watch.cancel() }
    heard()
    connected()
    backoff.reset()
    while true {
      guard let answer = try watch.next() else { continue }
      heard()
      if !answer.events.isEmpty {
        observer(answer.events, false)
        tell { $0.apply(answer.events) }
      }
      next = answer.nextRevision
    }
  }

  private func tell(_ change: (inout Mirror) -> [ClusterChange]) {
    let (changes, unreadable, consumer) = shared.withLock { shared in
      let changes = change(&shared.mirror)
      return (changes, shared.mirror.unreadable, shared.consumer)
    }
    for (key, reason) in unreadable { logger.warning("cluster: \(key) is passed over: \(reason)") }
    if changes.isEmpty { return }
    file?.writeSoon { [weak self] in self?.shared.withLock { $0.mirror.keyValues } ?? [] }
    consumer?.take(changes)
  }

  private func connected() {
    let (isNew, consumer) = shared.withLock { shared in
      defer { shared.status = .connected }
      return (shared.status != .connected, shared.consumer)
    }
    guard isNew else { return }
    logger.info("cluster: connected to etcd")
    consumer?.statusChanged(.connected)
  }

  private func cutOff(_ reason: String) {
    let (status, isNew, consumer) = shared.withLock { shared in
      var since = shared.lastHeard
      let isNew = shared.status == .connected
      if case .cutOff(let before, _) = shared.status { since = before }
      shared.status = .cutOff(since: since, reason: reason)
      return (shared.status, isNew, shared.consumer)
    }
    guard isNew else { return }
    logger.warning("cluster: cut off from etcd, going on with what is known: \(reason)")
    consumer?.statusChanged(status)
  }
}

extension DispatchTimeInterval {
  init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    self = .nanoseconds(Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000))
  }
}
