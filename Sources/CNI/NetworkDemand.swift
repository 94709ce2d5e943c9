import ControlModel
import Wire

/// A network as a configuration describes it: made where there is none, compared with where there is one.
public struct NetworkDemand: Equatable, Sendable {
  public var request: NetworkRequest

  public init(_ request: NetworkRequest) { self.request = request }

  /// Several callers may ask at the same moment: one of them makes it, all of them get it.
  public func satisfy(_ service: any ControlService) throws(ControlError) -> Network {
    if let network = try find(service) { return network }
    do throws(ControlError) {
      _ = try service.createNetwork(request)
    } catch let error where error.code == .conflict {
      // Another was faster; or a subnet is taken.
      guard let network = try find(service) else { throw error }
      return network
    }
    return try service.bareNetwork(request.name)
  }

  private func find(_ service: any ControlService) throws(ControlError) -> Network? {
    do throws(ControlError) {
      let network = try service.bareNetwork(request.name)
      try check(network)
      return network
    } catch let error where error.code == .notFound {
      return nil
    }
  }

  /// What the configuration leaves open may be as it likes.
  private func check(_ network: Network) throws(ControlError) {
    func refuse(_ what: String, _ asked: String, _ found: String) -> ControlError {
      ControlError(
        .invalid,
        "network \(network.name) exists, and its \(what) is \(found), not \(asked): change the configuration, or remove the network"
      )
    }
    if let driver = request.driver, driver != network.driver { throw refuse("driver", driver, network.driver) }
    if let isInternal = request.internal, isInternal != network.internal {
      throw refuse("internal", "\(isInternal)", "\(network.internal)")
    }
    let subnets = network.subnets.map(\.subnet)
    for asked in request.subnets ?? [] where !subnets.contains(where: { IPPrefix($0) == IPPrefix(asked) }) {
      throw refuse("subnet", asked, subnets.joined(separator: ", "))
    }
    let gateways = network.subnets.compactMap(\.gateway)
    for asked in request.gateways ?? [] where !gateways.contains(where: { IPAddress($0) == IPAddress(asked) }) {
      throw refuse("gateway", asked, gateways.joined(separator: ", "))
    }
  }
}

extension NetworkDemand {
  /// Of the configuration alone, that all users of the network share.
  init(_ configuration: Configuration) throws(ControlError) {
    let object = configuration.object
    try Self.refuseUnknown(object)
    var request = NetworkRequest(name: configuration.network)
    request.driver = try object.string("driver")
    request.internal = try object.boolean("internal")
    request.ipv6 = try object.boolean("ipv6")
    request.mtu = try object.integer("mtu")
    request.labels = try object.texts("labels")
    request.options = try Self.options(object)
    if try object.boolean("isGateway") == false { request.noGateway = true }
    var subnets = try Self.texts("subnet", "subnets", of: object)
    var gateways = try Self.texts("gateway", "gateways", of: object)
    if let own = try object.object("ipam"), configuration.addressManager == nil {
      try Self.refuseUnknown(
        own, known: ["type", "subnet", "subnets", "gateway", "gateways", "ipRange", "ipRanges", "routes"])
      subnets += try Self.texts("subnet", "subnets", of: own)
      gateways += try Self.texts("gateway", "gateways", of: own)
      request.ipRanges = try Self.texts("ipRange", "ipRanges", of: own).nonEmpty
    }
    (request.subnets, request.gateways) = (subnets.nonEmpty, gateways.nonEmpty)
    self.init(request)
  }

  /// Of the specification, of libcni, ours, and those of the plugin `bridge` that mean something here.
  private static let known: Set<String> = [
    "cniVersion", "cniVersions", "name", "type", "args", "capabilities", "runtimeConfig", "prevResult", "ipam", "dns",
    "disableCheck", "disableGC", "socket", "network", "driver", "subnet", "subnets", "gateway", "gateways", "ipv6",
    "internal", "mtu", "options", "labels", "bridge", "ipMasq", "isGateway", "isDefaultGateway", "hairpinMode",
  ]

  /// An option that is passed over is a promise that is not kept. Those of a namespace (`cni.dev/...`) are the runtime's.
  private static func refuseUnknown(_ object: JSONObject, known: Set<String> = known) throws(ControlError) {
    for key in object.fields.keys.sorted() where !known.contains(key) && !key.contains("/") && object.has(key) {
      let value = object.fields[key]?.text.prefix(80) ?? ""
      throw ControlError(.unsupported, "\(object.path(key)) is not known, with the value \(value): take it out")
    }
  }

  private static func texts(_ one: String, _ several: String, of object: JSONObject) throws(ControlError) -> [String] {
    (try object.string(one).map { [$0] } ?? []) + (try object.strings(several) ?? [])
  }

  private static func options(_ object: JSONObject) throws(ControlError) -> [String: String]? {
    var options = try object.texts("options") ?? [:]
    options["com.docker.network.bridge.name"] = try object.string("bridge") ?? options["com.docker.network.bridge.name"]
    if try object.boolean("ipMasq") == false { options["com.docker.network.bridge.enable_ip_masquerade"] = "false" }
    return options.isEmpty ? nil : options
  }

  /// The network that a delegated plugin's addresses lie in.
  mutating func take(_ lease: Lease) {
    request.subnets = lease.addresses.map { $0.prefix.network.description }
    guard request.noGateway != true else { return }
    if request.gateways == nil {
      request.gateways = lease.addresses.compactMap { $0.gateway?.description }.nonEmpty
      if request.gateways == nil { request.noGateway = true }
    }
  }
}

extension Collection {
  /// nil where there is nothing in it.
  public var nonEmpty: Self? { isEmpty ? nil : self }
}
