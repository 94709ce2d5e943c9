import ControlModel
import ControlPlane
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

  func tell(_ policy: InstalledPolicy, ports: [DataPlanePolicyPort]) throws(ControlError) {
    try step("tellPolicy") { state throws(ControlError) in
      for network in state.policies.keys where state.policies[network]?.name == policy.name {
        state.policies[network]?.ports = ports
      }
    }
  }
}
