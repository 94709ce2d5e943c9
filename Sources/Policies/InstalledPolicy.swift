import Datapath
import PolicyText
import Tables

/// A policy made for a network: a runner for each worker, which share what the policy shares.
public struct InstalledPolicy: Sendable {
  /// A built-in's name, or that of a file without its folder.
  public let name: String
  public let counterNames: [String]
  public let runners: [PolicyRunner]

  public init(name: String, counterNames: [String], runners: [PolicyRunner]) {
    (self.name, self.counterNames, self.runners) = (name, counterNames, runners)
  }

  /// A copy of the policy's value for each worker.
  public init<Policy: LoadablePolicy>(_ policy: Policy, name: String = Policy.name, workers: Int) {
    self.init(
      name: name, counterNames: policy.counterNames, runners: (0..<workers).map { _ in BoxedPolicy(policy) })
  }

  /// What the policy has counted, of all workers. Any thread.
  public func counters() -> [(name: String, value: UInt64)] {
    counterNames.indices.map { index in
      (counterNames[index], runners.reduce(0) { $0 &+ ($1.counters?[index] ?? 0) })
    }
  }

  /// As `counters`, but without the hits of rules, each name once (counters of one name are one), and the first `max` of them.
  public func ownCounters(max: Int) -> [(name: String, value: UInt64)] {
    var own: [(name: String, value: UInt64)] = []
    var places: [String: Int] = [:]
    for (index, name) in counterNames.enumerated() where !name.hasPrefix(CompiledPolicy.hitsPrefix) {
      let value = runners.reduce(0) { $0 &+ ($1.counters?[index] ?? 0) }
      if let place = places[name] {
        own[place].value &+= value
      } else if own.count < max {
        places[name] = own.count
        own.append((name, value))
      }
    }
    return own
  }
}

/// Why a policy cannot be had: a sentence that says what to do.
public struct PolicyError: Error, CustomStringConvertible, Equatable {
  public let description: String

  public init(_ description: String) { self.description = description }
}
