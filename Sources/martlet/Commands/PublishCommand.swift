import ArgumentParser
import ControlModel

struct PublishCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish",
    abstract: "Publish ports of an endpoint, or list those that are published.",
    subcommands: [PublishAdd.self, PublishList.self],
    defaultSubcommand: PublishAdd.self)
}

extension PublishedPort {
  /// `80/tcp`, `8000-8010/udp`.
  fileprivate var target: String { "\(port)\(portEnd.map { "-\($0)" } ?? "")/\(`protocol`)" }

  /// `0.0.0.0:8080`, `[::]:8000-8010`; of a routed network `any`.
  fileprivate var host: String {
    guard hostPort > 0 else { return "any" }
    let address = hostIP.contains(":") ? "[\(hostIP)]" : hostIP
    return "\(address):\(hostPort)\(hostPortEnd.map { "-\($0)" } ?? "")"
  }
}

extension Publication: Shown {
  static let optionalFields = ["detail"]

  /// Publications are found by their endpoint.
  var id: String { endpoint }

  /// One for each port of a range, as scripts expect them.
  var single: [Publication] {
    published.single.map { Publication(endpoint: endpoint, network: network, published: $0) }
  }

  static var columns: [Column<Publication>] {
    [
      Column("ENDPOINT", isID: true, \.endpoint),
      Column("NETWORK", \.network),
      Column("HOST", \.published.host),
      Column("PORT", \.published.target),
      Column("DETAIL") { $0.published.detail ?? "" },
    ]
  }

  static var filters: [String: (Publication, String) -> Bool] {
    [
      "endpoint": { $0.endpoint.hasPrefix($1) },
      "network": { $0.network == $1 },
      "protocol": { $0.published.protocol == $1 },
      "host_ip": { $0.published.hostIP == $1 },
      "host_port": { publication, port in publication.single.contains { String($0.published.hostPort) == port } },
      "port": { publication, port in publication.single.contains { String($0.published.port) == port } },
    ]
  }
}

extension Endpoint {
  /// With one published port for each port of a range, as scripts expect them.
  var single: Endpoint {
    var endpoint = self
    endpoint.published = published.flatMap(\.single)
    return endpoint
  }
}

extension Network {
  /// As `Endpoint.single`.
  var single: Network {
    var network = self
    network.endpoints = endpoints.map(\.single)
    return network
  }
}

extension Sandbox {
  /// As `Endpoint.single`.
  var single: Sandbox {
    var sandbox = self
    sandbox.endpoints = endpoints.map(\.single)
    return sandbox
  }
}

struct PublishAdd: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Publish ports of an endpoint: all of them, or none.",
    discussion: """
      Without HOSTIP a port is published on every address of the host, IPv4 and IPv6; on 127.0.0.1 and ::1 only the host \
      itself reaches it. Without HOSTPORT, or with 0, one is chosen and printed; so it is where HOSTPORT is a range and PORT \
      is not.
      """)

  @Argument(help: "An id, or a unique beginning of it.", completion: Names.endpoints) var endpoint: String
  @Argument(help: "[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp], as docker run -p.") var ports: [String]
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let publications = try service.publish(endpoint: endpoint, PublishRequest(ports: ports))
    if output.json { return try output.value(publications.flatMap(\.single)) }
    // As docker port prints them.
    for publication in publications { output.line("\(publication.published.target) -> \(publication.published.host)") }
  }
}

struct PublishList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List published ports.", aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Publication.self) }

  func perform(on service: any ControlService, output: Output) throws {
    let publications = try service.publications()
    // A range is one line of the table, and one object for each port where programs read.
    let isTable = !output.json && show.format == nil
    try output.list(isTable ? publications : publications.flatMap(\.single), show, list)
  }
}

struct UnpublishCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "unpublish",
    abstract: "Withdraw published ports of an endpoint; their sessions end at once.",
    discussion: "Whatever is left out matches all: PORT withdraws it from every port and address of the host.")

  @Argument(help: "An id, or a unique beginning of it.", completion: Names.endpoints) var endpoint: String
  @Argument(help: "[HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp], as it was published.") var ports: [String]
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.unpublish(endpoint: endpoint, PublishRequest(ports: ports))
  }
}
