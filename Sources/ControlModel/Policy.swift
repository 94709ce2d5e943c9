/// Where a policy comes from.
public enum PolicyKind: String, Codable, Sendable, Equatable {
  /// One of the daemon's own, by its name.
  case builtIn = "built-in"
  /// Rules as text.
  case text
  /// A dynamic library.
  case library
}

/// What `policy load` asks for: `PUT /v1/networks/{network}/policy`. Takes the place of the policy before, between two bursts.
public struct PolicyRequest: Codable, Sendable, Equatable {
  public var kind: PolicyKind
  /// Of a built-in; of a text, what it is called in lists.
  public var name: String?
  /// The rules.
  public var text: String?
  /// Of the library, as the daemon sees it.
  public var path: String?
  /// What the policy is told when it is made.
  public var parameters: [String: String]?

  public init(
    kind: PolicyKind, name: String? = nil, text: String? = nil, path: String? = nil,
    parameters: [String: String]? = nil
  ) {
    (self.kind, self.name, self.text, self.path, self.parameters) = (kind, name, text, path, parameters)
  }
}

/// A counter of a policy's own.
public struct PolicyCounter: Codable, Sendable, Equatable {
  public var name: String
  public var value: UInt64

  public init(name: String, value: UInt64) { (self.name, self.value) = (name, value) }
}

/// A network's policy as it is now.
public struct Policy: Codable, Sendable, Equatable {
  public var network: String
  public var name: String
  public var kind: PolicyKind
  public var parameters: [String: String]
  /// `active`, or `unloaded`: the network is a learning switch until a policy is loaded again.
  public var state: String
  /// Why it is not active.
  public var detail: String?
  /// Of a text: its rules.
  public var text: String?
  /// Where a library came from. The daemon keeps a copy.
  public var path: String?
  /// RFC 3339, UTC.
  public var loaded: String
  public var counters: [PolicyCounter]

  public init(
    network: String, name: String, kind: PolicyKind, parameters: [String: String] = [:], state: String,
    detail: String? = nil, text: String? = nil, path: String? = nil, loaded: String, counters: [PolicyCounter] = []
  ) {
    (self.network, self.name, self.kind, self.parameters) = (network, name, kind, parameters)
    (self.state, self.detail, self.text, self.path) = (state, detail, text, path)
    (self.loaded, self.counters) = (loaded, counters)
  }
}

/// A policy that the daemon brings along.
public struct BuiltInPolicyDescription: Codable, Sendable, Equatable {
  public var name: String
  public var summary: String

  public init(name: String, summary: String) { (self.name, self.summary) = (name, summary) }
}

/// All policies: those that networks have, and those that could be loaded by name.
public struct PolicyList: Codable, Sendable, Equatable {
  public var loaded: [Policy]
  public var builtIn: [BuiltInPolicyDescription]

  public init(loaded: [Policy], builtIn: [BuiltInPolicyDescription]) { (self.loaded, self.builtIn) = (loaded, builtIn) }

  enum CodingKeys: String, CodingKey {
    case loaded
    case builtIn = "built_in"
  }
}
