import Datapath

/// A policy of the tree's own, as a list shows it.
public struct BuiltInPolicy: Sendable {
  public let name: String
  public let summary: String
  private let make: @Sendable (inout PolicyParameters, Int) -> InstalledPolicy?

  init<Policy: LoadablePolicy & SendableMetatype>(_ type: Policy.Type) {
    name = type.name
    summary = type.summary
    make = { parameters, workers in
      guard let policy = Policy(&parameters) else { return nil }
      parameters.finish()
      return InstalledPolicy(policy, workers: workers)
    }
  }

  /// - Parameter workers: how many are to run it.
  public func make(_ parameters: [String: String], workers: Int) throws(PolicyError) -> InstalledPolicy {
    var parameters = PolicyParameters(parameters)
    let made = make(&parameters, workers)
    if let complaint = parameters.complaint { throw PolicyError("policy \(name): \(complaint)") }
    guard let made else { throw PolicyError("policy \(name) refuses its parameters and does not say why") }
    return made
  }
}

public enum PolicyCatalog {
  /// By name.
  public static let builtIn: [BuiltInPolicy] = [
    BuiltInPolicy(ActiveStandbyPolicy.self),
    BuiltInPolicy(FlowHashPolicy.self),
    BuiltInPolicy(HubPolicy.self),
    BuiltInPolicy(IsolatedPolicy.self),
    BuiltInPolicy(LearningPolicy.self),
    BuiltInPolicy(PortGuardPolicy.self),
    BuiltInPolicy(RateLimitPolicy.self),
    BuiltInPolicy(SnoopingPolicy.self),
    BuiltInPolicy(StaticPolicy.self),
    BuiltInPolicy(StormControlPolicy.self),
    BuiltInPolicy(VLANPolicy.self),
  ]

  public static func policy(named name: String) -> BuiltInPolicy? { builtIn.first { $0.name == name } }
}
