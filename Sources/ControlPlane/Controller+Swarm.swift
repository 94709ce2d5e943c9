import ControlModel
import Wire

// Theory of operation. A swarm's network is an overlay that each host makes when its first container comes, and removes after the last.
// What must be the same on all of them is decided once, by the swarm's manager: addresses by the swarm itself, the VNI here, in
// `allocateNetwork`; the swarm hands it on. When another host becomes the manager, the swarm asks it for the same networks again, with
// what was handed out before: the swarm's word counts.
//
// Hosts differ in their own address alone, which the swarm tells each, with those of the others: these are the peers of all its
// networks. Hosts that are a cluster as well have the VNI, their addresses and peers from that. All hosts have the same gateway address
// on a network, as in a cluster: a container's way outside is its own host's.

extension Controller {
  // MARK: On a manager

  /// Refuses what no host could make of the request; the VNI that it asks for.
  func checkAllocation(id: String, _ request: NetworkRequest) throws(ControlError) -> Int? {
    guard Identifier.isSwarms(id) else {
      throw ControlError(
        .invalid,
        "network id \(id.quoted): \(Identifier.swarmLength) digits and small letters are needed, as swarms' have")
    }
    // What is taken on this host is none of the others' business.
    let plan = try NetworkPlan(
      request, from: .engine(id: id), uplink: uplinkRecord?.interface, inUse: [], created: Self.now(),
      ula: store.ulaPrefix)
    guard let overlay = plan.overlay else { throw Self.noOverlay(of: request) }
    return overlay.vni
  }

  private static func noOverlay(of request: NetworkRequest) -> ControlError {
    ControlError(
      .unsupported,
      "a swarm's networks are overlays: the driver \(request.driver ?? "bridge") makes networks of one host")
  }

  /// Out of what this host knows: its managers share that only by what the swarm repeats.
  func allocateVNI(network id: String, wanted: Int?, isRepeated: Bool) throws(ControlError) -> Int {
    let allocated = try store.allocatedVNIs()
    if let kept = allocated[id], wanted == nil || wanted == kept { return kept }
    var taken: [Int: String] = [:]
    for overlay in try store.overlays() where overlay.networkId != id {
      taken[overlay.vni] = try store.network(id: overlay.networkId)?.name ?? overlay.networkId
    }
    for (network, vni) in allocated where network != id { taken[vni] = "docker-" + Identifier.short(network) }
    // There are fewer networks than numbers.
    let vni = wanted ?? (Limits.firstChosenVNI...Limits.vni.upperBound).first { taken[$0] == nil }!
    if let owner = taken[vni], !isRepeated {
      throw ControlError(.conflict, "VNI \(vni) is network \(owner)'s: choose another, or leave the choice to Martlet")
    }
    try store.allocateVNI(vni, network: id)
    logger.info("VNI \(vni) handed out", metadata: ["network": "\(id)"])
    return vni
  }

  // MARK: On each host

  /// What the swarm does not say of a network, for it differs from host to host.
  func prepareForSwarm(_ request: inout NetworkRequest) throws(ControlError) {
    guard request.driver == Driver.overlay.rawValue else { throw Self.noOverlay(of: request) }
    if let vni = request.options?[OverlayPlan.vniListKey].flatMap({ Int($0) }) {
      for network in try store.networks() where network.isSwarms {
        guard try store.overlay(ofNetwork: network.id)?.vni == vni else { continue }
        try removeIfLeftOver(network, because: "its swarm gave its VNI to another")
      }
    }
    let node = try store.swarmNodes().first(where: \.isOwn)?.address
    guard let own = vteps().first ?? node,
      try host.underlay(of: own) != nil
    else { return }
    request.options = (request.options ?? [:]).merging([OverlayPlan.localKey: own.description]) { $1 }
  }

  /// A peer that cannot be one is passed over. A cluster knows its hosts by itself, and perhaps by other addresses.
  func addSwarmPeers(toNetwork id: String) throws(ControlError) {
    guard let network = try store.network(id: id) else { return }
    for node in try store.swarmNodes() where !node.isOwn { addPeer(node.address, to: network) }
  }

  private func addPeer(_ address: IPAddress, to network: NetworkRecord) {
    if membership != nil { return }
    attempt("peer \(address) of network \(network.name)") { () throws(ControlError) in
      try addOverlayPeer(network: network.name, OverlayPeerRequest(address: address.description))
    }
  }

  func nodeCame(_ text: String, isOwn: Bool) throws(ControlError) {
    let address = try Self.node(text)
    try store.set(SwarmNodeRecord(address: address, isOwn: isOwn))
    if isOwn { return try removeLeftOver() }
    for network in try store.networks() where network.isSwarms && network.state == .settled {
      addPeer(address, to: network)
    }
  }

  func nodeWent(_ text: String) throws(ControlError) {
    let address = try Self.node(text)
    try store.deleteSwarmNode(address)
    for network in try store.networks() where network.isSwarms && network.state == .settled {
      guard try store.overlayPeers(ofNetwork: network.id).contains(address) else { continue }
      attempt("peer \(address) of network \(network.name)") { () throws(ControlError) in
        try removeOverlayPeer(network: network.name, address: text)
      }
    }
  }

  private static func node(_ text: String) throws(ControlError) -> IPAddress {
    guard let address = IPAddress(text) else { throw ControlError(.invalid, "node \(text.quoted) is no IP address") }
    return address
  }

  /// After a start: the engine has said in vain that the last container is gone. Where it was about to connect the first, the swarm
  /// starts that again.
  func removeEmptySwarmNetworks() {
    attempt("look for networks that were left over") { () throws(ControlError) in
      for network in try store.networks() where network.isSwarms {
        guard try store.endpoints(ofNetwork: network.id).isEmpty else { continue }
        try removeIfLeftOver(network, because: "no container is on it")
      }
    }
  }

  /// An engine that begins anew has no containers on the swarm's networks, and makes each network again for its first.
  private func removeLeftOver() throws(ControlError) {
    for network in try store.networks() where network.isSwarms {
      attempt("look after network \(network.name)") { () throws(ControlError) in
        for endpoint in try store.endpoints(ofNetwork: network.id) where endpoint.isEngines {
          if let place = try place(of: endpoint), place.namespace.inode != host.own.inode { continue }
          try collect(endpoint, because: "its engine ended before it was connected")
        }
        try removeIfLeftOver(network, because: "its engine began anew without it")
      }
    }
  }
}

extension NetworkRecord {
  /// On several hosts, by the same id.
  var isSwarms: Bool { isEngines && Identifier.isSwarms(id) }
}
