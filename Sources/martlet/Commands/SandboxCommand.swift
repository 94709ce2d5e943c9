import ArgumentParser
import ControlModel

struct SandboxCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sandbox",
    abstract: "Make, adopt, share, show and remove network namespaces; run commands in them.",
    subcommands: [SandboxCreate.self, SandboxList.self, SandboxInspect.self, SandboxRemove.self, SandboxExecute.self])
}

extension Sandbox: Shown {
  static var columns: [Column<Sandbox>] {
    [
      Column("SANDBOX ID", isID: true, \.id),
      Column("NAME", \.name),
      Column("ORIGIN", \.origin),
      Column("NETNS", \.netns),
      Column("ENDPOINTS") { String($0.endpoints.count) },
    ]
  }

  static var filters: [String: (Sandbox, String) -> Bool] {
    [
      "name": { $0.name.contains($1) },
      "id": { $0.id.hasPrefix($1) },
      "network": { sandbox, network in sandbox.endpoints.contains { $0.network == network } },
      "origin": { $0.origin == $1 },
    ]
  }
}

struct SandboxCreate: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make a network namespace, adopt one, or share a sandbox's; print the sandbox's id.")

  @Argument(help: "The sandbox's name, for `ip netns` too.") var name: String

  @Option(help: "Adopt the namespace at this path.", completion: .file())
  var netns: String?

  @Option(help: "Share the namespace of this sandbox, as docker's container mode does.", completion: Names.sandboxes)
  var share: String?

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var request: SandboxRequest {
    var request = SandboxRequest(name: name)
    request.netns = netns
    request.share = share
    return request
  }

  func validate() throws {
    if netns != nil, share != nil { throw ValidationError("--netns and --share exclude each other") }
  }

  func perform(on service: any ControlService, output: Output) throws {
    try output.created(service.createSandbox(request))
  }
}

struct SandboxList: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "ls", abstract: "List sandboxes.", aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Sandbox.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.sandboxes().map(\.single), show, list)
  }
}

struct SandboxInspect: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show all there is to know of sandboxes.")

  @Argument(help: "Names, ids or namespace paths.", completion: Names.sandboxes) var sandboxes: [String]
  @OptionGroup var show: ShowOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Sandbox.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.inspect(sandboxes, show) { name throws(ControlError) in try service.sandbox(name).single }
  }
}

struct SandboxRemove: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove sandboxes with their endpoints; namespaces only where Martlet made them.",
    aliases: ["remove"])

  @Argument(help: "Names, ids or namespace paths.", completion: Names.sandboxes) var sandboxes: [String]
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try output.remove(sandboxes) { name throws(ControlError) in try service.removeSandbox(name) }
  }
}
