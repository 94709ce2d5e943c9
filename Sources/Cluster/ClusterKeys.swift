import ControlModel

/// Where in etcd things are. What every host mirrors is below `state`, what is only asked for below `claims`.
struct ClusterKeys: Sendable {
  let prefix: String

  init(prefix: String) throws(ControlError) {
    guard prefix.hasPrefix("/"), !prefix.hasSuffix("/"), !prefix.contains("//") else {
      throw ControlError(.invalid, "the cluster's prefix \"\(prefix)\" must begin with / and not end with it")
    }
    self.prefix = prefix
  }

  enum Kind: String { case networks, hosts, endpoints, services }

  var state: String { "\(prefix)/state/" }
  var networks: String { "\(state)networks/" }
  func network(_ id: String) -> String { networks + id }
  func host(_ name: String) -> String { "\(state)hosts/\(name)" }
  func endpoints(of network: String) -> String { "\(state)endpoints/\(network)/" }
  func endpoint(_ id: String, of network: String) -> String { endpoints(of: network) + id }

  func services(of network: String) -> String { "\(state)services/\(network)/" }
  func service(_ name: String, of network: String) -> String { services(of: network) + name }

  private var claims: String { "\(prefix)/claims/" }
  func networkName(_ name: String) -> String { "\(claims)names/\(name)" }
  func serviceName(_ name: String) -> String { "\(claims)services/\(name)" }
  /// - Parameter port: with its protocol, as `tcp/8080`.
  func port(_ port: String) -> String { "\(claims)ports/\(port)" }
  func vni(_ number: UInt32) -> String { "\(claims)vnis/\(number)" }
  var allAddresses: String { "\(claims)addresses/" }
  func addresses(of network: String) -> String { "\(allAddresses)\(network)/" }
  func address(_ address: String, of network: String) -> String { addresses(of: network) + address }

  /// What a key below `state` is of: its kind, and the ids. nil: not one of ours.
  func parse(_ key: String) -> (kind: Kind, ids: [String])? {
    guard key.hasPrefix(state) else { return nil }
    let parts = key.dropFirst(state.count).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard let kind = parts.first.flatMap(Kind.init), parts.count == (kind == .endpoints || kind == .services ? 3 : 2),
      parts.dropFirst().allSatisfy(Self.isPart)
    else { return nil }
    return (kind, Array(parts.dropFirst()))
  }

  private static func isPart(_ text: String) -> Bool {
    (1...ClusterLimits.keyPartLength).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
      && !text.contains("/")
  }

  /// Refuses what cannot be part of a key.
  static func check(_ text: String, _ what: String) throws(ControlError) {
    guard isPart(text) else {
      throw ControlError(
        .invalid,
        "\(what) \"\(text)\": allowed are 1 to \(ClusterLimits.keyPartLength) bytes without / and control characters")
    }
  }
}
