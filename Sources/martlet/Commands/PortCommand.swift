import ArgumentParser
import ControlModel

struct PortCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "port",
    abstract: "Put existing interfaces on networks: a veth, a NIC.",
    subcommands: [PortAttach.self, PortDetach.self, PortList.self])
}

extension InterfacePort: Shown {
  static let optionalFields = ["detail"]
  static let hasShortIDs = false

  /// An interface is on one network at most, so its name tells the port.
  var id: String { interface }

  static var columns: [Column<InterfacePort>] {
    [
      Column("NETWORK", \.network),
      Column("INTERFACE", \.interface),
      Column("STATE", \.state),
      Column("RX FRAMES") { String($0.counters.rxFrames) },
      Column("TX FRAMES") { String($0.counters.txFrames) },
      Column("DETAIL") { $0.detail ?? "" },
    ]
  }

  static var filters: [String: (InterfacePort, String) -> Bool] {
    [
      "network": { $0.network == $1 },
      "interface": { $0.interface == $1 },
      "state": { $0.state == $1 },
    ]
  }
}

struct PortAttach: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach",
    abstract: "Put an interface of the daemon's namespace on a network.",
    discussion: """
      The interface is brought up. What the host itself has on it stays as it is: an address there answers there, beside \
      the network. The port outlives the interface, and takes up one that comes back under the same name.
      """)

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Argument(help: "The interface.") var interface: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let port = try service.attachPort(network: network, InterfacePortRequest(interface: interface))
    if output.json { try output.value(port) }
  }
}

struct PortDetach: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "detach",
    abstract: "Take an interface off its network.",
    discussion: "It is set down again where it was down when it was attached.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Argument(help: "The interface.", completion: Names.attachedInterfaces) var interface: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.detachPort(network: network, interface: interface)
  }
}

struct PortList: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List attached interfaces.", aliases: ["list"])

  @Argument(help: "A network's name or id. Default: all networks.", completion: Names.networks) var network: String?
  @OptionGroup var show: ShowOptions
  @OptionGroup var list: ListOptions
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws { try show.checkFilters(of: InterfacePort.self) }

  func perform(on service: any ControlService, output: Output) throws {
    try output.list(service.ports(network: network), show, list)
  }
}
