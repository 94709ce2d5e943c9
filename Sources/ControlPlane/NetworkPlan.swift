import ControlModel
import Wire

/// A prefix that a new subnet must not overlap, and whose it is.
struct PrefixInUse {
  var prefix: IPPrefix
  /// `network web`, or `a route of the host`.
  var owner: String
  /// Promised to an engine for a network to come.
  var isPool = false
}

/// What a request for a network comes to, checked against itself and against the prefixes in use. Nothing is changed by it.
struct NetworkPlan {
  var network: NetworkRecord
  var subnets: [SubnetRecord] = []
  /// By the request, or its options.
  private(set) var isMTUGiven = false
  /// nil: the driver makes none.
  private(set) var overlay: OverlayPlan?

  init(
    _ request: NetworkRequest, from origin: NetworkOrigin = .user, uplink: String? = nil, inUse: [PrefixInUse],
    created: String,
    ula: () throws(ControlError) -> IPPrefix
  ) throws(ControlError) {
    try Name.check(request.name, of: "network")
    let driver = try Self.driver(request.driver)
    let labels = request.labels ?? [:]
    try Name.checkLabels(labels)
    let id = origin.id ?? Identifier.random()
    network = NetworkRecord(
      id: id, name: request.name, driver: driver, isInternal: false, mtu: Limits.defaultMTU,
      ageingSeconds: Limits.defaultAgeingSeconds, fdbLimit: Limits.defaultFDBLimit, gatewayMode: .nat, labels: labels,
      options: [:], isEngines: origin.isEngine, state: .creating, created: created)
    guard driver.hasSwitch else {
      try Self.refuseBridgeSettings(request, driver)
      return
    }

    let options = try NetworkOptions(request.options ?? [:], driver)
    network.options = request.options ?? [:]
    network.isInternal = request.internal ?? false
    isMTUGiven = request.mtu ?? options.mtu != nil
    network.mtu = try Self.mtu(request.mtu, option: options.mtu)
    network.ageingSeconds = try Self.check(
      request.ageingSeconds ?? network.ageingSeconds, in: Limits.ageingSeconds, "ageing time in seconds")
    network.fdbLimit = try Self.check(request.fdbLimit ?? network.fdbLimit, in: Limits.fdbEntries, "MAC table's limit")
    if driver == .overlay { overlay = options.overlay }
    network.gatewayMode = try Self.gatewayMode(request.gatewayMode)
    try options.check(network.gatewayMode)
    if driver.isOnLAN {
      let plan = try LANPlan(options, driver, isInternal: network.isInternal, uplink: uplink)
      (network.lanMode, network.parent, network.gatewayMode) = (plan.mode, plan.parent, .routed)
      try Self.checkLAN(request, driver, isRouted: plan.mode == nil)
    }
    // On the LAN addresses are the LAN's to give, unless its subnet was told; an engine tells of all there are.
    if (network.parent == nil && !origin.isEngine) || request.subnets?.isEmpty == false {
      subnets = try SubnetPlan(request, networkID: id, inUse: inUse, ula: ula).subnets
    }
    if let outside = options.prefix6 {
      guard let inside = subnets.first(where: \.isIpv6)?.prefix, inside.length == outside.length else {
        throw ControlError(
          .invalid,
          "option \(NetworkOptions.prefix6Key): the network needs an IPv6 subnet of the length of \(outside)")
      }
    }
    if subnets.contains(where: \.isIpv6), network.mtu < Limits.ipv6MTUMinimum {
      throw ControlError(.invalid, "MTU \(network.mtu): IPv6 needs at least \(Limits.ipv6MTUMinimum)")
    }
    guard network.lanMode == nil else { return }
    if request.noGateway != true {
      var generator = SystemRandomNumberGenerator()
      network.gatewayMac = .randomLocal(using: &generator)
      network.gatewayInterface = options.gatewayInterface ?? Self.gatewayInterface(forNetwork: id)
    } else if options.gatewayInterface != nil {
      throw ControlError(
        .invalid, "\(NetworkOptions.gatewayInterfaceKey) names an interface that a network without a gateway has not")
    }
  }

  /// Fills the fifteen bytes that an interface's name may have.
  static func gatewayInterface(forNetwork id: String) -> String { "mt-" + id.prefix(11) }

  private static func driver(_ name: String?) throws(ControlError) -> Driver {
    guard let name else { return .bridge }
    if let driver = Driver(rawValue: name) { return driver }
    let known = Driver.allCases.map(\.rawValue).joined(separator: ", ")
    throw ControlError(.invalid, "no driver \(name.quoted): there are \(known)")
  }

  private static func refuseBridgeSettings(_ request: NetworkRequest, _ driver: Driver) throws(ControlError) {
    let given: [(String, Bool)] = [
      ("subnets", request.subnets?.isEmpty == false), ("gateways", request.gateways?.isEmpty == false),
      ("ip-ranges", request.ipRanges?.isEmpty == false),
      ("aux-addresses", request.auxiliaryAddresses?.isEmpty == false),
      ("internal switch", request.internal == true), ("ipv6", request.ipv6 == true), ("MTU", request.mtu != nil),
      ("ageing time", request.ageingSeconds != nil), ("limit of a MAC table", request.fdbLimit != nil),
      ("gateway mode", request.gatewayMode != nil), ("options", request.options?.isEmpty == false),
    ]
    if let first = given.first(where: \.1) {
      throw ControlError(.invalid, "a network of the driver \(driver.rawValue) has no switch: it takes no \(first.0)")
    }
  }

  static func gatewayMode(_ name: String?) throws(ControlError) -> GatewayMode {
    guard let name else { return .nat }
    if let mode = GatewayMode(rawValue: name) { return mode }
    let known = GatewayMode.allCases.map(\.rawValue).joined(separator: ", ")
    throw ControlError(.invalid, "no gateway mode \(name.quoted): there are \(known)")
  }

  static func check(_ value: Int, in range: ClosedRange<Int>, _ what: String) throws(ControlError) -> Int {
    guard range.contains(value) else {
      throw ControlError(.invalid, "\(what) \(value): allowed is \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  private static func mtu(_ asked: Int?, option: Int?) throws(ControlError) -> Int {
    if let asked, let option, asked != option {
      throw ControlError(.invalid, "MTU \(asked) and \(NetworkOptions.mtuKey) \(option) contradict each other")
    }
    return try check(asked ?? option ?? Limits.defaultMTU, in: Limits.mtu, "MTU")
  }
}
