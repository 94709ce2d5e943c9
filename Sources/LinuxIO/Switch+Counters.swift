import Datapath
import Tables

// The counters: of all workers together, read without asking them.
extension Switch {
  public subscript(port: PortHandle, counter: PortCounter) -> UInt64 {
    sum(\.ports, Int(port.port) * PortCounter.count + counter.rawValue)
  }

  public func drops(_ port: PortHandle, _ reason: DropReason) -> UInt64 {
    sum(\.ports, Int(port.port) * PortCounter.count + PortCounter.drops.rawValue + Int(reason.rawValue))
  }

  public subscript(network: NetworkHandle, counter: NetworkCounter) -> UInt64 {
    sum(\.networks, Int(network.network) * NetworkCounter.count + counter.rawValue)
  }

  /// What ports of the network that have gone had counted.
  public func gone(_ network: NetworkHandle, _ counter: PortCounter, _ reason: DropReason? = nil) -> UInt64 {
    let offset = NetworkCounter.gone.rawValue + counter.rawValue + Int(reason?.rawValue ?? 0)
    return sum(\.networks, Int(network.network) * NetworkCounter.count + offset)
  }

  /// All counters of a port, by `PortCounter`.
  public func counters(of port: PortHandle) -> [UInt64] { sums(\.ports, Int(port.port), PortCounter.count) }

  /// All counters of a network, by `NetworkCounter`.
  public func counters(of network: NetworkHandle) -> [UInt64] {
    sums(\.networks, Int(network.network), NetworkCounter.count)
  }

  private func sums(_ block: KeyPath<WorkerCounters, CounterHandle>, _ place: Int, _ count: Int) -> [UInt64] {
    let handles = counters.map { $0[keyPath: block] }
    return (place * count..<(place + 1) * count).map { index in handles.reduce(0) { $0 &+ $1[index] } }
  }

  private func sum(_ block: KeyPath<WorkerCounters, CounterHandle>, _ index: Int) -> UInt64 {
    counters.reduce(0) { $0 &+ $1[keyPath: block][index] }
  }
}

/// How full the switch's tables are.
public struct TableOccupancy: Equatable, Sendable {
  /// Of each network that was asked for, in that order: entries of its MAC table.
  public var forwardingEntries: [Int]
  public var sessions: SessionCounts
  public var sessionCapacity: Int
  /// Sessions that went before their time, to make room.
  public var sessionEvictions: UInt64
}

extension Switch {
  /// Asks one worker, once.
  public func occupancy(of networks: [NetworkHandle]) -> TableOccupancy {
    ask(RouterHandOver.routingWorker) { worker in
      let entries = networks.map { network in worker.engine.withTable(network.network) { $0.count } }
      let router = worker.routing!.router
      return TableOccupancy(
        forwardingEntries: entries, sessions: router.pointee.sessionCounts,
        sessionCapacity: router.pointee.sessionCapacity, sessionEvictions: router.pointee.sessionEvictions)
    }
  }
}
