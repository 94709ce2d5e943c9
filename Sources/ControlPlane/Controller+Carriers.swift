import ControlModel
import LinuxIO
import Wire

// Theory of operation. What kernel and data plane have of an overlay goes with the process, so there is one way to every
// state, as with the uplink: `converge` compares what is asked for, and what the host is like now, with what was told before, and
// tells the difference. Setting, changing and unsetting, the way back when a step fails, and a start are all this one walk;
// every two seconds it is taken anyway.
//
// The record outlives the local address: while no interface has it, the overlay waits, and its network is a switch of this host
// alone. A peer is a port of its network; ports of all networks with one local address and UDP port share a carrier.

/// Where tunnels of this host end.
struct LocalVTEP: Hashable {
  var address: IPAddress
  var port: UInt16

  private static let carrierPrefix = "mtv"
  private static let carrierDigits = 12

  /// Its carrier's name: always the same, and as long as an interface's name may be.
  var carrier: String {
    // FNV-1a of 64 bits (draft-eastlake-fnv), folded.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in address.bytes + [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] {
      hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
    }
    let digits = String((hash ^ hash >> 48) & 0xFFFF_FFFF_FFFF, radix: 16)
    return Self.carrierPrefix + String(repeating: "0", count: Self.carrierDigits - digits.count) + digits
  }
}

/// A carrier as it was told to kernel and data plane.
struct RaisedCarrier {
  /// nil: the data plane has let go of it, and the kernel has not.
  var port: DataPlanePort?
  /// The interface that has the local address, as it was last seen.
  var underlay: HostLink
}

/// An overlay as it was told to the data plane.
struct RaisedOverlay {
  var vtep: LocalVTEP
  /// By the peer's address.
  var remotes: [IPAddress: (port: DataPlanePort, remote: RemoteOptions)] = [:]
}

/// An overlay as it is asked for.
struct AskedOverlay: Equatable {
  var record: OverlayRecord
  var peers: [IPAddress]

  /// By the peer's address.
  var remotes: [IPAddress: RemoteOptions] {
    let remotes = peers.map { peer in
      RemoteOptions(
        local: record.local, remote: peer, port: record.vtep.port, vni: UInt32(record.vni),
        timeToLive: record.timeToLive.map(UInt8.init), trafficClass: record.trafficClass.map(UInt8.init),
        learns: record.learns, carriesTags: record.carriesTags)
    }
    return Dictionary(uniqueKeysWithValues: zip(peers, remotes))
  }
}

extension OverlayRecord {
  var vtep: LocalVTEP { LocalVTEP(address: local, port: UInt16(port)) }
}

extension Controller {
  // MARK: Convergence

  /// Tells kernel and data plane what is asked for, as far as they have not been told. nil: no overlay.
  func converge(_ network: NetworkRecord, to asked: AskedOverlay?) throws(ControlError) {
    let underlay = try asked.flatMap { asked throws(ControlError) in try host.underlay(of: asked.record.local) }
    try converge(network, to: asked, by: underlay)
  }

  /// - Parameter underlay: the interface that has the local address.
  private func converge(
    _ network: NetworkRecord, to asked: AskedOverlay?, by underlay: HostLink?
  ) throws(ControlError) {
    overlayTroubles[network.id] = nil
    let underlay = usable(underlay, of: asked, network)
    let vtep = underlay == nil ? nil : asked?.record.vtep
    if let vtep, let underlay, let carrier = carriers[vtep],
      carrier.port == nil || carrier.underlay.index != underlay.index
    {
      try lowerCarrier(vtep)
    }
    let remotes = vtep == nil ? [:] : asked?.remotes ?? [:]
    for (address, told) in raisedOverlays[network.id]?.remotes ?? [:] where told.remote != remotes[address] {
      try dataPlane.removePort(told.port)
      raisedOverlays[network.id]?.remotes[address] = nil
    }
    if raisedOverlays[network.id]?.vtep != vtep { raisedOverlays[network.id] = nil }
    for other in carriers.keys where other != vtep && !raisedOverlays.values.contains(where: { $0.vtep == other }) {
      try lowerCarrier(other)
    }
    guard let vtep, let underlay, let handle = dataPlaneNetworks[network.id] else { return }
    let carrier = try raiseCarrier(vtep, on: underlay)
    if raisedOverlays[network.id] == nil { raisedOverlays[network.id] = RaisedOverlay(vtep: vtep) }
    let missing = (asked?.peers ?? []).filter { raisedOverlays[network.id]?.remotes[$0] == nil }
    if missing.isEmpty { return }
    let entries = Dictionary(grouping: try store.staticEntries(ofNetwork: network.id), by: \.vtep)
    for address in missing {
      guard let remote = remotes[address] else { continue }
      try change { rollback throws(ControlError) in
        let port = try dataPlane.addRemote(remote, by: carrier, to: handle)
        rollback.add("take the port of peer \(address) away") { [dataPlane] () throws(ControlError) in
          try dataPlane.removePort(port)
        }
        for entry in entries[address] ?? [] { try dataPlane.addForwardingEntry(entry.mac, port: port) }
        for mac in remoteMACs(of: network.id, at: address) { try dataPlane.addForwardingEntry(mac, port: port) }
        raisedOverlays[network.id]?.remotes[address] = (port, remote)
      }
    }
  }

  /// nil, and why is remembered, where no tunnel can end there.
  private func usable(_ underlay: HostLink?, of asked: AskedOverlay?, _ network: NetworkRecord) -> HostLink? {
    guard let asked, let underlay else { return nil }
    do throws(ControlError) {
      try check(underlay, of: asked.record.local, isEncrypted: asked.record.isEncrypted)
    } catch {
      overlayTroubles[network.id] = error.message
      return nil
    }
    let most = Self.mtuMax(asked.record, by: underlay)
    if network.mtu > most {
      overlayTroubles[network.id] =
        "MTU \(network.mtu) is more than fits by interface \(underlay.name): martlet network set \(network.name) --mtu \(most)"
    }
    return underlay
  }

  private func raiseCarrier(_ vtep: LocalVTEP, on underlay: HostLink) throws(ControlError) -> DataPlanePort {
    if let port = carriers[vtep]?.port {
      carriers[vtep]?.underlay = underlay
      return port
    }
    return try change { rollback throws(ControlError) in
      let queues = try host.raiseCarrier(
        vtep.carrier, local: vtep.address, port: vtep.port, queues: dataPlane.queuesPerPort)
      rollback.add("lower the carrier of \(vtep.address)") { [host] () throws(ControlError) in
        try host.lowerCarrier(vtep.carrier)
      }
      let port = try dataPlane.addCarrier(queues: queues, port: vtep.port)
      carriers[vtep] = RaisedCarrier(port: port, underlay: underlay)
      return port
    }
  }

  /// With the remotes of all networks that use it, which are raised again when they are looked at next.
  private func lowerCarrier(_ vtep: LocalVTEP) throws(ControlError) {
    guard let carrier = carriers[vtep] else { return }
    for (id, told) in raisedOverlays where told.vtep == vtep {
      for (address, remote) in told.remotes {
        try dataPlane.removePort(remote.port)
        raisedOverlays[id]?.remotes[address] = nil
      }
      raisedOverlays[id] = nil
    }
    if let port = carrier.port {
      try dataPlane.removePort(port)
      carriers[vtep]?.port = nil
    }
    try host.lowerCarrier(vtep.carrier)
    carriers[vtep] = nil
  }

  // MARK: Addresses that come, go and move

  /// At start. What stands under our mark is of an earlier daemon, and would be in the way.
  func restoreOverlays() throws(ControlError) {
    for link in try host.links(in: host.own) where link.alias.hasPrefix(InterfaceMark.carrierPrefix) {
      attempt("remove \(link.name)") { () throws(ControlError) in try host.removeLink(link.name, in: host.own) }
    }
    watchOverlays()
  }

  /// Lets go of tunnels whose address has gone, and takes up those whose address has come. What cannot be is logged once, and
  /// shown.
  func watchOverlays() {
    attempt("look at overlays") { () throws(ControlError) in
      let records = try store.overlays()
      if records.isEmpty { return }
      let networks = Dictionary(uniqueKeysWithValues: try store.networks().map { ($0.id, $0) })
      let peers = Dictionary(grouping: try store.overlayPeers(), by: \.networkId)
      var underlays: [IPAddress: HostLink?] = [:]
      for record in records {
        guard let network = networks[record.networkId], network.state == .settled else { continue }
        if underlays[record.local] == nil { underlays[record.local] = .some(try host.underlay(of: record.local)) }
        let asked = AskedOverlay(
          record: record, peers: self.peers(of: record, besides: peers[network.id]?.map(\.address) ?? []))
        watch(asked, of: network, by: underlays[record.local] ?? nil)
      }
    }
  }

  private func watch(_ asked: AskedOverlay, of network: NetworkRecord, by underlay: HostLink?) {
    let (wasRaised, before) = (raisedOverlays[network.id] != nil, overlayTroubles[network.id])
    do throws(ControlError) {
      try converge(network, to: asked, by: underlay)
    } catch {
      overlayTroubles[network.id] = error.message
    }
    let isRaised = raisedOverlays[network.id] != nil
    if isRaised != wasRaised {
      let words = isRaised ? "is there" : "is gone: the overlay of network \(network.name) waits for it"
      logger.notice("local address \(asked.record.local) \(words)")
    }
    if let trouble = overlayTroubles[network.id], trouble != before {
      logger.error("overlay of network \(network.name): \(trouble)")
    }
  }

  /// Somebody removed its TAP.
  func carrierLost(_ vtep: LocalVTEP) {
    logger.warning("carrier \(vtep.carrier) was removed by someone else: making it anew")
    attempt("lower carrier \(vtep.carrier)") { () throws(ControlError) in try lowerCarrier(vtep) }
    watchOverlays()
  }
}
