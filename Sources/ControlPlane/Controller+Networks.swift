import ControlModel
import Wire

/// Who has a network made.
enum NetworkOrigin: Equatable {
  case user
  /// An engine, which gives the id.
  case engine(id: String)
  /// The cluster: another of its hosts maybe. The VTEP is this host's.
  case cluster(id: String, vtep: IPAddress)

  /// nil: whichever.
  var id: String? {
    switch self {
    case .user: nil
    case .engine(let id), .cluster(let id, _): id
    }
  }

  var isEngine: Bool { if case .engine = self { true } else { false } }
  var vtep: IPAddress? { if case .cluster(_, let vtep) = self { vtep } else { nil } }
}

/// A network that can be made.
struct PlannedNetwork {
  var network: NetworkRecord
  var subnets: [SubnetRecord]
  /// What its options say of the overlay; nil: it has none.
  var overlayPlan: OverlayPlan?
  var overlay: (record: OverlayRecord, underlay: HostLink)?
  var parent: HostLink?
}

extension Controller {
  func createNetwork(
    _ request: NetworkRequest, from origin: NetworkOrigin = .user
  ) throws(ControlError) -> Created {
    try make(try plan(request, from: origin))
  }

  /// Changes nothing.
  /// - Parameter others: prefixes that are in use beside this host's.
  func plan(
    _ request: NetworkRequest, from origin: NetworkOrigin, others: [PrefixInUse] = []
  ) throws(ControlError) -> PlannedNetwork {
    let networks = try store.networks()
    if networks.contains(where: { $0.name == request.name }) {
      throw ControlError(.conflict, "network \(request.name) exists already")
    }
    guard networks.count < Limits.networks else {
      throw ControlError(.exhausted, "there are \(networks.count) networks, the most allowed: remove one")
    }
    var inUse = try prefixesInUse(networks, besides: request.driver) + others
    // Its own pool is no obstacle.
    if origin.isEngine, let subnets = request.subnets {
      inUse.removeAll { $0.isPool && subnets.contains($0.prefix.description) }
    }
    let plan = try NetworkPlan(
      request, from: origin, uplink: uplinkRecord?.interface, inUse: inUse, created: Self.now(),
      ula: store.ulaPrefix)
    var (network, parent) = try placed(plan.network, isMTUGiven: plan.isMTUGiven)
    network.isShared = isShared(request, from: origin)
    let overlay = try plan.overlay.map { overlay throws(ControlError) in
      try placed(overlay, on: network, at: origin.vtep)
    }
    if let overlay { network.mtu = try mtu(of: network, isGiven: plan.isMTUGiven, in: overlay) }
    if network.mtu < Limits.ipv6MTUMinimum, plan.subnets.contains(where: \.isIpv6) {
      let way = overlay?.underlay.name ?? network.parent ?? ""
      throw ControlError(.invalid, "MTU \(network.mtu) by \(way): IPv6 needs at least \(Limits.ipv6MTUMinimum)")
    }
    if !network.driver.hasSwitch, let other = networks.first(where: { $0.driver == network.driver }) {
      throw ControlError(.conflict, "network \(other.name) is the one of the driver \(network.driver.rawValue) already")
    }
    if let interface = network.gatewayInterface { try checkGatewayInterface(interface) }
    try checkOutbound(network)
    return PlannedNetwork(
      network: network, subnets: plan.subnets, overlayPlan: plan.overlay, overlay: overlay, parent: parent)
  }

  func make(_ planned: PlannedNetwork) throws(ControlError) -> Created {
    let network = planned.network
    try change { rollback throws(ControlError) in
      try store.insert(network, subnets: planned.subnets, overlay: planned.overlay?.record)
      rollback.add("forget network \(network.name)") { [store] () throws(ControlError) in
        try store.deleteNetwork(network.id)
      }
      if network.driver.hasSwitch { try raiseSwitch(network, &rollback) }
      if let record = planned.overlay?.record {
        try moveOverlay(of: network, from: nil, to: AskedOverlay(record: record, peers: peers(of: record)), &rollback)
      }
      try refreshNames(of: network)
      if network.isShared { try tellRemoteEndpoints(of: network) }
      if let parent = planned.parent { try raiseParent(network, parent, &rollback) }
      try store.setNetwork(network.id, state: .settled)
    }
    logger.info("network \(network.name) made", metadata: ["id": "\(network.id)"])
    return Created(id: network.id)
  }

  /// With what a network on the LAN takes from its parent: the MTU, where none was asked for, and the MAC address, where
  /// endpoints share it.
  private func placed(
    _ network: NetworkRecord, isMTUGiven: Bool
  ) throws(ControlError) -> (NetworkRecord, HostLink?) {
    var network = network
    // As low as any: what is asked of the parent is looked at when that is known.
    if !isMTUGiven, network.parent != nil { network.mtu = Limits.mtu.lowerBound }
    let parent = try checkParent(of: network)
    if let parent, !isMTUGiven { network.mtu = min(parent.mtu, Limits.mtu.upperBound) }
    if network.lanMode?.sharesMAC == true {
      var generator = SystemRandomNumberGenerator()
      network.sharedMac = parent?.mac ?? .randomLocal(using: &generator)
    }
    return (network, parent)
  }

  /// The most that fits, where none was asked for.
  private func mtu(
    of network: NetworkRecord, isGiven: Bool, in overlay: (record: OverlayRecord, underlay: HostLink)
  ) throws(ControlError) -> Int {
    let most = Self.mtuMax(overlay.record, by: overlay.underlay)
    guard isGiven else {
      return try NetworkPlan.check(most, in: Limits.mtu, "MTU by interface \(overlay.underlay.name)")
    }
    guard network.mtu <= most else {
      throw ControlError(
        .invalid, "MTU \(network.mtu): by interface \(overlay.underlay.name) \(most) fits, with what encapsulates it")
    }
    return network.mtu
  }

  /// What a new network's subnets must not overlap. The host's own way to the LAN is no obstacle to a network on the LAN.
  func prefixesInUse(
    _ networks: [NetworkRecord], besides driver: String?
  ) throws(ControlError) -> [PrefixInUse] {
    let interfaces = Set(networks.compactMap(\.gatewayInterface))
    let ours = try store.subnetsWithNames().map { PrefixInUse(prefix: $0.prefix, owner: "network \($0.network)") }
    let pools = try store.pools().map {
      PrefixInUse(prefix: $0.prefix, owner: "an engine's address pool", isPool: true)
    }
    if driver.flatMap(Driver.init)?.isOnLAN == true { return ours + pools }
    let others = try host.routedPrefixes(except: interfaces)
    return ours + pools + others.map { PrefixInUse(prefix: $0, owner: "a route of the host") }
  }

  private func checkGatewayInterface(_ name: String) throws(ControlError) {
    if try host.links(in: host.own).contains(where: { $0.name == name }) {
      throw ControlError(
        .conflict, "interface \(name) exists already on the host: choose another name for the gateway's")
    }
  }

  /// The network's switch in the data plane, with its gateway port.
  func raiseSwitch(_ network: NetworkRecord, _ rollback: inout Rollback) throws(ControlError) {
    let handle = try dataPlane.addNetwork(network.dataPlaneOptions)
    dataPlaneNetworks[network.id] = handle
    rollback.add("take the switch of network \(network.name) away") { [self] () throws(ControlError) in
      dataPlaneNetworks[network.id] = nil
      try dataPlane.removeNetwork(handle)
    }
    try raiseGateway(network, &rollback)
  }

  // MARK: Removing

  func removeNetwork(_ name: String) throws(ControlError) { try removeNetwork(try store.network(name)) }

  func removeNetwork(_ network: NetworkRecord) throws(ControlError) {
    try checkUnused(network)
    try store.setNetwork(network.id, state: .removing)
    endCaptures(ofNetwork: network.id)
    try lowerGateway(network)
    try lowerParent(network)
    parentTroubles[network.id] = nil
    try converge(network, to: nil)
    if let handle = dataPlaneNetworks[network.id] {
      try dataPlane.removeNetwork(handle)
      dataPlaneNetworks[network.id] = nil
    }
    forgetRemoteEndpoints(of: network)
    names?.removeNetwork(id: network.id)
    try store.deleteNetwork(network.id)
    logger.info("network \(network.name) removed", metadata: ["id": "\(network.id)"])
  }

  func checkUnused(_ network: NetworkRecord) throws(ControlError) {
    try checkServices(of: network)
    let endpoints = try store.endpoints(ofNetwork: network.id)
    if !endpoints.isEmpty {
      let names = try listSandboxes(of: endpoints)
      throw ControlError(.conflict, "network \(network.name) is in use by \(names): disconnect first")
    }
    if let port = try store.interfacePorts(ofNetwork: network.id).first {
      throw ControlError(
        .conflict,
        "network \(network.name) is in use by interface \(port.interface): martlet port detach \(network.name) \(port.interface)"
      )
    }
  }

  /// `sandbox a, b and 3 more`.
  private func listSandboxes(of endpoints: [EndpointRecord]) throws(ControlError) -> String {
    let shown = 5
    var names: [String] = []
    for endpoint in endpoints.prefix(shown) {
      names.append(try store.sandbox(id: endpoint.sandboxId)?.name ?? endpoint.id)
    }
    let rest = endpoints.count > shown ? " and \(endpoints.count - shown) more" : ""
    return "sandbox \(names.joined(separator: ", "))\(rest)"
  }

  /// Those without endpoints and attached interfaces.
  func unusedNetworks() throws(ControlError) -> [String] {
    var unused: [String] = []
    for network in try store.networks() {
      guard try store.endpoints(ofNetwork: network.id).isEmpty,
        try store.interfacePorts(ofNetwork: network.id).isEmpty, try store.services(ofNetwork: network.id).isEmpty
      else { continue }
      unused.append(network.name)
    }
    return unused
  }

  // MARK: Changing

  func changeNetwork(_ name: String, _ change: NetworkChange) throws(ControlError) -> Network {
    let old = try settled(try store.network(name))
    guard old.driver.hasSwitch else {
      throw ControlError(.unsupported, "network \(old.name) of the driver \(old.driver.rawValue) has nothing to set")
    }
    if old.driver.isOnLAN, change.gatewayMode != nil || change.ageingSeconds != nil || change.fdbLimit != nil {
      throw ControlError(
        .invalid, "network \(old.name) of the driver \(old.driver.rawValue): nothing but the MTU can be set")
    }
    let new = try changed(old, by: change)
    guard new != old else { return try view(old) }
    try self.change { rollback throws(ControlError) in
      // The switch takes the larger frames before an interface may send them, and the smaller ones after.
      if new.mtu >= old.mtu { try changeSwitch(from: old, to: new, &rollback) }
      if new.mtu != old.mtu { try changeInterfaces(from: (old.mtu, nil), to: (new.mtu, nil), of: old, &rollback) }
      if new.mtu < old.mtu { try changeSwitch(from: old, to: new, &rollback) }
      if new.gatewayMode != old.gatewayMode { try changeGatewayMode(from: old, to: new, &rollback) }
      try store.update(new)
    }
    if new.gatewayMode != old.gatewayMode {
      refreshDefaultRoutes(ofNetwork: new)
      refreshNames(inSandboxesOf: new)
    }
    return try view(new)
  }

  private func changed(_ old: NetworkRecord, by change: NetworkChange) throws(ControlError) -> NetworkRecord {
    var new = old
    if let ageing = change.ageingSeconds {
      new.ageingSeconds = try NetworkPlan.check(ageing, in: Limits.ageingSeconds, "ageing time in seconds")
    }
    if let limit = change.fdbLimit {
      new.fdbLimit = try NetworkPlan.check(limit, in: Limits.fdbEntries, "MAC table's limit")
    }
    if let mode = change.gatewayMode {
      new.gatewayMode = try NetworkPlan.gatewayMode(mode)
      try old.parsedOptions.check(new.gatewayMode)
      try checkPublications(of: old, allow: new)
    }
    if let mtu = change.mtu {
      if old.isShared, mtu != old.mtu {
        throw ControlError(
          .unsupported, "network \(old.name) is the cluster's: its MTU is the same on all hosts and stays \(old.mtu)")
      }
      new.mtu = try NetworkPlan.check(mtu, in: Limits.mtu, "MTU")
      try checkMTU(mtu, of: old)
      try checkOverlayMTU(mtu, of: old)
    }
    return new
  }

  /// Refuses what does not fit the network's subnets, endpoints or interfaces.
  func checkMTU(_ mtu: Int, of old: NetworkRecord) throws(ControlError) {
    if mtu < Limits.ipv6MTUMinimum, try store.subnets(ofNetwork: old.id).contains(where: \.isIpv6) {
      throw ControlError(
        .invalid, "MTU \(mtu): network \(old.name) has IPv6, which needs at least \(Limits.ipv6MTUMinimum)")
    }
    if let larger = try store.endpoints(ofNetwork: old.id).first(where: { ($0.mtu ?? 0) > mtu }) {
      throw ControlError(
        .conflict,
        "MTU \(mtu): endpoint \(Identifier.short(larger.id)) was given MTU \(larger.mtu!): disconnect it first")
    }
    var interfaces = Set(try store.interfacePorts(ofNetwork: old.id).map(\.interface))
    if let parent = old.parent { interfaces.insert(parent) }
    if !interfaces.isEmpty,
      let smaller = try host.links(in: host.own).first(where: { interfaces.contains($0.name) && $0.mtu < mtu })
    {
      throw ControlError(
        .conflict, "MTU \(mtu): interface \(smaller.name) has \(smaller.mtu): ip link set \(smaller.name) mtu \(mtu)")
    }
  }

  func changeSwitch(
    from old: NetworkRecord, to new: NetworkRecord, _ rollback: inout Rollback
  ) throws(ControlError) {
    guard old.dataPlaneOptions != new.dataPlaneOptions, let handle = dataPlaneNetworks[old.id] else { return }
    try dataPlane.changeNetwork(handle, new.dataPlaneOptions)
    rollback.add("give network \(old.name) its old limits") { [dataPlane] () throws(ControlError) in
      try dataPlane.changeNetwork(handle, old.dataPlaneOptions)
    }
  }

  /// The gateway's, and those of endpoints: the MTU of those that were given none of their own, and what senders may leave segmented;
  /// nil: stays as it is.
  func changeInterfaces(
    from old: (mtu: Int, segmented: Int?), to new: (mtu: Int, segmented: Int?), of network: NetworkRecord,
    _ rollback: inout Rollback
  ) throws(ControlError) {
    if old == new { return }
    var interfaces: [(name: String, mtu: Int?, namespace: NamespaceReference)] = []
    if gatewayPorts[network.id] != nil { interfaces.append((network.gatewayInterface!, nil, host.own)) }
    for endpoint in try store.endpoints(ofNetwork: network.id)
    where (endpoint.mtu == nil || new.segmented != nil) && endpointPorts[endpoint.id] != nil {
      guard let sandbox = try store.sandbox(id: endpoint.sandboxId), let namespace = try namespaceNow(of: sandbox),
        let link = try link(of: endpoint, in: namespace)
      else { continue }
      interfaces.append((link.name, endpoint.mtu, namespace))
    }
    for (name, mtu, namespace) in interfaces {
      let before = LinkSettings(mac: nil, mtu: mtu ?? old.mtu, segmentedFrameBytesMax: old.segmented)
      let after = LinkSettings(mac: nil, mtu: mtu ?? new.mtu, segmentedFrameBytesMax: new.segmented)
      try host.configure(name, after, in: namespace)
      rollback.add("give \(name) its old settings") { [host] () throws(ControlError) in
        try host.configure(name, before, in: namespace)
      }
    }
  }

  private func changeGatewayMode(
    from old: NetworkRecord, to new: NetworkRecord, _ rollback: inout Rollback
  ) throws(ControlError) {
    switch (old.gatewayMode, new.gatewayMode) {
    case (.isolated, _): try raiseGateway(new, &rollback)
    case (_, .isolated):
      rollback.add("give network \(old.name) its gateway back") { [self] () throws(ControlError) in
        guard gatewayPorts[old.id] == nil else { return }
        try change { inner throws(ControlError) in try raiseGateway(old, &inner) }
      }
      try lowerGateway(old)
    default:
      rollback.add("route network \(old.name) as before") { [self] () throws(ControlError) in try refreshGateway(old) }
      try refreshGateway(new)
    }
  }

  /// Refuses what a failure or a crash left half-way.
  func settled(_ network: NetworkRecord) throws(ControlError) -> NetworkRecord {
    guard network.state == .settled else {
      throw ControlError(.conflict, "network \(network.name) could not be removed completely: remove it again")
    }
    return network
  }
}

extension NetworkRecord {
  var dataPlaneOptions: DataPlaneNetworkOptions {
    DataPlaneNetworkOptions(
      mtu: mtu, ageingSeconds: ageingSeconds, fdbLimit: fdbLimit, forwarding: lanMode?.forwarding ?? .learning,
      sharedMAC: sharedMac ?? .zero)
  }
}
