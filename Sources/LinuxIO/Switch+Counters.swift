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

  private func sum(_ block: KeyPath<WorkerCounters, CounterHandle>, _ index: Int) -> UInt64 {
    counters.reduce(0) { $0 &+ $1[keyPath: block][index] }
  }
}
