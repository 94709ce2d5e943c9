import ArgumentParser
import ControlModel

struct OverlayCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overlay",
    abstract: "Join networks to those of other hosts by VXLAN.",
    subcommands: [
      OverlaySet.self, OverlayUnset.self, OverlayShow.self, OverlayList.self, OverlayPeerCommand.self,
    ])
}

extension OuterField: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
}

struct OverlaySet: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Give a network an overlay, or change the one it has.",
    discussion: """
      All but the peers takes the place of what was set before. An MTU of the network that is more than fits is lowered at \
      once, on its endpoints' interfaces too, and stays so.
      """)

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String

  @Option(help: "The VXLAN network identifier, 0 to 16777215: the same on all hosts.")
  var vni: Int

  @Option(help: "An address of the daemon's namespace, by which the peers reach this host.")
  var local: String

  @Option(help: "The UDP port, the same on all hosts. Default: 4789.")
  var port: Int?

  @Option(help: "Forget a MAC address that was silent for so many seconds, as network set has it.")
  var ageing: Int?

  @Option(help: "The TTL of outer packets, a number or `inherit`. Default: 64.")
  var ttl: OuterField?

  @Option(help: "The TOS of outer packets, a multiple of 4 or `inherit`. Default: 0.")
  var tos: OuterField?

  @Option(help: "Whether peers' frames tell which MAC addresses are there: on (the default) or off.")
  var learning: Switch?

  @Option(help: "Only by a WireGuard interface, whose address `--local` is: on or off (the default).")
  var encrypted: Switch?

  @Option(name: .customLong("inner-vlan"), help: "Whether frames with VLAN tags are carried: on (the default) or off.")
  var innerVLAN: Switch?

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var request: OverlayRequest {
    var request = OverlayRequest(vni: vni, local: local)
    (request.port, request.ageingSeconds, request.ttl, request.tos) = (port, ageing, ttl, tos)
    (request.learning, request.encrypted, request.innerVLAN) = (learning?.isOn, encrypted?.isOn, innerVLAN?.isOn)
    return request
  }

  func perform(on service: any ControlService, output: Output) throws {
    let overlay = try service.setOverlay(network: network, request)
    if output.json { try output.value(overlay) } else if let notice = overlay.notice { output.line(notice) }
  }
}

struct OverlayUnset: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "unset", abstract: "Take a network's overlay away, with its peers; once more is no error.")

  @Argument(help: "A network's name or id.", completion: Names.overlayNetworks) var network: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws { try service.unsetOverlay(network: network) }
}

extension Overlay: Shown {
  static let optionalFields = ["detail", "interface", "notice"]
  static let hasShortIDs = false

  var id: String { network }

  static var columns: [Column<Overlay>] {
    [
      Column("NETWORK", \.network),
      Column("VNI") { String($0.vni) },
      Column("LOCAL", \.local),
      Column("PORT") { String($0.port) },
      Column("INTERFACE") { $0.interface ?? "" },
      Column("MTU") { String($0.mtu) },
      Column("LEARNING") { $0.learning ? "on" : "off" },
      Column("PEERS") { String($0.peers.count) },
      Column("STATE", \.state),
      Column("DETAIL") { $0.detail ?? "" },
    ]
  }

  static var filters: [String: (Overlay, String) -> Bool] {
    [
      "network": { $0.network == $1 },
      "vni": { String($0.vni) == $1 },
      "local": { $0.local == $1 },
      "peer": { $0.peers.contains($1) },
      "state": { $0.state == $1 },
    ]
  }
}

struct OverlayShow: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a network's overlay.")

  @Argument(help: "A network's name or id.", completion: Names.overlayNetworks) var network: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let overlay = try service.overlay(network: network)
    if output.json { try output.value(overlay) } else { output.write(Table([overlay], Overlay.columns).text) }
  }
}

struct OverlayList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List overlays.", aliases: ["list"])

  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: Overlay.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.overlays(), show, list)
  }
}
