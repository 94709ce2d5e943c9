import CNI
import ControlModel
import Wire

/// A network as Podman describes it.
struct PodmanNetwork {
  /// By which a network is known for one that the plugin made: Podman's id of it.
  static let label = "org.martlet.podman.network"

  let id: String
  let demand: NetworkDemand
  let routes: [RouteRequest]
  let hasDefaultRoute: Bool

  init(_ object: JSONObject) throws(ControlError) {
    guard let name = try object.string("name"), let id = try object.string("id") else {
      throw ControlError(.invalid, "\(object.path("name")), \(object.path("id")): a network has both")
    }
    self.id = id
    var request = NetworkRequest(name: name)
    request.labels = [Self.label: id]
    request.internal = try object.boolean("internal")
    var (subnets, gateways): ([String], [String]) = ([], [])
    for entry in try object.objects("subnets") ?? [] {
      guard let subnet = try entry.string("subnet"), IPPrefix(subnet) != nil else {
        throw ControlError(.invalid, "\(entry.path("subnet")) is no prefix such as 10.1.0.0/16")
      }
      subnets.append(subnet)
      if let gateway = try entry.string("gateway") { gateways.append(gateway) }
    }
    (request.subnets, request.gateways) = (subnets.nonEmpty, gateways.nonEmpty)
    // Podman gives an internal network, and one without an address management of its own, no gateway.
    if gateways.isEmpty && !subnets.isEmpty { request.noGateway = true }
    // Podman chooses no subnets for plugins.
    let hasIPv6Subnet = subnets.contains { IPPrefix($0)?.isIPv6 == true }
    if try object.boolean("ipv6_enabled") == true, !hasIPv6Subnet { request.ipv6 = true }
    let options = try object.texts("options") ?? [:]
    let mtu = try options["mtu"].map { text throws(ControlError) in
      guard let mtu = Int(text) else { throw ControlError(.invalid, "option mtu: \(text) is no number") }
      return mtu
    }
    request.mtu = mtu == 0 ? nil : mtu
    hasDefaultRoute = options["no_default_route"] != "1" && options["no_default_route"] != "true"
    request.options = try Self.options(options, interface: try object.string("network_interface") ?? "")
    demand = NetworkDemand(request)
    routes = try Self.routes(object)
  }

  /// Those of Docker's bridge driver and Martlet's own; any other is refused by name.
  private static func options(_ all: [String: String], interface: String) throws(ControlError) -> [String: String]? {
    var options = all
    for key in ["mtu", "no_default_route"] { options[key] = nil }
    for (key, value) in options.sorted(by: { $0.key < $1.key })
    where !key.hasPrefix("com.docker.network.") && !key.hasPrefix("org.martlet.") {
      throw ControlError(
        .unsupported,
        "option \(key)=\(value) is not known: there are mtu, no_default_route, com.docker.network.* and org.martlet.*")
    }
    if !interface.isEmpty { options["com.docker.network.bridge.name"] = interface }
    return options.nonEmpty
  }

  private static func routes(_ object: JSONObject) throws(ControlError) -> [RouteRequest] {
    var routes: [RouteRequest] = []
    for entry in try object.objects("routes") ?? [] {
      guard let destination = try entry.string("destination") else {
        throw ControlError(.invalid, "\(entry.path("destination")) is missing")
      }
      if let metric = try entry.integer("metric"), metric != 0 {
        throw ControlError(.unsupported, "\(entry.path("metric")) \(metric): routes have none here")
      }
      routes.append(RouteRequest(destination: destination, gateway: try entry.string("gateway")))
    }
    return routes
  }
}
