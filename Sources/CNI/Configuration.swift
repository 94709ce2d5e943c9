import ControlModel

/// The network configuration as it comes to a plugin: of what it holds, that which every command needs (CNI 1.1.0, section 1).
public struct Configuration: Sendable {
  /// Of what comes by standard input.
  public static let bytesMax = 1 << 20

  public let version: SpecVersion
  /// Of the configuration, by which a runtime knows the network.
  public let name: String
  /// Of Martlet's network.
  public let network: String
  /// The daemon's; nil: the usual one.
  public let socket: String?
  /// The plugin that manages addresses; nil: Martlet does.
  public let addressManager: String?
  public let object: JSONObject

  /// What `ipam.type` is where Martlet manages addresses; as good as none.
  static let ownAddressManager = "martlet"

  public init(_ bytes: [UInt8]) throws(CNIError) {
    guard bytes.count <= Self.bytesMax else {
      throw CNIError(.decodingFailure, "the configuration is larger than \(Self.bytesMax) bytes")
    }
    guard case .object(let fields) = JSONValue(bytes) else {
      throw CNIError(.decodingFailure, "the configuration is no JSON object")
    }
    let object = JSONObject(fields)
    self.object = object
    version = try Self.version(try translated { () throws(ControlError) in try object.string("cniVersion") })
    (name, network, socket, addressManager) = try translated { () throws(ControlError) in
      let name = try object.string("name") ?? ""
      guard Invocation.isIdentifier(name) else {
        throw ControlError(
          .invalid,
          "name \(quoted(name)): a network's name has letters, digits, _ . and -, the first a letter or digit")
      }
      let manager = try object.object("ipam")?.string("type") ?? ""
      guard !manager.contains("/"), manager != "..", manager != "." else {
        throw ControlError(.invalid, "ipam.type \(quoted(manager)) is no plugin's name")
      }
      let isOwn = manager.isEmpty || manager == Self.ownAddressManager
      return (name, try object.string("network") ?? name, try object.string("socket"), isOwn ? nil : manager)
    }
  }

  static func version(_ text: String?) throws(CNIError) -> SpecVersion {
    guard let version = SpecVersion(rawValue: text ?? "") else {
      let spoken = SpecVersion.allCases.map(\.rawValue).joined(separator: ", ")
      throw CNIError(
        .incompatibleVersion, "cniVersion \(quoted(text ?? "")) is not spoken", details: "those spoken: \(spoken)")
    }
    return version
  }
}
