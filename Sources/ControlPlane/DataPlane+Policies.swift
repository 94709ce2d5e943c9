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

/// What became of a frame that was asked about.
public struct DataPlaneTrace: Sendable {
  /// `{N}` is the port that engines know by N.
  public var steps: [String]
  public var explanation: FrameExplanation
  /// As the network's policy leaves it.
  public var bytes: [UInt8]
  public init(steps: [String], explanation: FrameExplanation, bytes: [UInt8]) {
    (self.steps, self.explanation, self.bytes) = (steps, explanation, bytes)
  }
}

/// A frame that went nowhere.
public struct DataPlaneDrop: Sendable {
  public var port: DataPlanePort
  public var reason: DropReason
  public var length: Int
  public var bytes: [UInt8]
  public var ageSeconds: Double
  public init(port: DataPlanePort, reason: DropReason, length: Int, bytes: [UInt8], ageSeconds: Double) {
    (self.port, self.reason, self.length, self.bytes) = (port, reason, length, bytes)
    self.ageSeconds = ageSeconds
  }
}

/// What the control plane tells and asks the data plane of policies, and of what they decide.
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

  /// By which engines and policies name the port; nil: it is gone.
  func engineIndex(of port: DataPlanePort) -> UInt16?
  /// What would become of a frame, from its Ethernet header on, that comes in by the port.
  /// - Parameter sends: it goes its way afterwards.
  func trace(
    _ frame: [UInt8], from port: DataPlanePort, policy: InstalledPolicy?, sends: Bool
  ) throws(ControlError) -> DataPlaneTrace
  /// The last frames that went nowhere, the oldest first.
  func lastDrops() throws(ControlError) -> [DataPlaneDrop]
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

  public func engineIndex(of port: DataPlanePort) -> UInt16? { state.withLock { $0.ports[port]?.handle.index } }

  public func trace(
    _ frame: [UInt8], from port: DataPlanePort, policy: InstalledPolicy?, sends: Bool
  ) throws(ControlError) -> DataPlaneTrace {
    let handle = try handle(port)
    var program: (@Sendable () -> PolicyProgram)?
    if let policy {
      let copy = DryRun(policy)
      program = { copy.program() }
    }
    let traced = fabric.trace(frame, from: handle, program: program, sends: sends)
    guard let traced else { throw ControlError(.exhausted, "the switch has no buffer free for the frame: try again") }
    return DataPlaneTrace(steps: traced.steps, explanation: traced.explanation, bytes: traced.bytes)
  }

  public func lastDrops() throws(ControlError) -> [DataPlaneDrop] {
    let drops = fabric.lastDrops()
    return state.withLock { state in
      var known: [DataPlaneDrop] = []
      for (drop, handle, age) in drops {
        guard let port = state.portsByHandle[handle] else { continue }
        known.append(
          DataPlaneDrop(
            port: port, reason: drop.reason, length: drop.length, bytes: drop.bytes, ageSeconds: Double(age) / 1e9))
      }
      return known
    }
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

/// A copy of a policy that is made on the worker whose state it copies, and kept until it was asked.
private final class DryRun: @unchecked Sendable {
  private let policy: InstalledPolicy
  private var copy: PolicyRunner?

  init(_ policy: InstalledPolicy) { self.policy = policy }

  /// Thread: the worker that traces, which is the first.
  func program() -> PolicyProgram {
    let copy = policy.runners[0].copy()
    self.copy = copy
    return copy.program
  }
}
