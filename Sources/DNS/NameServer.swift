import Logging
import NIOCore
import NIOPosix
import Synchronization
import SystemCalls

/// A pair of sockets that is served.
public struct Listener: Hashable, Sendable {
  let number: Int
  public init(number: Int) { self.number = number }
}

/// The name server of sandboxes: each finds the names of the networks it is on, and everything else by way of the
/// host's resolvers (docs/names.md). It knows what it is told, and nothing of who tells.
///
/// One thread serves all sockets, in the network namespace of the thread that makes the name server: there are the
/// upstreams asked. Everything here may be called from any other thread. A change is in force when the call returns.
public final class NameServer: Sendable {
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  private let limits: NameServerLimits
  private let logger: Logger
  private let responder: Responder
  private let forwarder: Forwarder
  private let listeners = Mutex<[Listener: Service]>([:])
  private let numbers = Atomic<Int>(0)
  private let isStopped = Atomic(false)

  public init(logger: Logger, limits: NameServerLimits = NameServerLimits()) {
    (self.logger, self.limits) = (logger, limits)
    responder = Responder(limits: limits)
    forwarder = Forwarder(eventLoop: group.next(), limits: limits, responder: responder, logger: logger)
  }

  /// Closes all sockets and ends the thread, so before the last reference goes. `serve` may not be called afterwards.
  public func stop() {
    guard !isStopped.exchange(true, ordering: .relaxed) else { return }
    let all = listeners.withLock { Array($0.keys) }
    for listener in all { close(listener) }
    // Both fail only when the thread has ended before.
    try? forwarder.eventLoop.submit { [forwarder] in forwarder.stop() }.wait()
    try? group.syncShutdownGracefully()
  }

  public var counters: NameServerCounters { responder.counters.withLock { $0 } }

  // MARK: The table

  /// A network, or its new name, by which NAME.NETWORK is found. One that the DNS cannot carry gives no such names.
  public func setNetwork(id: String, name: String) {
    let domain = DomainName(name)
    responder.table.withLock { $0.setNetwork(id: id, domain: domain) }
  }

  /// With its endpoints.
  public func removeNetwork(id: String) { responder.table.withLock { $0.removeNetwork(id: id) } }

  /// An endpoint, or what it is from now on.
  public func setEndpoint(_ endpoint: NamedEndpoint) {
    let serviceNames = endpoint.services.map(\.registeredNames)
    responder.table.withLock { $0.setEndpoint(endpoint, serviceNames: serviceNames) }
  }

  public func removeEndpoint(id: String) { responder.table.withLock { $0.removeEndpoint(id: id) } }

  /// For questions from now on; those that wait go on as they began.
  public func setUpstreams(_ upstreams: Upstreams) { forwarder.upstreams.withLock { $0 = upstreams } }

  // MARK: Sockets

  /// Serves a bound UDP socket and a listening TCP socket, of whatever network namespace, and closes them in the end,
  /// also when it throws. Open sockets keep their namespace alive: `close` before it shall go.
  public func serve(
    _ clientele: Clientele, datagrams: consuming SystemCalls.FileDescriptor,
    streams: consuming SystemCalls.FileDescriptor
  ) throws(Errno) -> Listener {
    let listener = Listener(number: numbers.add(1, ordering: .relaxed).newValue)
    let service = Service(
      listener, clientele, limits: limits, responder: responder, forwarder: forwarder, logger: logger)
    let failure = service.start(datagrams: datagrams.release(), streams: streams.release())
    if let failure {
      service.close()
      throw failure
    }
    listeners.withLock { $0[listener] = service }
    return listener
  }

  /// Its sockets and connections are closed when this returns; without effect where they are already.
  public func close(_ listener: Listener) {
    let service = listeners.withLock { $0.removeValue(forKey: listener) }
    service?.close()
  }
}
