import Datapath
import Glibc
import SystemCalls
import Wire

/// One entry of a network's MAC table.
public struct ForwardingEntry: Sendable, Equatable {
  public let mac: MACAddress
  public let port: PortHandle
  public let isStatic: Bool
  public let ageSeconds: Int
}

// The MAC tables. Each worker has one of each network; what is asked for is read from the first worker's, what is changed is
// changed in all.
extension Switch {
  /// Entries copied out of a MAC table between two bursts.
  static let entriesPerVisit = 2048

  /// A copy, taken in steps between bursts: entries that move meanwhile may be missed or come twice.
  public func forwardingEntries(_ network: NetworkHandle) -> [ForwardingEntry] {
    var entries: [ForwardingEntry] = []
    var cursor: Int? = 0
    while let from = cursor {
      let (visited, next) = ask(0) { worker in
        var visited: [ForwardingEntry] = []
        let now = worker.now
        let links = worker.transmitter.links
        let next = worker.engine.withTable(network.network) { table in
          table.entries(from: from, max: Self.entriesPerVisit) { entry in
            let age = entry.isStatic ? 0 : Int(now &- entry.lastSeen)
            let port = PortHandle(port: entry.port, serial: links[Int(entry.port)].serial)
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
    askAll { worker in
      let network = worker.engine.network(of: port.port)
      guard network != Engine.none else { return false }
      return worker.engine.withTable(network) { $0.insertStatic(mac, port: port.port) }
    }.allSatisfy { $0 }
  }

  /// - Returns: false where there was none.
  public func removeForwardingEntry(_ mac: MACAddress, network: NetworkHandle) -> Bool {
    askAll { $0.engine.withTable(network.network) { $0.remove(mac) } }.contains(true)
  }

  /// Forgets what was learned: all, or at one port.
  public func flushForwardingEntries(_ network: NetworkHandle, port: PortHandle?) {
    askAll { $0.engine.withTable(network.network) { $0.flush(port: port?.port) } }
  }

  /// The endpoint's IP addresses, in place of those before; they go with the port. For networks that forward by them.
  public func setAddresses(_ addresses: [IPAddress], of port: PortHandle) throws(Errno) {
    let mapped = addresses.map(\.mapped)
    let isComplete = askAll { worker in
      mapped.withUnsafeBufferPointer { worker.engine.setAddresses($0, of: port.port) }
    }
    guard isComplete.allSatisfy({ $0 }) else {
      throw Errno(EADDRINUSE, "take \(addresses.map(\.description).joined(separator: ", ")) for one port of a network")
    }
  }
}
