import ArgumentParser
import ControlModel
import Policies

struct PolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy",
    abstract: "Choose how networks forward frames.",
    discussion: """
      A network is a learning switch until it is given a policy: one of Martlet's own, a file of rules, or a library of your \
      own that tools/new-policy begins. docs/policies.md has them all.
      """,
    subcommands: [PolicyList.self, PolicyShow.self, PolicyCheck.self, PolicyLoad.self, PolicyUnload.self])
}

/// As typed for `load` and `check`.
struct PolicyArguments: ParsableArguments {
  @Argument(
    help: "A policy's name (martlet policy ls), a file of rules, or a library that ends in .so.",
    completion: .file(extensions: ["policy", "so"]))
  var policy: String

  @Option(name: .customShort("o"), help: "What the policy is told: KEY=VALUE.", transform: KeyValue.complete)
  var parameters: [KeyValue] = []

  func source() throws -> PolicySource {
    do throws(PolicyError) {
      return try PolicySource(argument: policy)
    } catch {
      throw ControlError(.invalid, error.description)
    }
  }

  func parameterValues() throws -> [String: String] {
    var values: [String: String] = [:]
    for parameter in parameters where values.updateValue(parameter.value, forKey: parameter.key) != nil {
      throw ValidationError("-o \(parameter.key) is given twice")
    }
    return values
  }
}

struct PolicyLoad: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Give a network a policy, in place of the one it has, without losing a frame.",
    discussion: """
      What cannot be loaded changes nothing. The policy stays through restarts; of a library the daemon keeps a copy. One that \
      traps, hangs or takes too long is unloaded, and `policy show` says why: the network is then a learning switch.
      """)

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @OptionGroup var policy: PolicyArguments
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let parameters = try policy.parameterValues()
    var request: PolicyRequest
    switch try policy.source() {
    case .builtIn(let name): request = PolicyRequest(kind: .builtIn, name: name)
    case .text(let name, let text): request = PolicyRequest(kind: .text, name: name, text: text)
    case .library(let path): request = PolicyRequest(kind: .library, path: path)
    }
    if !parameters.isEmpty { request.parameters = parameters }
    let loaded = try service.loadPolicy(network: network, request)
    if output.json { try output.value(loaded) }
  }
}

struct PolicyUnload: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "unload", abstract: "Make a network a learning switch again; once more is no error.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws { try service.unloadPolicy(network: network) }
}

struct PolicyCheck: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Say whether a policy could be loaded. Needs no daemon; a library is loaded into this process.")

  @OptionGroup var policy: PolicyArguments
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func run() throws {
    let parameters = try policy.parameterValues()
    let source = try policy.source()
    if let diagnosis = source.diagnosis() {
      Output.standard.writeError(diagnosis + "\n")
      throw ExitCode.failure
    }
    do throws(PolicyError) {
      let made = try source.make(parameters, workers: 1)
      Output.standard.line("\(made.name): fine")
    } catch {
      throw ControlError(.invalid, error.description)
    }
  }
}

struct PolicyShow: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a network's policy, its parameters and what it has counted.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Flag(help: "Print the rules of a policy that is text, as they were loaded.") var text = false
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let policy = try service.policy(network: network)
    if output.json { return try output.value(policy) }
    if text {
      guard let rules = policy.text else { throw ControlError(.invalid, "policy \(policy.name) is no text") }
      return output.write(rules)
    }
    output.write(Table([policy], Policy.columns).text)
    for (key, value) in policy.parameters.sorted(by: { $0.key < $1.key }) { output.line("\(key)=\(value)") }
    if !policy.counters.isEmpty {
      output.line("")
      let columns: [Column<PolicyCounter>] = [Column("COUNTER", \.name), Column("VALUE") { String($0.value) }]
      output.write(Table(policy.counters, columns).text)
    }
  }
}

extension Policy: Shown {
  static let optionalFields = ["detail", "text", "path"]
  static let hasShortIDs = false

  var id: String { network }

  static var columns: [Column<Policy>] {
    [
      Column("NETWORK", \.network),
      Column("POLICY", \.name),
      Column("KIND") { $0.kind.rawValue },
      Column("STATE", \.state),
      Column("DETAIL") { $0.detail ?? "" },
    ]
  }

  static var filters: [String: (Policy, String) -> Bool] {
    [
      "network": { $0.network == $1 },
      "name": { $0.name == $1 },
      "kind": { $0.kind.rawValue == $1 },
      "state": { $0.state == $1 },
    ]
  }
}

struct PolicyList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List the policies that networks have, and those that can be loaded by name.",
    aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Policy.self) }

  func perform(on service: any ControlService, output: Output) throws {
    let policies = try service.policies()
    if output.json && show.filter.isEmpty && show.format == nil { return try output.value(policies) }
    try output.list(policies.loaded, show, list)
    guard show.filter.isEmpty, show.format == nil, !list.quiet else { return }
    output.line("")
    let columns: [Column<BuiltInPolicyDescription>] = [Column("BUILT-IN", \.name), Column("DOES", \.summary)]
    output.write(Table(policies.builtIn, columns).text)
  }
}
