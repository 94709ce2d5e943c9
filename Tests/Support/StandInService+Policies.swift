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
  package func trace(network: String, _ request: TraceRequest) throws(ControlError) -> Trace {
    try note(.trace(network, request))
    return Sample.trace
  }
  package func drops(network: String) throws(ControlError) -> [DroppedFrame] {
    try note(.drops(network))
    return [Sample.droppedFrame]
  }
  package func unloadPolicy(network: String) throws(ControlError) { try note(.unloadPolicy(network)) }
}

extension Sample {
  package static let trace = Trace(
    network: "lab", port: "a", steps: ["in by port a: 60 bytes", "flooded to all other ports"], outcome: "sent",
    copies: [TracedCopy(port: "b"), TracedCopy(port: "gateway", tag: "removed", mirror: true)])
  package static let droppedFrame = DroppedFrame(
    port: "a", reason: "invalid_source", length: 60, frame: "02000000000203000000000108004500", ageSeconds: 1.5)
  package static let policy = Policy(
    network: "lab", name: "storm-control", kind: .builtIn, parameters: ["broadcast": "100"], state: "active",
    loaded: "2026-11-24T10:00:00Z", counters: [PolicyCounter(name: "storms", value: 3)])
  package static let unloadedPolicy = Policy(
    network: "other", name: "Mine", kind: .library, state: "unloaded", detail: "it trapped (Illegal instruction)",
    path: "/srv/libMine.so", loaded: "2026-11-24T10:00:01Z")
}
