import ArgumentParser
import ControlModel

struct ClusterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster",
    abstract: "See the hosts that share networks, names and addresses.",
    discussion: "Which cluster a host is in, the section `cluster` of martletd's configuration says.",
    subcommands: [ClusterShow.self, ClusterForget.self])
}

extension ClusterView {
  fileprivate static var hostColumns: [Column<Host>] {
    [
      Column("HOST", \.name),
      Column("VTEPS") { $0.vteps.joined(separator: ", ") },
      Column("ENDPOINTS") { String($0.endpoints) },
    ]
  }

  fileprivate static var networkColumns: [Column<Network>] {
    [
      Column("NETWORK", \.name),
      Column("VNI") { $0.vni.map(String.init) ?? "" },
      Column("DETAIL") { $0.detail ?? "" },
    ]
  }

  fileprivate var stateLine: String {
    let since = since.map { " since \($0)" } ?? ""
    return "\(host) is \(state)\(since)\(detail.map { ": \($0)" } ?? "")"
  }
}

struct ClusterShow: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show the cluster's hosts and networks, as this host knows them.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let view = try service.clusterView()
    if output.json { return try output.value(view) }
    output.line(view.stateLine)
    output.line("")
    output.write(Table(view.hosts, ClusterView.hostColumns).text)
    output.line("")
    output.write(Table(view.networks, ClusterView.networkColumns).text)
  }
}

struct ClusterForget: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "forget",
    abstract: "Give back the addresses of a host that will not return.",
    discussion: "They stay its containers' while it is away, so that these can be started elsewhere with theirs.")

  @Argument(help: "The host's name. Refused while it is in the cluster.") var host: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws { try service.forgetHost(host) }
}
