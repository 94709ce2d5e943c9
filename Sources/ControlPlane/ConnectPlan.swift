import ControlModel
import Wire

/// What a request to connect asks for, parsed and checked against the network. Nothing is changed by it.
struct ConnectPlan {
  private(set) var ipv4: IPAddress?
  private(set) var ipv6: IPAddress?
  private(set) var mac: MACAddress?
  /// nil: the next free one.
  private(set) var interface: String?
  /// nil: the network's.
  private(set) var mtu: Int?
  private(set) var aliases: [String] = []
  private(set) var labels: [String: String] = [:]
  private(set) var isIsolated = false
  private(set) var isAddressed = false
  private(set) var isAnnounced = false
  private(set) var published: [PublishedSpecification] = []
  private(set) var routes: [PlannedRoute] = []
  private(set) var givesDefaultRoute = true

  init(_ request: ConnectRequest, network: NetworkRecord, subnets: [SubnetRecord]) throws(ControlError) {
    try Self.refuseUnsupported(request)
    aliases = request.aliases ?? []
    guard aliases.count <= Limits.aliases else {
      throw ControlError(.invalid, "\(aliases.count) aliases: at most \(Limits.aliases) are allowed")
    }
    for alias in aliases { try Name.checkAlias(alias) }
    labels = request.labels ?? [:]
    try Name.checkLabels(labels)
    for text in request.publish ?? [] { published.append(try PublishedSpecification(text)) }
    guard network.driver.hasSwitch else {
      try Self.refuseInterfaceSettings(request, network)
      return
    }
    let options = try network.parsedOptions
    try Controller.checkIsolation(request.isolated, on: network)
    isIsolated = request.isolated ?? (!options.connectsEndpoints || network.lanMode?.isPrivate == true)
    isAddressed = request.noAddress != true && !subnets.isEmpty
    isAnnounced = isAddressed && request.noAnnounce != true
    ipv4 = try Self.address(request.ip, isIPv6: false, network, subnets)
    ipv6 = try Self.address(request.ip6, isIPv6: true, network, subnets)
    if !isAddressed, let asked = ipv4 ?? ipv6 {
      throw ControlError(.invalid, "address \(asked) and no address contradict each other")
    }
    mac = try Self.mac(request.mac)
    if let mac, network.lanMode?.sharesMAC == true {
      throw ControlError(
        .invalid, "MAC \(mac): endpoints of network \(network.name) have its parent's, \(network.sharedMac ?? .zero)")
    }
    if let name = request.interface {
      try Name.checkInterface(name)
      interface = name
    }
    givesDefaultRoute = request.noDefaultRoute != true
    routes = try PlannedRoute.plan(request.routes ?? [], subnets: isAddressed ? subnets : [])
    mtu = try Self.mtu(request.mtu, network, hasIPv6: isAddressed && subnets.contains(where: \.isIpv6))
  }

  /// What later versions will do must not look done.
  private static func refuseUnsupported(_ request: ConnectRequest) throws(ControlError) {
    if request.guard == true {
      throw ControlError(.unsupported, "the address guard is not built yet: connect without --guard")
    }
    if let key = request.options?.keys.sorted().first {
      throw ControlError(.unsupported, "option \(key.quoted) is not known: an endpoint takes no options yet")
    }
  }

  private static func refuseInterfaceSettings(_ request: ConnectRequest, _ network: NetworkRecord) throws(ControlError)
  {
    let given: [(String, Bool)] = [
      ("address", request.ip != nil || request.ip6 != nil), ("MAC", request.mac != nil),
      ("interface name", request.interface != nil), ("MTU", request.mtu != nil),
      ("isolation", request.isolated == true), ("published port", request.publish?.isEmpty == false),
      ("route", request.routes?.isEmpty == false),
    ]
    if let first = given.first(where: \.1) {
      throw ControlError(
        .invalid,
        "network \(network.name) of the driver \(network.driver.rawValue) gives no interface: it takes no \(first.0)")
    }
  }

  private static func address(
    _ text: String?, isIPv6: Bool, _ network: NetworkRecord, _ subnets: [SubnetRecord]
  ) throws(ControlError) -> IPAddress? {
    guard let text else { return nil }
    let family = isIPv6 ? "IPv6" : "IPv4"
    guard let address = IPAddress(text), address.isIPv6 == isIPv6 else {
      throw ControlError(.invalid, "address \(text.quoted) is no \(family) address")
    }
    guard subnets.contains(where: { $0.isIpv6 == isIPv6 }) else {
      throw ControlError(.invalid, "address \(address): network \(network.name) has no \(family) subnet")
    }
    return address
  }

  private static func mac(_ text: String?) throws(ControlError) -> MACAddress? {
    guard let text else { return nil }
    guard let mac = MACAddress(text) else {
      throw ControlError(.invalid, "MAC \(text.quoted) is no address such as 02:42:ac:11:00:02")
    }
    guard mac.isValidSource else {
      throw ControlError(
        .invalid, "MAC \(mac) is \(mac == .zero ? "zero" : "a group address"): an interface needs a unicast one")
    }
    return mac
  }

  private static func mtu(_ asked: Int?, _ network: NetworkRecord, hasIPv6: Bool) throws(ControlError) -> Int? {
    guard let asked else { return nil }
    let lowest = hasIPv6 ? Limits.ipv6MTUMinimum : Limits.mtu.lowerBound
    guard asked >= lowest, asked <= network.mtu else {
      throw ControlError(.invalid, "MTU \(asked): network \(network.name) allows \(lowest) to \(network.mtu)")
    }
    return asked
  }
}
