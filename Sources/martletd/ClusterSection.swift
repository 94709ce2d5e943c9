import Cluster
import ControlModel
import Etcd
import FoundationEssentials
import Glibc
import Logging
import Wire
import Yams

/// The section `cluster` of the configuration: which cluster this host is in, and how it is known there.
struct ClusterSection: Equatable {
  private(set) var endpoints: [String] = []
  private(set) var prefix: String?
  private(set) var hostName: String?
  private(set) var vteps: [IPAddress] = []
  private(set) var certificateAuthority: String?
  private(set) var certificate: String?
  private(set) var key: String?
  private(set) var serverName: String?
  private(set) var user: String?
  private(set) var passwordFile: String?
  private(set) var leaseSeconds = ClusterLimits.leaseSeconds

  static let keys = [
    "endpoints", "prefix", "host-name", "vtep", "ca-file", "cert-file", "key-file", "server-name", "user",
    "password-file", "lease-seconds",
  ]

  /// - Parameter name: of the file, for a refusal.
  init(_ mapping: Node.Mapping, name: String) throws(ControlError) {
    for (key, value) in mapping {
      let origin = "\(name):\(key.mark?.line ?? 0)"
      guard case .scalar(let keyText) = key else {
        throw ControlError(.invalid, "\(origin): a plain `key: value` line is needed")
      }
      try set(keyText.string, to: try Self.texts(value, origin), from: "\(origin): cluster: \(keyText.string)")
    }
    guard !endpoints.isEmpty else {
      throw ControlError(.invalid, "\(name): cluster: endpoints says where etcd is: it is missing")
    }
    if (certificate == nil) != (key == nil) {
      throw ControlError(.invalid, "\(name): cluster: cert-file and key-file belong together: one is missing")
    }
    if (user == nil) != (passwordFile == nil) {
      throw ControlError(.invalid, "\(name): cluster: user and password-file belong together: one is missing")
    }
  }

  /// A plain value, or a list of them.
  private static func texts(_ node: Node, _ origin: String) throws(ControlError) -> [String] {
    switch node {
    case .scalar(let scalar): return [scalar.string]
    case .sequence(let sequence):
      var texts: [String] = []
      for element in sequence {
        guard case .scalar(let scalar) = element else {
          throw ControlError(.invalid, "\(origin): a list of plain values is needed")
        }
        texts.append(scalar.string)
      }
      return texts
    default: throw ControlError(.invalid, "\(origin): a plain value, or a list of them, is needed")
    }
  }

  private mutating func set(_ key: String, to values: [String], from origin: String) throws(ControlError) {
    if key == "endpoints" {
      endpoints = values
      return
    }
    if key == "vtep" {
      vteps = try Self.vteps(values, origin)
      return
    }
    guard values.count == 1, let value = values.first, !value.isEmpty else {
      throw ControlError(.invalid, "\(origin): one value is needed")
    }
    switch key {
    case "prefix": prefix = value
    case "host-name": hostName = value
    case "ca-file": certificateAuthority = try Configuration.path(value, origin)
    case "cert-file": certificate = try Configuration.path(value, origin)
    case "key-file": self.key = try Configuration.path(value, origin)
    case "server-name": serverName = value
    case "user": user = value
    case "password-file": passwordFile = try Configuration.path(value, origin)
    case "lease-seconds":
      leaseSeconds = try Configuration.number(value, in: ClusterLimits.leaseSecondsRange, origin)
    default:
      throw ControlError(.invalid, "\(origin): no such key: there are \(Self.keys.joined(separator: ", "))")
    }
  }

  private static func vteps(_ values: [String], _ origin: String) throws(ControlError) -> [IPAddress] {
    var vteps: [IPAddress] = []
    for value in values {
      guard let address = IPAddress(value) else {
        throw ControlError(.invalid, "\(origin): \(value) is no IP address")
      }
      guard !vteps.contains(where: { $0.isIPv6 == address.isIPv6 }) else {
        throw ControlError(.invalid, "\(origin): one address a family at most")
      }
      vteps.append(address)
    }
    return vteps.sorted { !$0.isIPv6 && $1.isIPv6 }
  }

  // MARK: Use

  /// - Parameters:
  ///   - identity: of this installation.
  ///   - stateDirectory: where what is known is kept.
  func cluster(identity: String, stateDirectory: String, logger: Logger) throws(ControlError) -> Cluster {
    var etcd = EtcdConfiguration(endpoints: endpoints)
    (etcd.certificateAuthority, etcd.certificate, etcd.key) = (certificateAuthority, certificate, key)
    (etcd.serverName, etcd.user) = (serverName, user)
    if let passwordFile { etcd.password = try Self.password(passwordFile) }
    let host = ClusterHost(name: try name(), vteps: vteps, identity: identity)
    var configuration = ClusterConfiguration(etcd: etcd, host: host)
    if let prefix { configuration.prefix = prefix }
    configuration.leaseSeconds = leaseSeconds
    configuration.knowledgePath = stateDirectory + "/cluster.json"
    return try Cluster(configuration, logger: logger)
  }

  /// The first line.
  private static func password(_ path: String) throws(ControlError) -> String {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ControlError(.system, "configuration: cluster: password-file \(path) cannot be read")
    }
    return String(text.prefix { !$0.isNewline })
  }

  private func name() throws(ControlError) -> String {
    if let hostName { return hostName }
    var name = utsname()
    guard uname(&name) == 0 else { throw ControlError(.system, "the machine's name is not known: set host-name") }
    return withUnsafeBytes(of: &name.nodename) { bytes in String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

/// As the file would say it.
extension ClusterSection: CustomStringConvertible {
  var description: String {
    func list(_ values: [String]) -> String { values.map { "\n    - \"\($0)\"" }.joined() }
    var lines = ["cluster:", "  endpoints:" + list(endpoints)]
    if !vteps.isEmpty { lines.append("  vtep:" + list(vteps.map(\.description))) }
    let texts = [
      ("prefix", prefix), ("host-name", hostName), ("ca-file", certificateAuthority), ("cert-file", certificate),
      ("key-file", key), ("server-name", serverName), ("user", user), ("password-file", passwordFile),
    ]
    for (key, value) in texts { if let value { lines.append("  \(key): \"\(value)\"") } }
    lines.append("  lease-seconds: \(leaseSeconds)")
    return lines.joined(separator: "\n")
  }
}
