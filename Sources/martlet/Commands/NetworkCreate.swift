import ArgumentParser
import ControlModel

enum GatewayMode: String, ExpressibleByArgument, CaseIterable {
  case nat
  case natUnprotected = "nat-unprotected"
  case routed, isolated
}

struct NetworkCreate: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "create", abstract: "Make a network and print its id.")

  @Argument(help: "The network's name.") var name: String

  @Option(
    name: .shortAndLong, help: "bridge (the default), overlay, macvlan, ipvlan, host or none.",
    completion: .list(["bridge", "overlay", "macvlan", "ipvlan", "host", "none"]))
  var driver: String?

  @Option(help: "A subnet, as 10.0.0.0/24 or fd00::/64. Default: the next free default pool.")
  var subnet: [String] = []

  @Option(help: "The gateway's address in a subnet. Default: the first one.")
  var gateway: [String] = []

  @Option(help: "Hand out addresses of this part of a subnet only.")
  var ipRange: [String] = []

  @Option(help: "NAME=IP of an address that is never handed out.", transform: KeyValue.complete)
  var auxAddress: [KeyValue] = []

  @Flag(help: "No way outside.")
  var `internal` = false

  @Flag(help: "Give the network an IPv6 subnet too, a unique local one (RFC 4193) unless --subnet names one.")
  var ipv6 = false

  @Option(help: "The MTU, in bytes.")
  var mtu: Int?

  @Option(help: "Forget a MAC address that was silent for so many seconds. Default: 300.")
  var ageing: Int?

  @Option(help: "How many MAC addresses the network remembers. Default: 8192.")
  var fdbLimit: Int?

  @Option(help: "How the network reaches outside. Default: nat.")
  var gatewayMode: GatewayMode?

  @Flag(help: "A plain switch: no gateway port, no address taken for one.")
  var noGateway = false

  @Option(
    help: "local: a network of this host; global: of all hosts of the cluster (the driver overlay's default there).",
    completion: .list(["local", "global"]))
  var scope: String?

  @Option(help: "KEY=VALUE to find the network by.", transform: KeyValue.partial)
  var label: [KeyValue] = []

  @Option(
    name: [.customShort("o"), .customLong("opt")],
    help: ArgumentHelp(
      "KEY=VALUE for the driver.",
      discussion: """
        macvlan: parent=INTERFACE (default: the uplink), macvlan_mode=bridge, private, vepa or passthru. \
        ipvlan: parent=INTERFACE, ipvlan_mode=l2, l3 or l3s, ipvlan_flag=bridge, private or vepa. \
        Both: without --subnet, addresses are left to DHCP on the LAN. \
        overlay: vni=NUMBER (default: the next free one from 4096), local=IP (default: the uplink's first address), \
        port=PORT, ttl=NUMBER or inherit, tos=NUMBER or inherit, learning=on or off, inner-vlan=on or off, encrypted (only by a WireGuard \
        interface, whose address local is).
        """), transform: KeyValue.partial)
  var option: [KeyValue] = []

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var request: NetworkRequest {
    var request = NetworkRequest(name: name)
    request.driver = driver
    request.subnets = subnet.nonEmpty
    request.gateways = gateway.nonEmpty
    request.ipRanges = ipRange.nonEmpty
    request.auxiliaryAddresses = auxAddress.dictionary
    request.internal = `internal` ? true : nil
    request.ipv6 = ipv6 ? true : nil
    request.mtu = mtu
    request.ageingSeconds = ageing
    request.fdbLimit = fdbLimit
    request.gatewayMode = gatewayMode?.rawValue
    request.noGateway = noGateway ? true : nil
    request.scope = scope
    request.labels = label.dictionary
    request.options = option.dictionary
    return request
  }

  func perform(on service: any ControlService, output: Output) throws {
    try output.created(service.createNetwork(request))
  }
}

struct NetworkSet: ServiceCommand {
  static let configuration = CommandConfiguration(commandName: "set", abstract: "Change a living network.")

  @Argument(help: "A name or id.", completion: Names.networks) var network: String

  @Option(help: "Forget a MAC address that was silent for so many seconds.")
  var ageing: Int?

  @Option(help: "How many MAC addresses the network remembers.")
  var fdbLimit: Int?

  @Option(help: "How the network reaches outside.")
  var gatewayMode: GatewayMode?

  @Option(help: "The MTU, in bytes.")
  var mtu: Int?

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var change: NetworkChange {
    var change = NetworkChange()
    change.ageingSeconds = ageing
    change.fdbLimit = fdbLimit
    change.gatewayMode = gatewayMode?.rawValue
    change.mtu = mtu
    return change
  }

  func validate() throws {
    if change == NetworkChange() { throw ValidationError("nothing to change: give at least one option") }
  }

  func perform(on service: any ControlService, output: Output) throws {
    let changed = try service.changeNetwork(network, change)
    if output.json { try output.value(changed) }
  }
}
