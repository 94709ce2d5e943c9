import ArgumentParser
import ControlModel

struct MirrorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mirror",
    abstract: "Copy what a port sends and gets to another port, for who watches there (SPAN).",
    subcommands: [MirrorAdd.self, MirrorRemove.self, MirrorList.self])
}

/// The two ports of a mirror, as typed.
struct MirrorPorts: ParsableArguments {
  @Option(
    help: "The port: a sandbox, an endpoint's id, an interface, gateway or vtep=ADDRESS.",
    completion: Names.forwardingPorts)
  var from: String
  @Option(help: "The port of the same network that gets the copies.", completion: Names.forwardingPorts)
  var to: String
}

struct MirrorAdd: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Begin to mirror a port, or change in which direction.",
    discussion: """
      The copies come besides whatever the other port gets anyway, one for each frame. To vtep=ADDRESS they leave through the \
      tunnel. A mirror stays through restarts, and goes with its ports.
      """)

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @OptionGroup var ports: MirrorPorts
  @Option(help: "What comes from the port, what goes to it, or both.") var direction = FrameDirection.both
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let request = MirrorRequest(
      from: ports.from, to: ports.to, direction: direction == .both ? nil : direction)
    let mirror = try service.addMirror(network: network, request)
    if output.json { try output.value(mirror) }
  }
}

struct MirrorRemove: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Mirror a port no more.", aliases: ["remove"])

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @OptionGroup var ports: MirrorPorts
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.removeMirror(network: network, from: ports.from, to: ports.to)
  }
}

struct MirrorList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List mirrors.", aliases: ["list"])

  @Argument(help: "A network's name or id. Default: all.", completion: Names.networks) var network: String?
  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: PortMirror.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(try service.mirrors(network: network), show, list)
  }
}

extension PortMirror: Shown {
  static var columns: [Column<PortMirror>] {
    [
      Column("MIRROR ID", isID: true, \.id),
      Column("NETWORK", \.network),
      Column("FROM", \.from),
      Column("TO", \.to),
      Column("DIRECTION") { $0.direction.rawValue },
      Column("STATE", \.state),
    ]
  }

  static var filters: [String: (PortMirror, String) -> Bool] {
    [
      "network": { $0.network == $1 },
      "from": { $0.from == $1 },
      "to": { $0.to == $1 },
      "state": { $0.state == $1 },
    ]
  }
}
