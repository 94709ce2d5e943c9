import CLibmnl
import CLinux
import Glibc
import Synchronization
import SystemCalls
import Wire

/// Tells what changes in a network namespace, from a thread of its own, until `stop` or the last reference goes.
///
/// A change that came after `init` returned is told: who starts a monitor and then reads a table misses nothing.
/// Everything may be called from any thread.
public final class NetworkMonitor: Sendable {
  public enum Event: Hashable, Sendable {
    /// Interfaces came, went or changed. What is there now is to be read anew, as for `addresses` and `routes`; a burst
    /// of changes gives one event.
    case links
    case addresses
    /// Routes, nexthop objects or policy rules. Comes along with `links` and `addresses` too: the kernel does not say
    /// which IPv4 routes it drops with a link or an address (fib_sync_down_dev in net/ipv4/fib_semantics.c).
    case routes
    /// Each change of one, at once.
    case neighbour(Neighbour)
    case neighbourGone(linkIndex: Int32, address: IPAddress)
    /// Changes were lost (ENOBUFS of netlink(7)): all tables are to be read anew, neighbours too. Stands for the other
    /// events of its burst; told when the kernel tells of new changes again.
    case overrun
  }

  public typealias Handler = @Sendable (Event) -> Void

  private let thread: MonitorThread

  /// Starts in `namespace`. `neighbourLinks` as for `watchNeighbours`. `handler` runs on the monitor's thread, one event
  /// at a time; while it runs, changes pile up in the kernel.
  public init(
    in namespace: borrowing NetworkNamespace, neighbourLinks: Set<Int32>? = [], handler: @escaping Handler
  ) throws(Errno) {
    let socket = try namespace.run { () throws(Errno) in try MonitorSocket() }
    thread = try MonitorThread(socket, neighbourLinks, handler)
  }

  deinit { thread.stopForGood() }

  /// From now on, only neighbours of these interfaces are told; nil stands for all.
  public func watchNeighbours(ofLinks indices: Set<Int32>?) {
    thread.neighbourLinks.withLock { $0 = indices }
  }

  /// Ends the thread; when it returns, the handler does not run any more and never will. Called by the handler itself, it
  /// returns at once, and this event is the last. Again is no error.
  public func stop() { thread.stop() }
}

/// The thread and what it and the monitor share. The thread does not hold the monitor, which can go while it runs.
final class MonitorThread: @unchecked Sendable {
  let neighbourLinks: Mutex<Set<Int32>?>
  private let socket: MonitorSocket
  private let handler: NetworkMonitor.Handler
  private let stopEvent: FileDescriptor
  private let isStopping = Atomic<Bool>(false)
  /// false once it was joined, or left to itself.
  private let isJoinable = Mutex(true)
  /// Written by the starter alone; the thread does not read it.
  private var thread = pthread_t()
  /// The same, for `stop` to know the thread by; 0 until it runs.
  private let runningThread = Atomic<pthread_t>(0)

  init(
    _ socket: consuming MonitorSocket, _ neighbourLinks: Set<Int32>?, _ handler: @escaping NetworkMonitor.Handler
  ) throws(Errno) {
    self.neighbourLinks = Mutex(neighbourLinks)
    self.socket = socket
    self.handler = handler
    stopEvent = FileDescriptor(owning: try check(martlet_eventfd(), "make an eventfd"))
    let reference = Unmanaged.passRetained(self)
    let result = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<MonitorThread>.fromOpaque(argument!).takeRetainedValue().main()
        return nil
      }, reference.toOpaque())
    guard result == 0 else {
      reference.release()
      throw Errno(result, "start a thread to watch the network")
    }
    pthread_setname_np(thread, "network-monitor")
  }

  func stop() {
    isStopping.store(true, ordering: .releasing)
    var one: UInt64 = 1
    _ = write(stopEvent.number, &one, MemoryLayout.size(ofValue: one))
    if isCurrent { return }
    isJoinable.withLock { isJoinable in
      if isJoinable { pthread_join(thread, nil) }
      isJoinable = false
    }
  }

  private var isCurrent: Bool { runningThread.load(ordering: .relaxed) == pthread_self() }

  /// `stop`, after which nobody can call it again.
  func stopForGood() {
    stop()
    guard isCurrent else { return }
    isJoinable.withLock { isJoinable in
      if isJoinable { pthread_detach(thread) }
      isJoinable = false
    }
  }

  private func main() {
    runningThread.store(pthread_self(), ordering: .relaxed)
    var burst = Burst()
    while !isStopping.load(ordering: .acquiring) {
      var descriptors = [
        pollfd(fd: stopEvent.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let ready = poll(&descriptors, 2, burst.waitMilliseconds(now: .monotonic))
      if ready > 0 && descriptors[1].revents != 0 { receive(&burst) }
      if burst.isOver(now: .monotonic) {
        for event in burst.take() { tell(event) }
      }
    }
  }

  private func tell(_ event: NetworkMonitor.Event) {
    if !isStopping.load(ordering: .acquiring) { handler(event) }
  }

  private func receive(_ burst: inout Burst) {
    let isComplete = socket.receive { message in
      switch message.type {
      case RTM_NEWLINK, RTM_DELLINK: burst.add([.links, .routes], now: .monotonic)
      case RTM_NEWADDR, RTM_DELADDR: burst.add([.addresses, .routes], now: .monotonic)
      case RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWRULE, RTM_DELRULE, RTM_NEWNEXTHOP, RTM_DELNEXTHOP:
        burst.add(.routes, now: .monotonic)
      case RTM_NEWNEIGH, RTM_DELNEIGH: tellNeighbour(message)
      default: return
      }
    }
    if !isComplete { burst.add(.overrun, now: .monotonic) }
  }

  private func tellNeighbour(_ message: Message) {
    guard let neighbour = Neighbour(message),
      neighbourLinks.withLock({ $0?.contains(neighbour.linkIndex) ?? true })
    else { return }
    tell(
      message.type == RTM_NEWNEIGH
        ? .neighbour(neighbour) : .neighbourGone(linkIndex: neighbour.linkIndex, address: neighbour.address))
  }
}
