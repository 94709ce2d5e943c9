import ControlModel
import ControlPlane
import Datapath
import Policies

extension StandInDataPlane {
  var workerCount: Int { 2 }

  func setPolicy(
    _ policy: InstalledPolicy?, of network: DataPlaneNetwork, ports: [DataPlanePolicyPort]
  ) throws(ControlError) {
    try step("setPolicy") { state throws(ControlError) in
      state.policies[network] = policy.map { .init(name: $0.name, ports: ports) }
    }
  }

  func engineIndex(of port: DataPlanePort) -> UInt16? { UInt16(port.index) }

  func trace(
    _ frame: [UInt8], from port: DataPlanePort, policy: InstalledPolicy?, sends: Bool
  ) throws(ControlError) -> DataPlaneTrace {
    DataPlaneTrace(
      steps: ["in by port {\(port.index)}", "{x}"], explanation: FrameExplanation(outcome: .dropped(.policy)),
      bytes: frame)
  }

  func lastDrops() throws(ControlError) -> [DataPlaneDrop] {
    state.ports.keys.map {
      DataPlaneDrop(port: $0, reason: .runt, length: 3, bytes: [1, 0xAB, 3], ageSeconds: 2)
    }
  }

  func tell(_ policy: InstalledPolicy, ports: [DataPlanePolicyPort]) throws(ControlError) {
    try step("tellPolicy") { state throws(ControlError) in
      for network in state.policies.keys where state.policies[network]?.name == policy.name {
        state.policies[network]?.ports = ports
      }
    }
  }
}
