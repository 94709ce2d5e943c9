import ArgumentParser
import ControlModel

struct NetworkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network",
    abstract: "Make, show, change and remove networks; connect sandboxes to them.",
    subcommands: [
      NetworkCreate.self, NetworkList.self, NetworkInspect.self, NetworkRemove.self, NetworkPrune.self, NetworkSet.self,
      NetworkConnect.self, NetworkDisconnect.self,
    ])
}

extension Network: Shown {
  static let optionalFields = ["gateway_interface", "parent", "overlay"]

  static var columns: [Column<Network>] {
    [
      Column("NETWORK ID", isID: true, \.id),
      Column("NAME", \.name),
      Column("DRIVER", \.driver),
      Column("SUBNETS") { $0.subnets.map(\.subnet).joined(separator: ", ") },
      Column("ENDPOINTS") { String($0.endpoints.count) },
    ]
  }

  static var filters: [String: (Network, String) -> Bool] {
    [
      "name": { $0.name.contains($1) },
      "id": { $0.id.hasPrefix($1) },
      "driver": { $0.driver == $1 },
      "scope": { $0.scope == $1 },
      "label": { EndpointFilter(label: $1).matches(labels: $0.labels) },
      "sandbox": { network, sandbox in network.endpoints.contains { $0.sandbox == sandbox } },
    ]
  }
}

struct NetworkList: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "ls", abstract: "List networks.", aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Network.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.networks().map(\.single), show, list)
  }
}

struct NetworkInspect: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show all there is to know of networks.")

  @Argument(help: "Names or ids.", completion: Names.networks) var networks: [String]
  @OptionGroup var show: ShowOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Network.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.inspect(networks, show) { name throws(ControlError) in try service.network(name).single }
  }
}

struct NetworkRemove: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove networks that have neither endpoints nor attached interfaces.",
    aliases: ["remove"])

  @Argument(help: "Names or ids.", completion: Names.networks) var networks: [String]
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try output.remove(networks) { name throws(ControlError) in try service.removeNetwork(name) }
  }
}

struct NetworkPrune: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Remove every network without endpoints and attached interfaces. Does not ask first.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let removed = try service.pruneNetworks()
    if output.json { try output.value(Pruned(removed: removed)) } else { removed.forEach(output.line) }
  }
}
