import ArgumentParser
import ControlModel

struct ServicesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service",
    abstract: "Give several endpoints one name and address, and publish their ports together.",
    subcommands: [ServiceCreate.self, ServiceSet.self, ServiceList.self, ServiceInspect.self, ServiceRemove.self])
}

struct ServiceCreate: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make a service of a network; prints its id.",
    discussion: """
      A new flow goes to one of the endpoints by a hash of its addresses and ports, and stays there. With --mode ingress every \
      host that has the service answers at the published ports, wherever the endpoints run; with --mode host it is those of \
      its own that answer, if there are any. The virtual address answers inside the network, at every port: a published one \
      leads to the endpoints' port, any other to the same. The service's name stands for it.
      """)

  @Argument(help: "A name, as of a network.") var name: String
  @Option(help: "A network's name or id.", completion: Names.networks) var network: String
  @Option(
    name: [.short, .customLong("publish")], parsing: .singleValue,
    help: "[HOSTIP:]PORT[-END][:PORT[-END]][/tcp|udp]. Without a second port the endpoints' is the same.")
  var published: [String] = []
  @Option(help: "ingress (the default) or host.") var mode: String?
  @Option(
    name: .customLong("endpoint"), parsing: .singleValue,
    help: "An endpoint's id, a unique beginning of it, or its sandbox, on any host of the cluster; or an address.",
    completion: Names.endpoints)
  var endpoints: [String] = []
  @Option(
    name: .customLong("vip"), parsing: .singleValue,
    help: "auto (the default: one in each subnet), none, or an address of the network; at most one a family.")
  var virtualAddresses: [String] = []
  @OptionGroup(title: "Global options") var global: GlobalOptions

  var request: ServiceRequest {
    var request = ServiceRequest(name: name, network: network)
    if !published.isEmpty { request.published = published }
    if !endpoints.isEmpty { request.endpoints = endpoints }
    if !virtualAddresses.isEmpty { request.virtualAddresses = virtualAddresses }
    request.mode = mode
    return request
  }

  func perform(on service: any ControlService, output: Output) throws {
    try output.created(service.createService(request))
  }
}

struct ServiceSet: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Add endpoints to a service or remove some, or change its mode.",
    discussion:
      "Flows stay where they are, also those of endpoints that are removed. New ones go to those that are left.")

  @Argument(help: "A service's name or id.", completion: Names.services) var name: String
  @Option(
    name: .customLong("add-endpoint"), parsing: .singleValue, help: "As --endpoint of create; once more is no error.",
    completion: Names.endpoints)
  var added: [String] = []
  @Option(
    name: .customLong("rm-endpoint"), parsing: .singleValue, help: "One that is a member.",
    completion: Names.endpoints)
  var removed: [String] = []
  @Option(help: "ingress or host.") var mode: String?
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    if added.isEmpty && removed.isEmpty && mode == nil {
      throw ValidationError("nothing to change: give --add-endpoint, --rm-endpoint or --mode")
    }
  }

  var change: ServiceChange {
    var change = ServiceChange()
    if !added.isEmpty { change.addedEndpoints = added }
    if !removed.isEmpty { change.removedEndpoints = removed }
    change.mode = mode
    return change
  }

  func perform(on service: any ControlService, output: Output) throws {
    let changed = try service.changeService(name, change)
    if output.json { try output.value(changed) }
  }
}

extension PublishedPort {
  /// `8080->80/tcp`, `192.0.2.1:53->53/udp`.
  fileprivate var mapped: String {
    let address = hostIP.isEmpty ? "" : (hostIP.contains(":") ? "[\(hostIP)]" : hostIP) + ":"
    let (hosts, ports) = (hostPortEnd.map { "-\($0)" } ?? "", portEnd.map { "-\($0)" } ?? "")
    return "\(address)\(hostPort)\(hosts)->\(port)\(ports)/\(`protocol`)"
  }
}

extension Service: Shown {
  static let optionalFields = ["detail"]

  static var columns: [Column<Service>] {
    [
      Column("ID", isID: true, \.id),
      Column("NAME", \.name),
      Column("NETWORK", \.network),
      Column("MODE", \.mode),
      Column("ADDRESS") { $0.virtualAddresses.joined(separator: ",") },
      Column("PORTS") { $0.published.map(\.mapped).joined(separator: ",") },
      Column("ENDPOINTS") { service in "\(service.members.count { $0.state == "up" })/\(service.members.count)" },
      Column("STATE", \.state),
      Column("DETAIL") { $0.detail ?? "" },
    ]
  }

  static var filters: [String: (Service, String) -> Bool] {
    [
      "id": { $0.id.hasPrefix($1) },
      "name": { $0.name == $1 },
      "network": { $0.network == $1 },
      "mode": { $0.mode == $1 },
      "state": { $0.state == $1 },
    ]
  }
}

struct ServiceList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List services.", aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Service.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.services(), show, list)
  }
}

struct ServiceInspect: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show all there is to know of services.")

  @Argument(help: "Names or ids.", completion: Names.services) var names: [String]
  @OptionGroup var show: ShowOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Service.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.inspect(names, show) { name throws(ControlError) in try service.service(name) }
  }
}

struct ServiceRemove: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove services; their flows end, their endpoints stay.", aliases: ["remove"])

  @Argument(help: "Names or ids.", completion: Names.services) var names: [String]
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try output.remove(names) { name throws(ControlError) in try service.removeService(name) }
  }
}
