import ControlModel
import Datapath
import Policies
import Wire

/// A port as a policy is told of it.
public struct DataPlanePolicyPort: Sendable, Equatable {
  public var port: DataPlanePort
  public var kind: PolicyPort.Kind
  public var names: [String]
  public var mac: MACAddress
  public var addresses: [IPAddress]
  public init(
    port: DataPlanePort, kind: PolicyPort.Kind, names: [String], mac: MACAddress = .zero, addresses: [IPAddress] = []
  ) {
    (self.port, self.kind, self.names, self.mac, self.addresses) = (port, kind, names, mac, addresses)
  }
}

/// What the control plane tells the data plane of policies.
public protocol PolicyPlane: Sendable {
  /// How many copies of a policy run.
  var workerCount: Int { get }
  /// Takes the place of the one before, between two bursts of each worker; nil: the learning switch does. The policy must live until
  /// another has taken its place.
  func setPolicy(
    _ policy: InstalledPolicy?, of network: DataPlaneNetwork, ports: [DataPlanePolicyPort]
  ) throws(ControlError)
  /// Tells the network's policy which ports there are now.
  func tell(_ policy: InstalledPolicy, ports: [DataPlanePolicyPort]) throws(ControlError)
}

extension SwitchDataPlane {
  public var workerCount: Int { fabric.workerCount }

  public func setPolicy(
    _ policy: InstalledPolicy?, of network: DataPlaneNetwork, ports: [DataPlanePolicyPort]
  ) throws(ControlError) {
    let handle = try handle(network)
    guard let policy else { return fabric.setPolicy(nil, of: handle) }
    let ports = policyPorts(ports)
    fabric.setPolicy(policy.runners.map(\.program), of: handle) { policy.runners[$0].portsChanged(ports) }
  }

  public func tell(_ policy: InstalledPolicy, ports: [DataPlanePolicyPort]) throws(ControlError) {
    let ports = policyPorts(ports)
    fabric.onEachWorker { policy.runners[$0].portsChanged(ports) }
  }

  /// Those that are there still.
  private func policyPorts(_ ports: [DataPlanePolicyPort]) -> [PolicyPort] {
    state.withLock { state in
      ports.compactMap { port in
        guard let handle = state.ports[port.port]?.handle else { return nil }
        return PolicyPort(
          index: handle.index, kind: port.kind, names: port.names, mac: port.mac, addresses: port.addresses)
      }
    }
  }
}
