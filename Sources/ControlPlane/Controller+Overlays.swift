import ControlModel
import Wire

extension Controller {
  // MARK: Setting

  func setOverlay(network name: String, _ request: OverlayRequest) throws(ControlError) -> Overlay {
    let network = try settled(try store.network(name))
    try checkIsLocal(network)
    try checkTakesOverlay(network)
    let old = try askedOverlay(of: network)
    var (record, underlay) = try placed(try OverlayPlan(request), on: network)
    for peer in old?.peers ?? [] { try Self.check(peer, of: record) }
    var changed = network
    if let ageing = request.ageingSeconds {
      changed.ageingSeconds = try NetworkPlan.check(ageing, in: Limits.ageingSeconds, "ageing time in seconds")
    }
    let most = Self.mtuMax(record, by: underlay)
    if network.mtu > most {
      changed.mtu = try NetworkPlan.check(most, in: Limits.mtu, "MTU by interface \(underlay.name)")
      try checkMTU(most, of: network)
    }
    if let old, old.record.isEquivalent(to: record) { record = old.record }
    try change { rollback throws(ControlError) in
      try changeInterfaces(
        from: (network.mtu, old == nil ? LinkSettings.segmentedFrameBytesDefault : nil),
        to: (changed.mtu, old == nil ? LinkSettings.segmentedFrameBytesInTunnel : nil), of: network, &rollback)
      try changeSwitch(from: network, to: changed, &rollback)
      try moveOverlay(of: changed, from: old, to: AskedOverlay(record: record, peers: old?.peers ?? []), &rollback)
      try store.set(record, of: changed)
    }
    logger.info("network \(network.name): overlay with VNI \(record.vni) by \(record.local)")
    var view = try overlayView(of: changed, record)
    if changed.mtu < network.mtu {
      view.notice =
        "MTU of network \(network.name) lowered from \(network.mtu) to \(changed.mtu), the most that fits by interface \(underlay.name)"
      logger.notice("\(view.notice ?? "")")
    }
    return view
  }

  /// Once more is no error. The network's MTU stays as it is.
  func unsetOverlay(network name: String) throws(ControlError) {
    let network = try settled(try store.network(name))
    try checkIsLocal(network)
    guard let old = try askedOverlay(of: network) else { return }
    try change { rollback throws(ControlError) in
      try moveOverlay(of: network, from: old, to: nil, &rollback)
      try changeInterfaces(
        from: (network.mtu, LinkSettings.segmentedFrameBytesInTunnel),
        to: (network.mtu, LinkSettings.segmentedFrameBytesDefault), of: network, &rollback)
      try store.deleteOverlay(ofNetwork: network.id)
    }
    logger.info("network \(network.name): no overlay any more")
  }

  func moveOverlay(
    of network: NetworkRecord, from old: AskedOverlay?, to new: AskedOverlay?, _ rollback: inout Rollback
  ) throws(ControlError) {
    rollback.add("bring the overlay of network \(network.name) back") { [self] () throws(ControlError) in
      try converge(network, to: old)
    }
    try converge(network, to: new)
  }

  /// What is asked for, by the store; nil: no overlay.
  private func askedOverlay(of network: NetworkRecord) throws(ControlError) -> AskedOverlay? {
    guard let record = try store.overlay(ofNetwork: network.id) else { return nil }
    return AskedOverlay(
      record: record, peers: peers(of: record, besides: try store.overlayPeers(ofNetwork: network.id)))
  }

  /// For what only an overlay has.
  private func existingOverlay(of network: NetworkRecord) throws(ControlError) -> AskedOverlay {
    if let asked = try askedOverlay(of: network) { return asked }
    throw ControlError(
      .notFound,
      "network \(network.name) has no overlay: martlet overlay set \(network.name) --vni N --local IP makes one")
  }

  // MARK: Peers

  /// Once more is no error.
  func addOverlayPeer(network name: String, _ request: OverlayPeerRequest) throws(ControlError) {
    let network = try settled(try store.network(name))
    let old = try existingOverlay(of: network)
    let peer = try Self.peer(request.address)
    try Self.check(peer, of: old.record)
    if old.peers.contains(peer) { return }
    guard old.peers.count < Limits.peersPerNetwork else {
      throw ControlError(
        .exhausted, "network \(network.name) has \(Limits.peersPerNetwork) peers, the most allowed: remove one")
    }
    try change { rollback throws(ControlError) in
      let new = AskedOverlay(record: old.record, peers: old.peers + [peer])
      try moveOverlay(of: network, from: old, to: new, &rollback)
      try store.insert(OverlayPeerRecord(networkId: network.id, address: peer))
    }
  }

  func removeOverlayPeer(network name: String, address text: String) throws(ControlError) {
    let network = try settled(try store.network(name))
    let old = try existingOverlay(of: network)
    let peer = try Self.peer(text)
    guard try store.overlayPeers(ofNetwork: network.id).contains(peer) else {
      guard old.peers.contains(peer) else { throw Self.noPeer(peer, of: network) }
      throw ControlError(
        .conflict, "peer \(peer) is a host of the cluster: it goes when that leaves, or dies")
    }
    try change { rollback throws(ControlError) in
      let new = AskedOverlay(record: old.record, peers: old.peers.filter { $0 != peer })
      try moveOverlay(of: network, from: old, to: new, &rollback)
      try store.delete(OverlayPeerRecord(networkId: network.id, address: peer))
    }
  }

  static func peer(_ text: String) throws(ControlError) -> IPAddress {
    guard let peer = IPAddress(text) else { throw ControlError(.invalid, "peer \(text.quoted) is no IP address") }
    return peer
  }

  static func noPeer(_ peer: IPAddress, of network: NetworkRecord) -> ControlError {
    ControlError(
      .notFound, "\(peer) is no peer of network \(network.name): martlet overlay peer ls \(network.name) shows those")
  }

  // MARK: Checks

  /// Refuses to change what follows from the cluster.
  private func checkIsLocal(_ network: NetworkRecord) throws(ControlError) {
    guard network.isShared else { return }
    throw ControlError(
      .unsupported, "network \(network.name) is the cluster's: its overlay is the same on all hosts and stays as it is")
  }

  private func checkTakesOverlay(_ network: NetworkRecord) throws(ControlError) {
    let driver = network.driver.rawValue
    guard network.driver.hasSwitch else {
      throw ControlError(.unsupported, "network \(network.name) of the driver \(driver) has no switch to join")
    }
    guard network.lanMode == nil else {
      throw ControlError(
        .unsupported, "network \(network.name) of the driver \(driver) reaches other hosts by its parent")
    }
  }

  /// The record that a plan comes to on a network, which may not be there yet, and the interface with the local address.
  /// - Parameter vtep: of this host in the cluster.
  func placed(
    _ plan: OverlayPlan, on network: NetworkRecord, at vtep: IPAddress? = nil
  ) throws(ControlError) -> (record: OverlayRecord, underlay: HostLink) {
    guard let local = vtep ?? plan.local ?? uplink?.facts.addresses.first?.address else {
      throw ControlError(
        .invalid,
        "an overlay needs an address of this host by which others reach it: give -o \(OverlayPlan.localKey)=IP, or set an uplink"
      )
    }
    guard let underlay = try host.underlay(of: local) else {
      throw ControlError(
        .invalid, "local address \(local) is on no interface of the daemon's namespace: ip address shows those that are"
      )
    }
    try check(underlay, of: local, isEncrypted: plan.isEncrypted)
    let others = try store.overlays().filter { $0.networkId != network.id }
    let taken = Set(others.map(\.vni))
    // There are fewer networks than numbers.
    let vni = plan.vni ?? (Limits.firstChosenVNI...Limits.vni.upperBound).first { !taken.contains($0) }!
    let record = OverlayRecord(
      networkId: network.id, vni: vni, local: local, port: plan.port, timeToLive: plan.timeToLive.number,
      trafficClass: plan.trafficClass.number, learns: plan.learns, isEncrypted: plan.isEncrypted,
      carriesTags: plan.carriesTags, created: Self.now())
    if let other = others.first(where: { $0.vni == vni && $0.vtep == record.vtep }) {
      let name = try store.network(id: other.networkId)?.name ?? ""
      throw ControlError(
        .conflict, "VNI \(vni) is network \(name)'s at \(local) port \(plan.port): choose another of the three")
    }
    if let publication = try store.publications().first(where: { $0.takesPort(of: record) }) {
      throw ControlError(
        .conflict,
        "port \(plan.port)/udp is published by endpoint \(Identifier.short(publication.endpointId)): unpublish it, or choose another port"
      )
    }
    return (record, underlay)
  }

  /// Refuses what leads to no other host, or must encrypt and does not.
  func check(_ underlay: HostLink, of local: IPAddress, isEncrypted: Bool) throws(ControlError) {
    if underlay.alias.hasPrefix(InterfaceMark.prefix) {
      throw ControlError(
        .conflict, "local address \(local) is on interface \(underlay.name), Martlet's own: it leads to no other host")
    }
    if underlay.isHostsOwn {
      throw ControlError(
        .invalid,
        "local address \(local) is on interface \(underlay.name): give one of the interface that leads to the peers")
    }
    guard underlay.encrypts || !isEncrypted else {
      throw ControlError(
        .unsupported,
        "local address \(local) is on interface \(underlay.name), and an overlay does not encrypt by itself: give the address of a WireGuard interface as \(OverlayPlan.localKey), or leave \(OverlayPlan.encryptedKey) out"
      )
    }
  }

  /// Refuses a peer that no tunnel from there reaches.
  private static func check(_ peer: IPAddress, of record: OverlayRecord) throws(ControlError) {
    guard peer.isIPv6 == record.local.isIPv6 else {
      throw ControlError(
        .invalid,
        "peer \(peer) is no \(record.local.isIPv6 ? "IPv6" : "IPv4") address as the local one, \(record.local)")
    }
    if let why = peer.troubleAsVTEP { throw ControlError(.invalid, "peer \(peer) \(why)") }
    guard peer != record.local else {
      throw ControlError(.invalid, "peer \(peer) is this host's own end: give the other hosts'")
    }
  }

  /// Of a network by that interface.
  static func mtuMax(_ record: OverlayRecord, by underlay: HostLink) -> Int {
    min(underlay.mtu - OverlayHeaders.bytes(isIPv6: record.local.isIPv6), Limits.mtu.upperBound)
  }

  /// Refuses more than fits by the overlay that the network has.
  func checkOverlayMTU(_ mtu: Int, of network: NetworkRecord) throws(ControlError) {
    guard let record = try store.overlay(ofNetwork: network.id), let underlay = try host.underlay(of: record.local)
    else { return }
    let most = Self.mtuMax(record, by: underlay)
    guard mtu <= most else {
      throw ControlError(
        .conflict, "MTU \(mtu): by interface \(underlay.name) \(most) fits, with what encapsulates it in the overlay")
    }
  }

  /// What an interface on the network may leave segmented; nil: as the kernel has it.
  func segmentedFrameBytesMax(on network: NetworkRecord) throws(ControlError) -> Int? {
    try store.overlay(ofNetwork: network.id) == nil ? nil : LinkSettings.segmentedFrameBytesInTunnel
  }

  // MARK: Views

  func overlays() throws(ControlError) -> [Overlay] {
    var all: [Overlay] = []
    for record in try store.overlays() {
      if let network = try store.network(id: record.networkId) { all.append(try overlayView(of: network, record)) }
    }
    return all
  }

  func overlay(network name: String) throws(ControlError) -> Overlay {
    let network = try store.network(name)
    return try overlayView(of: network, try existingOverlay(of: network).record)
  }

  /// nil: it has none.
  func overlayView(of network: NetworkRecord) throws(ControlError) -> Overlay? {
    try store.overlay(ofNetwork: network.id).map { record throws(ControlError) in try overlayView(of: network, record) }
  }

  private func overlayView(of network: NetworkRecord, _ record: OverlayRecord) throws(ControlError) -> Overlay {
    var view = Overlay(
      network: network.name, vni: record.vni, local: record.local.description, port: record.port,
      ageingSeconds: network.ageingSeconds, mtu: network.mtu, ttl: OuterField(number: record.timeToLive),
      tos: OuterField(number: record.trafficClass), learning: record.learns,
      encrypted: record.isEncrypted, innerVLAN: record.carriesTags,
      peers: peers(of: record, besides: try store.overlayPeers(ofNetwork: network.id)).map(\.description), state: "up",
      detail: overlayTroubles[network.id])
    guard raisedOverlays[network.id] != nil, let carrier = carriers[record.vtep] else {
      view.state = view.detail == nil ? "missing" : "down"
      view.detail = view.detail ?? "no interface has the address \(record.local): the overlay waits for it"
      return view
    }
    view.interface = carrier.underlay.name
    if let port = carrier.port { view.counters = dataPlane.counters(port) }
    if !carrier.underlay.isUp {
      (view.state, view.detail) = (
        "down", "interface \(carrier.underlay.name) is down: ip link set \(carrier.underlay.name) up"
      )
    }
    return view
  }

  func overlayPeers(network name: String) throws(ControlError) -> [OverlayPeer] {
    let network = try store.network(name)
    return try existingOverlay(of: network).peers.map { peer in
      let told = raisedOverlays[network.id]?.remotes[peer]
      return OverlayPeer(
        network: network.name, address: peer.description,
        counters: told.map { dataPlane.counters($0.port) } ?? Counters())
    }
  }
}

extension OverlayRecord {
  /// The same is asked for.
  fileprivate func isEquivalent(to other: OverlayRecord) -> Bool {
    var other = other
    other.created = created
    return self == other
  }
}
