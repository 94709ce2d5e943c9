import Datapath
import Glibc
import Synchronization
import SystemCalls
import Tables
import Wire

/// A network of a switch.
public struct NetworkHandle: Hashable, Sendable {
  /// The same on every worker.
  let network: UInt16
}

/// A port of a switch. Never equal to that of another port, also of one that has gone.
public struct PortHandle: Hashable, Sendable {
  /// The same on every worker; another port's when this one has gone.
  let port: UInt16
  /// By which engines know it.
  public var index: UInt16 { port }
  let serial: UInt32
}

/// The running data plane: workers that all know all networks and ports.
///
/// Each worker reads a queue of its own of each port, and forwards what it read with an engine and a MAC table of its own, to
/// any port (`LearnedAddress` says how the tables agree). The kernel gives all frames of a flow to one queue, both
/// directions to the same, so a flow stays on one worker and in order. A port with a single queue is read by one worker.
///
/// Every method may be called by any thread but a worker's; it returns when all workers have done what was asked, each
/// between two of its bursts.
public final class Switch: Sendable {
  /// A switch of fewer ports is a limit that was set by mistake.
  static let descriptorsMin = 256

  private struct Member: Sendable {
    let channel: WorkerChannel
    let thread: WorkerThread
  }

  struct Places {
    var networks: Indices
    var ports: Indices
    /// What to close with each port.
    var descriptors: [PortHandle: [Int32]] = [:]
    /// What to free with each port.
    var limits: [PortHandle: PortRateLimits] = [:]
    var tunnels: [PortHandle: SharedTunnelLink] = [:]
    /// What the kernel grants each carrier.
    var segmentations: [PortHandle: TunnelSegmentation] = [:]
    var serial: UInt32 = 0
    /// Captures that run, and how many there ever were.
    var captures = 0
    var captureSerial = 0
  }

  private let members: [Member]
  private let exchange: LearningExchange
  let places: Mutex<Places>
  private let lostHandler: Notices<PortHandle>
  private let handOver: RouterHandOver
  let wanted: Notices<IPAddress>
  let sessionMemory: SessionMemory?
  /// The routing worker's. The switch frees it when that has ended.
  private nonisolated(unsafe) let router: UnsafeMutablePointer<Router>
  public let options: WorkerOptions
  /// Chooses the source ports of tunnelled flows: the same by all workers.
  let flowHash = KeyedHash(seed: .random(in: .min ... .max))

  /// Each worker is a queue, and so a descriptor, of every port: beyond these, only who asks for more gets them.
  static let defaultWorkersMax = 8

  /// Two where there are as many processors: while one moves bulk, the other answers. From four on, one for every two, so that the
  /// programs that talk have a place to run.
  public static var defaultWorkerCount: Int { min(processorCount, max(2, processorCount / 2), defaultWorkersMax) }

  static var processorCount: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

  /// io_uring takes no larger table than the process may have descriptors.
  private static var descriptorLimit: Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
  }

  /// nil also where another process has the file: this one is about to be refused for it.
  private static func sessionMemory(_ options: WorkerOptions) throws(Errno) -> SessionMemory? {
    guard let path = options.sessionFile else { return nil }
    do throws(Errno) {
      return try SessionMemory(path: path, capacity: options.sessionCapacity)
    } catch let error where error.code == EWOULDBLOCK {
      return nil
    }
  }

  /// Starts the workers.
  /// - Parameter workers: 1 to the number of processors.
  public init(workers: Int = Switch.defaultWorkerCount, _ options: WorkerOptions = WorkerOptions()) throws(Errno) {
    guard (1...Self.processorCount).contains(workers) else {
      throw Errno(EINVAL, "start \(workers) workers where there are \(Self.processorCount) processors")
    }
    let descriptors = Self.descriptorLimit
    guard descriptors >= Self.descriptorsMin else {
      throw Errno(EMFILE, "start the switch with \(descriptors) file descriptors, of \(Self.descriptorsMin) at least")
    }
    var options = options
    // A port has a descriptor for each worker, of which each has two in its table.
    options.portCapacity = min(options.portCapacity, descriptors / min(workers, 2))
    self.options = options
    let lost = try Notices<PortHandle>()
    lostHandler = lost
    let wanted = try Notices<IPAddress>()
    self.wanted = wanted
    let capacity = options.sessionCapacity
    sessionMemory = try Self.sessionMemory(options)
    router = .allocate(capacity: 1)
    router.initialize(
      to: Router(
        portCapacity: options.portCapacity, networkCapacity: options.networkCapacity,
        sessionCapacity: capacity, seed: .random(in: .min ... .max), sessionMemory: sessionMemory?.sessions))
    exchange = LearningExchange(workers: workers)
    places = Mutex(
      Places(networks: Indices(capacity: options.networkCapacity), ports: Indices(capacity: options.portCapacity)))
    var members: [Member] = []
    var channels: [WorkerChannel] = []
    for _ in 0..<workers { channels.append(try WorkerChannel { lost.report($0) }) }
    handOver = RouterHandOver(channels: channels)
    do throws(Errno) {
      let haltPolling = HaltPolling(channels: channels, processors: Self.processorCount)
      let bulkLoads = BulkLoads(workers: workers)
      for (worker, channel) in channels.enumerated() {
        let context = WorkerContext(
          worker: worker, channel: channel, learning: exchange.member(worker), haltPolling: haltPolling,
          bulkLoads: bulkLoads, handOver: handOver,
          routing: worker == RouterHandOver.routingWorker ? RoutingContext(router: router, wanted: wanted) : nil)
        members.append(Member(channel: channel, thread: try WorkerThread(options, context)))
      }
    } catch {
      for member in members {
        member.channel.stop()
        member.thread.join()
      }
      lost.stop()
      wanted.stop()
      throw error
    }
    self.members = members
    options.livenessProbe?.watch(channels)
  }

  /// Ends the workers and closes every port's descriptors; persistent TAPs stay. Nothing may be asked afterwards.
  public func stop() {
    for member in members {
      member.channel.stop()
      member.thread.join()
    }
    lostHandler.stop()
    wanted.stop()
    places.withLock { places in
      for descriptor in places.descriptors.values.joined() { close(descriptor) }
      places.descriptors = [:]
      for limits in places.limits.values { limits.deallocate() }
      places.limits = [:]
      for tunnel in places.tunnels.values { tunnel.pointer.deallocate() }
      places.tunnels = [:]
    }
  }

  deinit {
    router.deinitialize(count: 1)
    router.deallocate()
  }

  public var workerCount: Int { members.count }

  /// Called, on a thread of its own, for each port whose descriptor died: its namespace is gone; and for a packet socket whose
  /// interface is gone or went down. Perhaps more than once for a port. Set once, before ports are.
  public func onPortLost(_ handler: @escaping @Sendable (PortHandle) -> Void) { lostHandler.start(handler) }

  // MARK: Networks

  public func addNetwork(_ options: NetworkOptions) throws(Errno) -> NetworkHandle {
    guard let index = places.withLock({ $0.networks.take() }) else {
      throw Errno(ENOSPC, "add a network: the switch holds \(self.options.networkCapacity)")
    }
    for worker in members.indices {
      // Made here: its memory is not for the worker to allocate.
      let seed = UInt64.random(in: .min ... .max)
      let made = Once(Network(options, portCapacity: self.options.portCapacity, seed: seed))
      ask(worker) { $0.engine.addNetwork(made.take(), at: index) }
    }
    return NetworkHandle(network: index)
  }

  /// The network must have no ports.
  public func removeNetwork(_ network: NetworkHandle) {
    askAll { $0.engine.removeNetwork(network.network) }
    places.withLock { $0.networks.giveBack(network.network) }
  }

  public func changeNetwork(_ network: NetworkHandle, _ options: NetworkOptions) throws(Errno) {
    // The workers have the same static entries, which alone can be too many: all refuse, or none.
    guard askAll({ $0.engine.changeNetwork(network.network, options) }).allSatisfy({ $0 }) else {
      throw Errno(ENOSPC, "change the MAC table's limit to \(options.macLimit): it holds more static entries")
    }
  }

  // MARK: Ports

  /// - Parameter queues: one for each worker, or a single one: descriptors of the queues of a TAP with a virtio-net header
  ///   of `TAPDevice.headerLength` bytes, or of packet sockets (`PacketSocket`), without O_NONBLOCK. The switch owns them from here on, also where this throws.
  public func addPort(
    queues group: consuming FileDescriptorGroup, to network: NetworkHandle, _ options: PortOptions
  ) throws(Errno) -> PortHandle {
    let queues = group.release()
    precondition(queues.count == 1 || queues.count == members.count)
    let isPacketSocket = PacketSocket.isPacketSocket(queues[0])
    let coalesces = self.options.coalescesUDP && TAPDevice.takesSegmentedUDP(queues[0])
    let port = try place(for: queues)
    _ = setLimits(PortRateLimits(options), of: port)
    for worker in members.indices {
      let isReader = queues.count > 1 || worker == Int(port.port) % members.count
      var link = PortLink(descriptor: queues[queues.count > 1 ? worker : 0], isRead: isReader)
      if queues.count > 1 && !isPacketSocket { link.partnerDescriptor = queues[(worker + 1) % queues.count] }
      link.serial = port.serial
      link.coalescesUDP = coalesces
      link.isPacketSocket = isPacketSocket
      link.limits = limits(of: port)
      link.setOffloads(options.offloads, coalescesUDP: self.options.coalescesUDP)
      let opened = link
      if let error = ask(worker, { $0.openPort(port.port, opened, network: network.network, options) }) {
        take(port, from: 0..<worker)
        throw error
      }
    }
    return port
  }

  /// An index of its own for a port; the descriptors are the switch's from here on, also where this throws.
  func place(for descriptors: [Int32]) throws(Errno) -> PortHandle {
    let place: PortHandle? = places.withLock { places in
      guard let index = places.ports.take() else { return nil }
      places.serial &+= 1
      let port = PortHandle(port: index, serial: places.serial)
      places.descriptors[port] = descriptors
      return port
    }
    guard let port = place else {
      for descriptor in descriptors { close(descriptor) }
      throw Errno(ENOSPC, "add a port: the switch holds \(self.options.portCapacity)")
    }
    return port
  }

  public func changePort(_ port: PortHandle, _ options: PortOptions) {
    let limits = PortRateLimits(options)
    let former = setLimits(limits, of: port)
    askAll { $0.changePort(port.port, options, limits: limits) }
    former?.deallocate()
  }

  private func limits(of port: PortHandle) -> PortRateLimits? {
    places.withLock { $0.limits[port] }
  }

  /// Those before, which no worker may know when they are freed.
  private func setLimits(
    _ limits: PortRateLimits?, of port: PortHandle
  ) -> PortRateLimits? {
    places.withLock { places in
      let former = places.limits[port]
      places.limits[port] = limits
      return former
    }
  }

  /// Takes the port's MAC entries along, waits for what the kernel still does with it, and closes its descriptors.
  public func removePort(_ port: PortHandle) { take(port, from: members.indices) }

  func take(_ port: PortHandle, from workers: Range<Int>) {
    for worker in workers {
      members[worker].channel.perform { worker, command in worker.closePort(port.port, finishing: command) }
    }
    let descriptors = places.withLock { places in
      places.ports.giveBack(port.port)
      places.tunnels.removeValue(forKey: port)?.pointer.deallocate()
      places.segmentations[port] = nil
      return places.descriptors.removeValue(forKey: port) ?? []
    }
    for descriptor in descriptors { close(descriptor) }
    setLimits(nil, of: port)?.deallocate()
  }

  /// Sends a frame (Ethernet header first) into the port's network as if it had come from the port.
  /// - Returns: false where the worker had no buffer free for it.
  public func inject(_ frame: [UInt8], from port: PortHandle) -> Bool { ask(0) { $0.inject(frame, from: port.port) } }

  // MARK: Asking workers

  /// Runs `body` on the worker's thread, between two bursts.
  func ask<Answer>(_ worker: Int, _ body: @escaping (inout Worker) -> Answer) -> Answer {
    var answer: Answer?
    members[worker].channel.perform { worker, _ in
      answer = body(&worker)
      return true
    }
    return answer!
  }

  /// Runs `body` on one worker after the other.
  @discardableResult
  func askAll<Answer>(_ body: @escaping (inout Worker) -> Answer) -> [Answer] { members.indices.map { ask($0, body) } }

  /// The counters of each worker. They are read without asking it.
  var counters: [WorkerCounters] { members.map(\.thread.readableCounters) }
}

/// Carries a noncopyable value into a closure that runs once.
final class Once<Value: ~Copyable> {
  private var value: Value?

  init(_ value: consuming Value) { self.value = consume value }

  func take() -> Value { value.take()! }
}
