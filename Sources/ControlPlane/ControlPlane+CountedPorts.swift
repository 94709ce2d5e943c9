import ControlModel
import Datapath
import Wire

/// A port with what it has counted, for whoever knows ports by number.
public struct CountedPort: Sendable, Equatable {
  public let port: DataPlanePort
  /// `NETWORK/SANDBOX/INTERFACE` of an endpoint, `NETWORK/NAME` of another port, `uplink/INTERFACE`, `carrier/ADDRESS:PORT`.
  public let name: String
  public let counters: Counters

  /// Frames that were dropped where they came in, and where they were to go out.
  public var discards: (incoming: UInt64, outgoing: UInt64) {
    var sums: (incoming: UInt64, outgoing: UInt64) = (0, 0)
    for (reason, count) in counters.drops {
      if Self.outgoingReasons.contains(reason) { sums.outgoing &+= count } else { sums.incoming &+= count }
    }
    return sums
  }

  /// `DropReason`'s second group.
  private static let outgoingReasons = Set(
    DropReason.allCases.drop(while: { $0 != .outputRateExceeded }).map(\.name))
}

extension ControlPlane {
  /// All ports that the data plane has, at one time: of networks, the uplink, and carriers.
  public func countedPorts() throws(ControlError) -> [CountedPort] {
    try locked { controller throws(ControlError) in try controller.countedPorts() }
  }
}

extension Controller {
  fileprivate func countedPorts() throws(ControlError) -> [CountedPort] {
    let counted = dataPlane.measure()
    let (endpoints, interfaces) = (try store.measuredEndpoints(), try store.measuredInterfacePorts())
    var ports: [CountedPort] = []
    for network in try store.networks() {
      for (port, statistics) in self.ports(
        of: network, endpoints[network.id] ?? [], interfaces[network.id] ?? [], counted)
      {
        let place = statistics.sandbox.map { "\($0)/\(statistics.interface)" } ?? statistics.name
        ports.append(CountedPort(port: port, name: "\(network.name)/\(place)", counters: statistics.counters))
      }
    }
    func add(_ port: DataPlanePort?, _ name: String) {
      guard let port, let counters = counted.ports[port] else { return }
      ports.append(CountedPort(port: port, name: name, counters: counters))
    }
    if let record = uplinkRecord { add(uplink?.port, "uplink/\(record.interface)") }
    for (vtep, carrier) in carriers { add(carrier.port, "carrier/\(vtep.address):\(vtep.port)") }
    return ports
  }
}
