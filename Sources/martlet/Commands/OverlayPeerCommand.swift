import ArgumentParser
import ControlModel

struct OverlayPeerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer",
    abstract: "Say which other hosts have part in a network.",
    subcommands: [OverlayPeerAdd.self, OverlayPeerRemove.self, OverlayPeerList.self])
}

struct OverlayPeerAdd: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add a peer; once more is no error.",
    discussion: """
      Frames for addresses that are not known, broadcasts and multicasts go to every peer. What comes from others is \
      dropped.
      """)

  @Argument(help: "A network's name or id.", completion: Names.overlayNetworks) var network: String
  @Argument(help: "The other host's address.") var address: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.addOverlayPeer(network: network, OverlayPeerRequest(address: address))
  }
}

struct OverlayPeerRemove: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "rm",
    abstract: "Remove a peer, with the MAC addresses that are there.", aliases: ["remove"])

  @Argument(help: "A network's name or id.", completion: Names.overlayNetworks) var network: String
  @Argument(help: "The other host's address.", completion: Names.peers) var address: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.removeOverlayPeer(network: network, address: address)
  }
}

extension OverlayPeer: Shown {
  static let hasShortIDs = false

  var id: String { address }

  static var columns: [Column<OverlayPeer>] {
    [
      Column("NETWORK", \.network),
      Column("ADDRESS", \.address),
      Column("RX FRAMES") { String($0.counters.rxFrames) },
      Column("TX FRAMES") { String($0.counters.txFrames) },
      Column("DROPS") { String($0.counters.drops.values.reduce(0, +)) },
    ]
  }

  static var filters: [String: (OverlayPeer, String) -> Bool] { ["address": { $0.address == $1 }] }
}

struct OverlayPeerList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List a network's peers.", aliases: ["list"])

  @Argument(help: "A network's name or id.", completion: Names.overlayNetworks) var network: String
  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: OverlayPeer.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.overlayPeers(network: network), show, list)
  }
}
