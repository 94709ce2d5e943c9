import ControlModel
import Datapath
import LinuxIO

extension SwitchDataPlane {
  public func measure() -> DataPlaneMeasurements {
    let (networks, ports) = state.withLock { state in
      var ports = state.ports.map { (port: $0.key, handle: $0.value.handle, network: $0.value.network) }
      if let uplink = state.uplink { ports.append((uplink.port, uplink.handle, nil)) }
      return (Array(state.networks), ports)
    }
    let occupancy = fabric.occupancy(of: networks.map(\.value))
    var measured = DataPlaneMeasurements(sessions: SessionMeasurements(occupancy))
    for (network, entries) in zip(networks, occupancy.forwardingEntries) {
      let counters = fabric.counters(of: network.value)
      measured.networks[network.key] = DataPlaneNetworkCounters(
        total: Counters(counters[NetworkCounter.gone.rawValue...]),
        floodedCopies: counters[NetworkCounter.floodedCopies.rawValue],
        routedOut: counters[NetworkCounter.routedOut.rawValue], routedIn: counters[NetworkCounter.routedIn.rawValue],
        fdbEntries: entries)
    }
    for (port, handle, network) in ports {
      let counters = counters(handle)
      measured.ports[port] = counters
      if let network { measured.networks[network]?.total.add(counters) }
    }
    return measured
  }
}

extension Counters {
  /// - Parameter counters: by `PortCounter`.
  init(_ counters: ArraySlice<UInt64>) {
    func counter(_ counter: PortCounter) -> UInt64 { counters[counters.startIndex + counter.rawValue] }
    self.init(
      rxFrames: counter(.rxFrames), rxBytes: counter(.rxBytes), txFrames: counter(.txFrames), txBytes: counter(.txBytes)
    )
    let drops = counters[(counters.startIndex + PortCounter.drops.rawValue)...]
    for (reason, count) in zip(DropReason.allCases, drops) where count > 0 { self.drops[reason.name] = count }
  }
}

extension SessionMeasurements {
  fileprivate init(_ occupancy: TableOccupancy) {
    let sessions = occupancy.sessions
    self.init(
      byProtocol: ["tcp": sessions.tcp, "udp": sessions.udp, "icmp": sessions.icmp, "other": sessions.other],
      limit: occupancy.sessionCapacity, evictions: occupancy.sessionEvictions)
  }
}
