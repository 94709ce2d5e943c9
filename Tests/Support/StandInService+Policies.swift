import ControlModel

extension StandInService {
  package func loadPolicy(network: String, _ request: PolicyRequest) throws(ControlError) -> Policy {
    try note(.loadPolicy(network, request))
    return Sample.policy
  }
  package func policy(network: String) throws(ControlError) -> Policy {
    try note(.policy(network))
    return Sample.policy
  }
  package func policies() throws(ControlError) -> PolicyList {
    try note(.policies)
    return PolicyList(
      loaded: [Sample.policy, Sample.unloadedPolicy],
      builtIn: [BuiltInPolicyDescription(name: "learning", summary: "learn where addresses are")])
  }
  package func unloadPolicy(network: String) throws(ControlError) { try note(.unloadPolicy(network)) }
}

extension Sample {
  package static let policy = Policy(
    network: "lab", name: "storm-control", kind: .builtIn, parameters: ["broadcast": "100"], state: "active",
    loaded: "2026-11-24T10:00:00Z", counters: [PolicyCounter(name: "storms", value: 3)])
  package static let unloadedPolicy = Policy(
    network: "other", name: "Mine", kind: .library, state: "unloaded", detail: "it trapped (Illegal instruction)",
    path: "/srv/libMine.so", loaded: "2026-11-24T10:00:01Z")
}
