import ArgumentParser
import ControlModel

struct EndpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "endpoint",
    abstract: "Show and change endpoints: what joins a sandbox to a network.",
    subcommands: [EndpointList.self, EndpointInspect.self, EndpointSet.self])
}

extension Endpoint: Shown {
  static let optionalFields = ["detail"]

  static var columns: [Column<Endpoint>] {
    [
      Column("ENDPOINT ID", isID: true, \.id),
      Column("NETWORK", \.network),
      Column("SANDBOX", \.sandbox),
      Column("INTERFACE", \.interface),
      Column("MAC", \.mac),
      Column("ADDRESSES") { $0.addresses.joined(separator: ", ") },
      Column("STATE", \.state),
    ]
  }

  static var filters: [String: (Endpoint, String) -> Bool] {
    [
      "id": { $0.id.hasPrefix($1) },
      "network": { $0.network == $1 },
      "sandbox": { $0.sandbox == $1 },
      "state": { $0.state == $1 },
      "label": { EndpointFilter(label: $1).matches(labels: $0.labels) },
    ]
  }
}

struct EndpointList: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "ls", abstract: "List endpoints.", aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Endpoint.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.endpoints().map(\.single), show, list)
  }
}

struct EndpointInspect: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show all there is to know of endpoints.")

  @Argument(help: "Ids, or unique beginnings of them.", completion: Names.endpoints) var endpoints: [String]
  @OptionGroup var show: ShowOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Endpoint.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.inspect(endpoints, show) { name throws(ControlError) in try service.endpoint(name).single }
  }
}

struct EndpointSet: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "set", abstract: "Change a living endpoint.")

  @Argument(help: "An id, or a unique beginning of it.", completion: Names.endpoints) var endpoint: String

  @Option(help: "Keep frames from other isolated endpoints away.")
  var isolated: Switch?

  @Option(help: "Let only the endpoint's own addresses through.")
  var `guard`: Switch?

  @Option(help: "How many MAC addresses may be learned on the port; 0: only the network's limit counts.")
  var macLimit: Int?

  @Option(help: "Bits a second that the endpoint may send; 0: no limit.")
  var rateIn: UInt64?

  @Option(help: "Bits a second that the endpoint may get; 0: no limit.")
  var rateOut: UInt64?

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var change: EndpointChange {
    var change = EndpointChange()
    change.isolated = isolated?.isOn
    change.guard = `guard`?.isOn
    change.macLimit = macLimit
    change.rateIn = rateIn
    change.rateOut = rateOut
    return change
  }

  func validate() throws {
    if change == EndpointChange() { throw ValidationError("nothing to change: give at least one option") }
  }

  func perform(on service: any ControlService, output: Output) throws {
    let changed = try service.changeEndpoint(endpoint, change)
    if output.json { try output.value(changed.single) }
  }
}
