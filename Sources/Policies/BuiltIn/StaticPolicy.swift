import Datapath
import Tables
import Wire

/// Nothing is learned: where an address is, somebody has said.
public struct StaticPolicy: LoadablePolicy {
  public static let name = "static"
  public static let summary = "forward to addresses that were given (mac.ADDRESS=NAME, static MAC entries), drop others"

  private struct Place {
    let mac: MACAddress
    let port: UInt16
  }

  private let names: [(mac: MACAddress, name: String)]
  private let floodsGroups: Bool
  /// Of ports that are there, by address.
  private var places: [Place] = []

  public init?(_ parameters: inout PolicyParameters) {
    floodsGroups = parameters.choice("groups", of: ["flood", "drop"]) == "flood"
    var names: [(mac: MACAddress, name: String)] = []
    for (key, name) in parameters.all(prefix: "mac.") {
      guard let mac = MACAddress(key), mac.isValidSource else {
        parameters.refuse("mac.\(key)=\(name): give the MAC address of one station, as mac.02:00:00:00:00:01=\(name)")
        return nil
      }
      guard !names.contains(where: { $0.mac == mac }) else {
        parameters.refuse("mac.\(key)=\(name): the address is given twice")
        return nil
      }
      names.append((mac, name))
    }
    self.names = names
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    places = names.compactMap { entry in
      ports.first { $0.isCalled(entry.name) }.map { Place(mac: entry.mac, port: $0.index) }
    }
    places.sort { $0.mac.bits < $1.mac.bits }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if frame.destination.isGroup {
      view.explain("\(frame.destination) is a group: groups=\(floodsGroups ? "flood" : "drop")")
      return floodsGroups ? .flood : .drop(.policy)
    }
    var port = place(of: frame.destination)
    if port == MACTable.noPort { port = view.lookupStatic(frame.destination) }
    if port == MACTable.noPort {
      view.explain("nobody has said where \(frame.destination) is")
      return .drop(.policy)
    }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }

  /// The port of an address among the parameters', or `MACTable.noPort`.
  private func place(of mac: MACAddress) -> UInt16 {
    var (low, high) = (0, places.count)
    while low < high {
      let middle = (low &+ high) / 2
      if places[middle].mac.bits < mac.bits { low = middle &+ 1 } else { high = middle }
    }
    return low < places.count && places[low].mac == mac ? places[low].port : MACTable.noPort
  }
}
