import ArgumentParser
import ControlModel

struct UplinkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "uplink",
    abstract: "The way outside for translation, published ports and routed networks.",
    subcommands: [UplinkSet.self, UplinkShow.self, UplinkUnset.self])
}

struct UplinkSet: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Make an interface of the daemon's namespace the uplink, or move the uplink there.",
    discussion: """
      The host keeps its addresses and its own connections; only packets of published ports and of Martlet's own sessions \
      are taken. There is one uplink. Set again, it takes the place of the one before, with all of its settings.
      """)

  @Argument(help: "The interface.") var interface: String

  @Option(help: "An external address of the interface. Default: all its global ones.")
  var address: [String] = []

  @Option(
    help: """
      FIRST-LAST, ports that outbound connections get when their own is taken. Must not overlap the kernel's \
      (net.ipv4.ip_local_port_range). Default: those above it.
      """)
  var ports: [String] = []

  @Flag(name: .customLong("ipv6-nat"), help: "Translate IPv6 too, instead of routing it.")
  var ipv6NAT = false

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var request: UplinkRequest {
    var request = UplinkRequest(interface: interface)
    request.addresses = address.nonEmpty
    request.ports = ports.nonEmpty
    request.ipv6NAT = ipv6NAT ? true : nil
    return request
  }

  func perform(on service: any ControlService, output: Output) throws {
    let uplink = try service.setUplink(request)
    if output.json { try output.value(uplink) }
  }
}

extension Uplink {
  fileprivate static var columns: [Column<Uplink>] {
    [
      Column("INTERFACE", \.interface),
      Column("STATE", \.state),
      Column("MAC", \.mac),
      Column("MTU") { String($0.mtu) },
      Column("ADDRESSES") { $0.addresses.joined(separator: ", ") },
      Column("PORTS") { $0.ports.joined(separator: ", ") },
      Column("DETAIL") { $0.detail ?? "" },
    ]
  }
}

struct UplinkShow: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show the uplink.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let uplink = try service.uplink()
    if output.json { try output.value(uplink) } else { output.write(Table([uplink], Uplink.columns).text) }
  }
}

struct UplinkUnset: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "unset", abstract: "Have no uplink any more: the host routes; once more is no error.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws { try service.unsetUplink() }
}
