import ControlModel

// Theory of operation. A runtime starts the plugin once for each command, with parameters in the environment and the network
// configuration on standard input, and reads what it prints. Nothing is kept between two runs: what a DEL, CHECK or GC needs
// is found at the daemon, by labels that ADD gave the endpoint. So a DEL works without a namespace, without an earlier result
// and any number of times. The daemon makes interface, addresses, routes and published ports, all or none of them.

/// One run of the plugin: parameters in, an answer out.
public struct Plugin: Sendable {
  public struct Outcome: Equatable, Sendable {
    /// For standard output.
    public var output: [UInt8]
    /// 0 or 1.
    public var status: Int32
  }

  /// The daemon, by its socket; nil: the usual one.
  let service: @Sendable (String?) -> any ControlService
  let namespaces: any NamespaceReader
  let addressManager: any AddressManager

  public init(
    namespaces: any NamespaceReader, addressManager: any AddressManager,
    service: @escaping @Sendable (String?) -> any ControlService
  ) {
    (self.namespaces, self.addressManager, self.service) = (namespaces, addressManager, service)
  }

  /// - Parameters:
  ///   - environment: CNI_COMMAND and the others.
  ///   - input: the network configuration.
  public func run(environment: [String: String], input: [UInt8]) -> Outcome {
    do throws(CNIError) {
      let invocation = try Invocation(environment: environment)
      if invocation.command == .version { return Outcome(output: Self.versions(input).line, status: 0) }
      let run = try Run(plugin: self, invocation: invocation, input: input)
      return Outcome(output: try run.answer()?.line ?? [], status: 0)
    } catch {
      return Outcome(output: error.json(Self.version(input)).line, status: 1)
    }
  }

  /// Of the caller, as far as it can be made out; an error is to be understood whatever came.
  private static func version(_ input: [UInt8]) -> SpecVersion {
    guard input.count <= Configuration.bytesMax, case .object(let fields) = JSONValue(input),
      case .string(let text) = fields["cniVersion"]
    else { return .newest }
    return SpecVersion(rawValue: text) ?? .newest
  }

  private static func versions(_ input: [UInt8]) -> JSONValue {
    .object([
      "cniVersion": .string(version(input).rawValue),
      "supportedVersions": .array(SpecVersion.allCases.map { .string($0.rawValue) }),
    ])
  }
}

/// A command that needs the configuration.
struct Run {
  let invocation: Invocation
  let configuration: Configuration
  /// As it came, for a delegated plugin.
  let input: [UInt8]
  let service: any ControlService
  let namespaces: any NamespaceReader
  private let addressManager: any AddressManager

  init(plugin: Plugin, invocation: Invocation, input: [UInt8]) throws(CNIError) {
    (self.invocation, self.input) = (invocation, input)
    configuration = try Configuration(input)
    service = plugin.service(configuration.socket)
    (namespaces, addressManager) = (plugin.namespaces, plugin.addressManager)
  }

  /// nil: nothing is to be printed.
  func answer() throws(CNIError) -> JSONValue? {
    switch invocation.command {
    case .add: return try add()
    case .delete: try delete()
    case .check:
      try require(.v040)
      try check()
    case .garbageCollect:
      try require(.v110)
      try collectGarbage()
    case .status:
      try require(.v110)
      try reportStatus()
    case .version: break
    }
    return nil
  }

  private func require(_ version: SpecVersion) throws(CNIError) {
    guard configuration.version >= version else {
      throw CNIError(
        .incompatibleVersion,
        "\(invocation.command.rawValue) came with cniVersion \(version.rawValue), the configuration has \(configuration.version.rawValue)"
      )
    }
  }

  /// Runs the plugin that addresses are delegated to, if they are; what it wrote.
  @discardableResult
  func delegate(_ command: Invocation.Command) throws(CNIError) -> [UInt8]? {
    guard let plugin = configuration.addressManager else { return nil }
    var invocation = invocation
    invocation.command = command
    return try addressManager.run(plugin, invocation, input: input)
  }

  /// The daemon carries the frames: without it, containers that are there reach nothing either.
  private func reportStatus() throws(CNIError) {
    do throws(ControlError) {
      _ = try service.version()
    } catch let error where error.code == .unreachable {
      throw CNIError(.limitedConnectivity, error.message)
    } catch {
      throw CNIError(.notAvailable, error.message)
    }
    try delegate(.status)
  }
}

extension JSONValue {
  var line: [UInt8] { bytes + [UInt8(ascii: "\n")] }
}
