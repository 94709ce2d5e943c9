import ControlModel

/// What there is, without what is counted: names, addresses, states.
struct Topology {
  /// Which ports are there, as what is counted tells.
  struct PortKey: Hashable {
    var network: String
    var kind: String
    var name: String
  }

  var networks: [Network]
  /// nil: none is set.
  var uplink: Uplink?
  /// Of networks that have one, by the network's name.
  var policies: [String: Policy]
  /// Of the measurements that it was made for.
  private var ports: Set<PortKey>
  private var switched: Set<String>

  init(of service: any ControlService, _ measured: Measurements) throws(ControlError) {
    do {
      uplink = try service.uplink()
    } catch let error where error.code == .notFound {
      uplink = nil
    }
    networks = try service.networks()
    policies = Dictionary(try service.policies().loaded.map { ($0.network, $0) }, uniquingKeysWith: { $1 })
    (ports, switched) = (Self.ports(of: measured), Set(measured.networks.map(\.name)))
  }

  /// Frames pass there, and it has a MAC table.
  func hasSwitch(_ network: Network) -> Bool { switched.contains(network.name) }

  /// Whether the same networks and ports are there still.
  func fits(_ measured: Measurements) -> Bool {
    ports == Self.ports(of: measured) && switched == Set(measured.networks.map(\.name))
      && uplink?.interface == measured.uplink?.interface
  }

  private static func ports(of measured: Measurements) -> Set<PortKey> {
    var ports: Set<PortKey> = []
    for network in measured.networks {
      for port in network.ports { ports.insert(PortKey(network: network.name, kind: port.kind, name: port.name)) }
    }
    return ports
  }
}
