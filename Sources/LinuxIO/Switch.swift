import Datapath
import Glibc
import Synchronization
import SystemCalls
import Tables
import Wire

/// A network of a switch: the worker that owns it, and its index there.
public struct NetworkHandle: Hashable, Sendable {
  let worker: Int
  let network: UInt16
}

/// A port of a switch: the worker that owns it, and its index there.
public struct PortHandle: Hashable, Sendable {
  let worker: Int
  let port: UInt16
}

/// One entry of a network's MAC table.
public struct ForwardingEntry: Sendable, Equatable {
  public let mac: MACAddress
  public let port: PortHandle
  public let isStatic: Bool
  public let ageSeconds: Int
}

/// The running data plane: workers, each with the networks given to it.
///
/// A network lives whole on one worker, so its MAC table has one owner and no lock. Every method may be called by any thread
/// but a worker's; it returns when the worker has done what was asked, which is between two of its bursts.
public final class Switch: Sendable {
  /// A switch of fewer ports is a limit that was set by mistake.
  static let descriptorsMin = 256
  /// Entries copied out of a MAC table between two bursts.
  static let entriesPerVisit = 2048

  private struct Member: Sendable {
    let channel: WorkerChannel
    let thread: WorkerThread
  }

  private let members: [Member]
  private let networksByWorker: Mutex<[Int]>
  private let lostHandler: LostPorts
  public let options: WorkerOptions

  /// One worker for every two processors, so that the programs that talk have a place to run.
  public static var defaultWorkerCount: Int { max(1, processorCount / 2) }

  private static var processorCount: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

  /// io_uring takes no larger table than the process may have descriptors.
  private static var descriptorLimit: Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
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
    options.portCapacity = min(options.portCapacity, descriptors)
    self.options = options
    let lost = try LostPorts()
    lostHandler = lost
    var members: [Member] = []
    do throws(Errno) {
      for index in 0..<workers {
        let channel = try WorkerChannel { port in lost.report(PortHandle(worker: index, port: port)) }
        let thread = try WorkerThread(name: "worker-\(index)", options, channel: channel)
        members.append(Member(channel: channel, thread: thread))
      }
    } catch {
      for member in members {
        member.channel.stop()
        member.thread.join()
      }
      lost.stop()
      throw error
    }
    self.members = members
    networksByWorker = Mutex(Array(repeating: 0, count: workers))
  }

  /// Ends the workers and closes every port's descriptor; persistent TAPs stay. Nothing may be asked afterwards.
  public func stop() {
    for member in members {
      member.channel.stop()
      member.thread.join()
    }
    lostHandler.stop()
  }

  /// Called, on a thread of its own, for each port whose descriptor died: its namespace is gone. Set once, before ports are.
  public func onPortLost(_ handler: @escaping @Sendable (PortHandle) -> Void) { lostHandler.start(handler) }

  // MARK: Networks

  public func addNetwork(_ options: NetworkOptions) throws(Errno) -> NetworkHandle {
    let worker = networksByWorker.withLock { counts in
      let least = counts.indices.min { counts[$0] < counts[$1] }!
      counts[least] += 1
      return least
    }
    // Made here: its memory is not for the worker to allocate.
    let made = Once(Network(options, portCapacity: self.options.portCapacity, seed: UInt64.random(in: .min ... .max)))
    let index = ask(worker) { $0.engine.addNetwork(made.take()) }
    guard let index else {
      networksByWorker.withLock { $0[worker] -= 1 }
      throw Errno(ENOSPC, "add a network: the switch holds \(self.options.networkCapacity) a worker")
    }
    return NetworkHandle(worker: worker, network: index)
  }

  /// The network must have no ports.
  public func removeNetwork(_ network: NetworkHandle) {
    ask(network.worker) { $0.engine.removeNetwork(network.network) }
    networksByWorker.withLock { $0[network.worker] -= 1 }
  }

  public func changeNetwork(_ network: NetworkHandle, _ options: NetworkOptions) throws(Errno) {
    guard ask(network.worker, { $0.engine.changeNetwork(network.network, options) }) else {
      throw Errno(ENOSPC, "change the MAC table's limit to \(options.macLimit): it holds more static entries")
    }
  }

  // MARK: Ports

  /// - Parameter descriptor: of a TAP with a virtio-net header of `TAPDevice.headerLength` bytes, without O_NONBLOCK. The switch
  ///   owns it from here on, also where this throws.
  public func addPort(descriptor: Int32, to network: NetworkHandle, _ options: PortOptions) throws(Errno) -> PortHandle
  {
    let takesSegmentedUDP = TAPDevice.takesSegmentedUDP(descriptor)
    let result: Result<UInt16, Errno> = ask(network.worker) { worker in
      do throws(Errno) {
        return .success(
          try worker.openPort(
            descriptor, network: network.network, takesSegmentedUDP: takesSegmentedUDP, options))
      } catch {
        return .failure(error)
      }
    }
    switch result {
    case .success(let port): return PortHandle(worker: network.worker, port: port)
    case .failure(let error):
      close(descriptor)
      throw error
    }
  }

  public func changePort(_ port: PortHandle, _ options: PortOptions) {
    ask(port.worker) { $0.engine.changePort(port.port, options) }
  }

  /// Takes the port's MAC entries along, waits for what the kernel still does with it, and closes its descriptor.
  public func removePort(_ port: PortHandle) {
    var descriptor: Int32 = -1
    members[port.worker].channel.perform { worker, command in
      descriptor = worker.transmitter.links[Int(port.port)].descriptor
      return descriptor < 0 || worker.closePort(port.port, finishing: command)
    }
    if descriptor >= 0 { close(descriptor) }
  }

  /// Sends a frame (Ethernet header first) into the port's network as if it had come from the port.
  /// - Returns: false where the worker had no buffer free for it.
  public func inject(_ frame: [UInt8], from port: PortHandle) -> Bool {
    ask(port.worker) { $0.inject(frame, from: port.port) }
  }

  // MARK: MAC tables

  /// A copy, taken in steps between bursts: entries that move meanwhile may be missed or come twice.
  public func forwardingEntries(_ network: NetworkHandle) -> [ForwardingEntry] {
    var entries: [ForwardingEntry] = []
    var cursor: Int? = 0
    while let from = cursor {
      let (visited, next) = ask(network.worker) { worker in
        var visited: [ForwardingEntry] = []
        let now = worker.now
        let next = worker.engine.withTable(network.network) { table in
          table.entries(from: from, max: Self.entriesPerVisit) { entry in
            let age = entry.isStatic ? 0 : Int(now &- entry.lastSeen)
            let port = PortHandle(worker: network.worker, port: entry.port)
            visited.append(ForwardingEntry(mac: entry.mac, port: port, isStatic: entry.isStatic, ageSeconds: age))
          }
        }
        return (visited, next)
      }
      entries += visited
      cursor = next
    }
    return entries
  }

  /// - Returns: false where static entries fill the table.
  public func addForwardingEntry(_ mac: MACAddress, port: PortHandle) -> Bool {
    ask(port.worker) { worker in
      let network = worker.engine.network(of: port.port)
      guard network != Engine.none else { return false }
      return worker.engine.withTable(network) { $0.insertStatic(mac, port: port.port) }
    }
  }

  /// - Returns: false where there was none.
  public func removeForwardingEntry(_ mac: MACAddress, network: NetworkHandle) -> Bool {
    ask(network.worker) { $0.engine.withTable(network.network) { $0.remove(mac) } }
  }

  /// Forgets what was learned: all, or at one port.
  public func flushForwardingEntries(_ network: NetworkHandle, port: PortHandle?) {
    ask(network.worker) { $0.engine.withTable(network.network) { $0.flush(port: port?.port) } }
  }

  public func forwardingEntryCount(_ network: NetworkHandle) -> Int {
    ask(network.worker) { $0.engine.withTable(network.network) { $0.count } }
  }

  // MARK: Counters. They are read without asking the worker.

  public subscript(port: PortHandle, counter: PortCounter) -> UInt64 {
    members[port.worker].thread.readableCounters.ports[Int(port.port) * PortCounter.count + counter.rawValue]
  }

  public func drops(_ port: PortHandle, _ reason: DropReason) -> UInt64 {
    let index = Int(port.port) * PortCounter.count + PortCounter.drops.rawValue + Int(reason.rawValue)
    return members[port.worker].thread.readableCounters.ports[index]
  }

  public func floodedCopies(_ network: NetworkHandle) -> UInt64 {
    let index = Int(network.network) * NetworkCounter.count + NetworkCounter.floodedCopies.rawValue
    return members[network.worker].thread.readableCounters.networks[index]
  }

  /// What ports of the network that have gone had counted.
  public func gone(_ network: NetworkHandle, _ counter: PortCounter, _ reason: DropReason? = nil) -> UInt64 {
    let offset = NetworkCounter.gone.rawValue + counter.rawValue + Int(reason?.rawValue ?? 0)
    return members[network.worker].thread.readableCounters.networks[
      Int(network.network) * NetworkCounter.count + offset]
  }

  /// Runs `body` on the worker's thread, between two bursts.
  func ask<Answer>(_ worker: Int, _ body: @escaping (inout Worker) -> Answer) -> Answer {
    var answer: Answer?
    members[worker].channel.perform { worker, _ in
      answer = body(&worker)
      return true
    }
    return answer!
  }
}

/// The counters of one worker.
struct WorkerCounters: Sendable {
  let ports: CounterHandle
  let networks: CounterHandle
}

/// Carries a noncopyable value into a closure that runs once.
final class Once<Value: ~Copyable> {
  private var value: Value?

  init(_ value: consuming Value) { self.value = consume value }

  func take() -> Value { value.take()! }
}
