import ArgumentParser
import ControlModel

struct NetworkConnect: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "connect", abstract: "Connect a sandbox to a network and print the endpoint's id.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Argument(help: "A sandbox's name or id, or the path of a network namespace.", completion: Names.sandboxes)
  var sandbox: String

  @Option(help: "The IPv4 address. Default: a free one.")
  var ip: String?

  @Option(help: "The IPv6 address. Default: a free one.")
  var ip6: String?

  @Option(help: "The MAC address. Default: one made from the address.")
  var mac: String?

  @Option(help: "The interface's name in the sandbox. Default: the next free ethN.")
  var ifname: String?

  @Option(help: "The MTU, in bytes. Default: the network's.")
  var mtu: Int?

  @Option(help: "A further name for the sandbox on this network.")
  var alias: [String] = []

  @Option(name: .shortAndLong, help: "[HOSTIP:]HOSTPORT[-END]:PORT[-END][/tcp|udp], as docker run -p.")
  var publish: [String] = []

  @Flag(help: "No address: the interface is up, and that is all.")
  var noAddress = false

  @Flag(help: "Do not tell the neighbours.")
  var noAnnounce = false

  @Flag(help: "Keep frames from other isolated endpoints away.")
  var isolated = false

  @Flag(help: "Let only the endpoint's own addresses through.")
  var `guard` = false

  @Option(help: "KEY=VALUE, for people and scripts to find the endpoint by.", transform: KeyValue.partial)
  var label: [KeyValue] = []

  @Option(
    name: [.customShort("o"), .customLong("opt")], help: "KEY=VALUE for the driver.", transform: KeyValue.partial)
  var option: [KeyValue] = []

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var request: ConnectRequest {
    var request = ConnectRequest(sandbox: sandbox)
    request.ip = ip
    request.ip6 = ip6
    request.mac = mac
    request.interface = ifname
    request.mtu = mtu
    request.aliases = alias.nonEmpty
    request.publish = publish.nonEmpty
    request.noAddress = noAddress ? true : nil
    request.noAnnounce = noAnnounce ? true : nil
    request.isolated = isolated ? true : nil
    request.guard = `guard` ? true : nil
    request.labels = label.dictionary
    request.options = option.dictionary
    return request
  }

  func perform(on service: any ControlService, output: Output) throws {
    try output.created(service.connect(network: network, request))
  }
}

struct NetworkDisconnect: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "disconnect", abstract: "Disconnect a sandbox from a network; once more is no error.")

  @Argument(help: "A network's name or id.", completion: Names.networks) var network: String
  @Argument(help: "A sandbox's name or id, or the path of a network namespace.", completion: Names.sandboxes)
  var sandbox: String
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.disconnect(network: network, sandbox: sandbox)
  }
}
