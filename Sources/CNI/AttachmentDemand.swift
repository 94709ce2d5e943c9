import ControlModel
import Wire

/// What an ADD asks for, parsed: nothing is changed by it.
struct AttachmentDemand {
  var network: NetworkDemand
  var connect: ConnectRequest
  /// A default route is to be there, as far as the network has a gateway.
  private var wantsDefaultRoute: Bool
  /// nil: as fast as it goes.
  private(set) var rates: EndpointChange?
  /// For resolv.conf; nil: nothing is known.
  private(set) var dns: JSONValue?

  init(_ configuration: Configuration, _ invocation: Invocation) throws(CNIError) {
    let object = configuration.object
    let arguments = try ExtraArguments(invocation.arguments)
    let isDelegated = configuration.addressManager != nil
    var connect = ConnectRequest(sandbox: invocation.namespace)
    (network, wantsDefaultRoute, dns, rates) = try translated { () throws(ControlError) in
      let network = try NetworkDemand(configuration)
      let runtime = try object.object("runtimeConfig") ?? JSONObject([:], name: "runtimeConfig")
      let conventions = try object.object("args")?.object("cni") ?? JSONObject([:], name: "args.cni")
      try Self.refuseUnsupported(runtime)
      connect.interface = invocation.interface
      connect.mtu = network.request.mtu
      let macs = try [runtime.string("mac"), conventions.string("mac"), arguments.mac]
      connect.mac = macs.lazy.compactMap { $0?.nonEmpty }.first
      connect.aliases = try Self.aliases(configuration.name, runtime, podName: arguments.podName).nonEmpty
      connect.publish = try Self.ports(runtime).nonEmpty
      connect.labels = try Self.labels(conventions).merging(AttachmentLabels.labels(configuration, invocation)) { $1 }
      if !isDelegated {
        let addresses = try [runtime.strings("ips"), conventions.strings("ips"), arguments.addresses]
        try Self.give(addresses.lazy.compactMap { $0?.nonEmpty }.first ?? [], to: &connect)
      }
      var wantsDefaultRoute = !isDelegated
      if !isDelegated, let routes = try object.object("ipam")?.objects("routes") {
        wantsDefaultRoute = try Self.give(Lease.routes(routes), to: &connect)
      }
      if try object.boolean("isDefaultGateway") == true { wantsDefaultRoute = true }
      let own = try object.object("dns").map { JSONValue.object($0.fields) }
      let asked = try Self.dns(runtime)
      return (network, wantsDefaultRoute, asked ?? own, try Self.rates(runtime))
    }
    if !wantsDefaultRoute { connect.noDefaultRoute = true }
    self.connect = connect
  }

  /// Takes what a delegated plugin gave.
  mutating func take(_ lease: Lease) throws(ControlError) {
    network.take(lease)
    try Self.give(lease.addresses.map { $0.prefix.address.description }, to: &connect)
    for route in lease.routes where route.destination.length == 0 {
      let gateways = network.request.gateways ?? []
      guard route.gateway.map({ gateways.contains($0.description) }) ?? true else {
        throw ControlError(
          .unsupported, "the default route \(route.destination) by \(route.gateway!): it leads by the network's gateway"
        )
      }
    }
    let hasDefaultRoute = try Self.give(lease.routes, to: &connect)
    connect.noDefaultRoute = hasDefaultRoute || wantsDefaultRoute ? nil : true
    if dns == nil { dns = lease.dns }
  }

  /// - Returns: whether a default route is among them.
  private static func give(_ routes: [Lease.Route], to connect: inout ConnectRequest) throws(ControlError) -> Bool {
    connect.routes =
      routes.filter { $0.destination.length > 0 }.map {
        RouteRequest(destination: $0.destination.network.description, gateway: $0.gateway?.description)
      }.nonEmpty
    return routes.contains { $0.destination.length == 0 }
  }

  /// With or without prefix length, at most one of each family.
  private static func give(_ addresses: [String], to connect: inout ConnectRequest) throws(ControlError) {
    for text in addresses {
      guard let address = IPAddress(String(text.prefix { $0 != "/" })) else {
        throw ControlError(.invalid, "\(quoted(text)) is no IP address")
      }
      let taken = address.isIPv6 ? connect.ip6 : connect.ip
      if let taken {
        throw ControlError(
          .unsupported, "the addresses \(taken) and \(address): an endpoint has one of each family")
      }
      if address.isIPv6 { connect.ip6 = address.description } else { connect.ip = address.description }
    }
  }

  // MARK: Capabilities

  private static func refuseUnsupported(_ runtime: JSONObject) throws(ControlError) {
    if let ranges = try runtime.array("ipRanges"), !ranges.isEmpty {
      throw ControlError(
        .unsupported,
        "\(runtime.path("ipRanges")) \(JSONValue.array(ranges).text.prefix(80)): give the network a subnet")
    }
  }

  /// Bits a second, as the container sees them. How much may come at once is Martlet's to say.
  private static func rates(_ runtime: JSONObject) throws(ControlError) -> EndpointChange? {
    guard let bandwidth = try runtime.object("bandwidth") else { return nil }
    func rate(_ key: String) throws(ControlError) -> UInt64? {
      guard let bits = try bandwidth.integer(key), bits != 0 else { return nil }
      guard bits > 0 else { throw ControlError(.invalid, "\(bandwidth.path(key)) \(bits) is no rate") }
      return UInt64(bits)
    }
    var change = EndpointChange()
    (change.rateIn, change.rateOut) = (try rate("egressRate"), try rate("ingressRate"))
    return change.rateIn == nil && change.rateOut == nil ? nil : change
  }

  /// Of this network, and the pod's name, if it may be one.
  private static func aliases(
    _ network: String, _ runtime: JSONObject, podName: String?
  ) throws(ControlError) -> [String] {
    var aliases = try runtime.object("aliases")?.strings(network) ?? []
    if let podName, Invocation.isIdentifier(podName), !aliases.contains(podName) { aliases.append(podName) }
    return aliases
  }

  private static func ports(_ runtime: JSONObject) throws(ControlError) -> [String] {
    var mappings: [PortMapping] = []
    for entry in try runtime.objects("portMappings") ?? [] {
      mappings.append(
        try PortMapping(
          name: entry.path("hostPort"), hostAddress: entry.string("hostIP"), hostPort: entry.integer("hostPort"),
          port: entry.integer("containerPort"), protocol: entry.string("protocol")))
    }
    return PortMapping.joined(mappings).map(\.specification)
  }

  private static func labels(_ conventions: JSONObject) throws(ControlError) -> [String: String] {
    var labels: [String: String] = [:]
    for entry in try conventions.objects("labels") ?? [] {
      guard let key = try entry.string("key") else { continue }
      labels[key] = try entry.string("value") ?? ""
    }
    return labels
  }

  /// What the runtime wants in resolv.conf (capability `dns`), in the words of a result.
  private static func dns(_ runtime: JSONObject) throws(ControlError) -> JSONValue? {
    guard let asked = try runtime.object("dns") else { return nil }
    var fields: [String: JSONValue] = [:]
    for (theirs, ours) in [("servers", "nameservers"), ("searches", "search"), ("options", "options")] {
      if let texts = try asked.strings(theirs)?.nonEmpty { fields[ours] = .array(texts.map { .string($0) }) }
    }
    return fields.isEmpty ? nil : .object(fields)
  }
}
