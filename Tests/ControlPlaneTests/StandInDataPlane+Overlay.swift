import ControlModel
import ControlPlane
import Glibc
import LinuxIO
import SystemCalls
import Wire

/// Remembers what it was told, and is strict about the order.
extension StandInDataPlane {
  struct Overlay: Equatable {
    struct Carrier: Equatable {
      var queues: [Int32]
      var port: UInt16
    }
    struct Remote: Equatable {
      var remote: RemoteOptions
      var carrier: DataPlanePort
      var network: DataPlaneNetwork
    }
    var carriers: [DataPlanePort: Carrier] = [:]
    var remotes: [DataPlanePort: Remote] = [:]
    var neighbours: [DataPlaneNetwork: [IPAddress: MACAddress]] = [:]

    /// false: no such port.
    mutating func remove(_ port: DataPlanePort) -> Bool {
      if remotes.removeValue(forKey: port) != nil { return true }
      guard let carrier = carriers.removeValue(forKey: port) else { return false }
      precondition(!remotes.values.contains { $0.carrier == port }, "its remotes must have gone before")
      for queue in carrier.queues { close(queue) }
      return true
    }

    mutating func removeAll() {
      for carrier in carriers.values { for queue in carrier.queues { close(queue) } }
      (carriers, remotes, neighbours) = ([:], [:], [:])
    }
  }

  var overlay: Overlay { state.overlay }

  /// Of remotes, by network: where they are.
  var remotes: [RemoteOptions] { overlay.remotes.values.map(\.remote).sorted { $0.remote.bits < $1.remote.bits } }

  func forgetOverlays() { edit { $0.overlay.removeAll() } }

  func addCarrier(queues group: consuming FileDescriptorGroup, port: UInt16) throws(ControlError) -> DataPlanePort {
    let queues = group.release()
    do throws(ControlError) {
      return try step("addCarrier") { state throws(ControlError) in
        state.next += 1
        state.overlay.carriers[DataPlanePort(index: state.next)] = Overlay.Carrier(queues: queues, port: port)
        return DataPlanePort(index: state.next)
      }
    } catch {
      for queue in queues { close(queue) }
      throw error
    }
  }

  func setNeighbour(_ address: IPAddress, mac: MACAddress?, in network: DataPlaneNetwork) throws(ControlError) {
    try step("setNeighbour") { state throws(ControlError) in
      precondition(state.networks[network] != nil, "no such network")
      state.overlay.neighbours[network, default: [:]][address] = mac
    }
  }

  func addRemote(
    _ remote: RemoteOptions, by carrier: DataPlanePort, to network: DataPlaneNetwork
  ) throws(ControlError) -> DataPlanePort {
    try step("addRemote") { state throws(ControlError) in
      precondition(state.overlay.carriers[carrier]?.port == remote.port, "not by that carrier")
      precondition(state.networks[network] != nil, "no such network")
      let rival = state.overlay.remotes.values.contains {
        $0.carrier == carrier && $0.remote.remote == remote.remote && $0.remote.vni == remote.vni
      }
      precondition(!rival, "there is one")
      state.next += 1
      let port = DataPlanePort(index: state.next)
      state.overlay.remotes[port] = Overlay.Remote(remote: remote, carrier: carrier, network: network)
      return port
    }
  }
}
