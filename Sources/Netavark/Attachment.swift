import CNI
import ControlModel
import Wire

/// What `setup` and `teardown` get: a container on one network.
struct Attachment {
  private static let containerLabel = "org.martlet.podman.container"
  private static let interfaceLabel = "org.martlet.podman.interface"

  let network: PodmanNetwork
  let connect: ConnectRequest
  private let containerID: String

  /// - Parameter namespace: the path of the container's network namespace.
  init(_ object: JSONObject, namespace: String) throws(ControlError) {
    guard let containerID = try object.string("container_id"), !containerID.isEmpty,
      let description = try object.object("network")
    else { throw ControlError(.invalid, "container_id and network are needed") }
    guard namespace.hasPrefix("/") else {
      throw ControlError(.invalid, "the network namespace \(namespace) is no absolute path")
    }
    self.containerID = containerID
    network = try PodmanNetwork(description)
    let options = try object.object("network_options") ?? JSONObject([:], name: "network_options")
    if let further = try options.texts("options"), let key = further.keys.min() {
      throw ControlError(.unsupported, "\(options.path("options")): \(key)=\(further[key] ?? "") is not known")
    }
    var connect = ConnectRequest(sandbox: namespace)
    connect.interface = try options.string("interface_name")
    connect.mac = try options.string("static_mac")
    connect.aliases = try Self.aliases(object, options).nonEmpty
    connect.publish = try Self.ports(object).nonEmpty
    connect.routes = network.routes.nonEmpty
    if !network.hasDefaultRoute { connect.noDefaultRoute = true }
    try Self.give(try options.strings("static_ips") ?? [], to: &connect)
    connect.labels = [PodmanNetwork.label: network.id, Self.containerLabel: containerID]
    connect.labels?[Self.interfaceLabel] = connect.interface
    self.connect = connect
  }

  var containerFilter: String { "\(Self.containerLabel)=\(containerID)" }

  func isOf(_ endpoint: Endpoint) -> Bool {
    let labels = connect.labels ?? [:]
    return labels.allSatisfy { endpoint.labels[$0.key] == $0.value }
  }

  private static func give(_ addresses: [String], to connect: inout ConnectRequest) throws(ControlError) {
    for text in addresses {
      guard let address = IPAddress(text) else {
        throw ControlError(.invalid, "network_options.static_ips: \(text) is no IP address")
      }
      guard (address.isIPv6 ? connect.ip6 : connect.ip) == nil else {
        throw ControlError(.unsupported, "network_options.static_ips: an endpoint has one address of each family")
      }
      if address.isIPv6 { connect.ip6 = text } else { connect.ip = text }
    }
  }

  /// The container's name is one of them where it can be.
  private static func aliases(_ object: JSONObject, _ options: JSONObject) throws(ControlError) -> [String] {
    var aliases = try options.strings("aliases") ?? []
    if let name = try object.string("container_name"), !name.isEmpty, !aliases.contains(name) {
      aliases.insert(name, at: 0)
    }
    return aliases
  }

  private static func ports(_ object: JSONObject) throws(ControlError) -> [String] {
    var mappings: [PortMapping] = []
    for entry in try object.objects("port_mappings") ?? [] {
      // "tcp,udp" stands for both.
      for family in (try entry.string("protocol") ?? "tcp").split(separator: ",") {
        mappings.append(
          try PortMapping(
            name: entry.path("host_port"), hostAddress: entry.string("host_ip"), hostPort: entry.integer("host_port"),
            port: entry.integer("container_port"), count: max(1, entry.integer("range") ?? 1),
            protocol: String(family)))
      }
    }
    return PortMapping.joined(mappings).map(\.specification)
  }
}
