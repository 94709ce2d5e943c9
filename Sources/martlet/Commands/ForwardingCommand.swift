import ArgumentParser
import ControlModel

struct ForwardingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fdb",
    abstract: "Show and change a network's MAC table.",
    subcommands: [ForwardingShow.self, ForwardingAdd.self, ForwardingRemove.self, ForwardingFlushCommand.self])
}

extension ForwardingEntry {
  static var columns: [Column<ForwardingEntry>] {
    [
      Column("MAC", \.mac),
      Column("KIND", \.port.kind),
      Column("PORT") { $0.port.endpoint.map(shortened) ?? $0.port.address ?? "" },
      Column("INTERFACE") { $0.port.interface ?? "" },
      Column("TYPE") { $0.static ? "static" : "learned" },
      Column("AGE") { $0.static ? "" : "\($0.ageSeconds)s" },
    ]
  }
}

struct ForwardingShow: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show learned and static entries.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let entries = try service.forwardingEntries(network: network)
    if output.json { try output.value(entries) } else { output.write(Table(entries, ForwardingEntry.columns).text) }
  }
}

struct ForwardingAdd: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "add", abstract: "Add a static entry.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Argument(help: "The MAC address.") var mac: String
  @Argument(
    help: "Where it is: an endpoint's id, an attached interface, `gateway`, or vtep=IP.",
    completion: Names.forwardingPorts)
  var port: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.addForwardingEntry(network: network, ForwardingEntryRequest(mac: mac, port: port))
  }
}

struct ForwardingRemove: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove an entry, learned or static.", aliases: ["remove"])

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Argument(help: "The MAC address.") var mac: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.removeForwardingEntry(network: network, mac: mac)
  }
}

struct ForwardingFlushCommand: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "flush", abstract: "Forget learned entries.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Option(
    help: "Only those of this endpoint, of this attached interface, of `gateway`, or of vtep=IP.",
    completion: Names.forwardingPorts)
  var port: String?
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.flushForwardingEntries(network: network, port: port)
  }
}
