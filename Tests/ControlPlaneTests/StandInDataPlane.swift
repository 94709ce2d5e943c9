import ControlModel
import ControlPlane
import Glibc
import Synchronization
import SystemCalls
import Wire

/// A data plane that moves no frame: it holds descriptors and remembers what it was told.
final class StandInDataPlane: DataPlane {
  struct Port: Equatable {
    var queues: [Int32]
    var network: DataPlaneNetwork
    var options: DataPlanePortOptions
  }

  struct State: Equatable {
    var networks: [DataPlaneNetwork: DataPlaneNetworkOptions] = [:]
    var ports: [DataPlanePort: Port] = [:]
    var entries: [MACAddress: DataPlanePort] = [:]
    var addresses: [DataPlanePort: [IPAddress]] = [:]
    var next = 0
    var injected: [[UInt8]] = []
    var routing = Routing()
    var overlay = Overlay()
    var policies: [DataPlaneNetwork: Policy] = [:]
    var observing = Observing()

    struct Policy: Equatable {
      var name: String
      var ports: [DataPlanePolicyPort]
    }

    func network(of port: DataPlanePort) -> DataPlaneNetwork? { ports[port]?.network ?? overlay.remotes[port]?.network }
  }

  let faults: Faults
  private let contents = Mutex(State())
  let neededHandler = Mutex<(@Sendable (IPAddress) -> Void)?>(nil)
  let shownSessions = Mutex<[DataPlaneSession]>([])
  private let lostHandler = Mutex<(@Sendable (DataPlanePort) -> Void)?>(nil)

  init(faults: Faults) { self.faults = faults }

  deinit {
    contents.withLock { state in
      for queue in state.ports.values.flatMap(\.queues) + state.routing.sockets { close(queue) }
      state.overlay.removeAll()
    }
  }

  var state: State { contents.withLock { $0 } }

  func edit(_ body: (inout State) -> Void) { contents.withLock { body(&$0) } }

  /// As when a namespace has gone under a port.
  func lose(_ port: DataPlanePort) { lostHandler.withLock { $0 }?(port) }

  func step<Value: Sendable>(
    _ name: String, _ body: (inout State) throws(ControlError) -> Value
  ) throws(ControlError) -> Value {
    try faults.step(name)
    return try contents.withLock { state throws(ControlError) in try body(&state) }
  }

  func addNetwork(_ options: DataPlaneNetworkOptions) throws(ControlError) -> DataPlaneNetwork {
    try step("addNetwork") { state throws(ControlError) in
      state.next += 1
      let network = DataPlaneNetwork(index: state.next)
      state.networks[network] = options
      return network
    }
  }

  func changeNetwork(_ network: DataPlaneNetwork, _ options: DataPlaneNetworkOptions) throws(ControlError) {
    try step("changeNetwork") { state throws(ControlError) in state.networks[network] = options }
  }

  func removeNetwork(_ network: DataPlaneNetwork) throws(ControlError) {
    try step("removeNetwork") { state throws(ControlError) in
      precondition(!state.ports.values.contains { $0.network == network }, "its ports must have gone before")
      precondition(
        !state.overlay.remotes.values.contains { $0.network == network }, "its remotes must have gone before")
      state.networks[network] = nil
      state.routing.gateways[network] = nil
    }
  }

  var queuesPerPort: Int { 1 }

  func addPort(
    queues group: consuming FileDescriptorGroup, to network: DataPlaneNetwork, _ options: DataPlanePortOptions
  ) throws(ControlError) -> DataPlanePort {
    let queues = group.release()
    do throws(ControlError) {
      return try step("addPort") { state throws(ControlError) in
        state.next += 1
        let port = DataPlanePort(index: state.next)
        state.ports[port] = Port(queues: queues, network: network, options: options)
        return port
      }
    } catch {
      for queue in queues { close(queue) }
      throw error
    }
  }

  func changePort(_ port: DataPlanePort, _ options: DataPlanePortOptions) throws(ControlError) {
    try step("changePort") { state throws(ControlError) in state.ports[port]?.options = options }
  }

  func removePort(_ port: DataPlanePort) throws(ControlError) {
    try step("removePort") { state throws(ControlError) in
      if let removed = state.ports.removeValue(forKey: port) {
        for queue in removed.queues { close(queue) }
      } else if !state.overlay.remove(port) {
        throw ControlError(.system, "no such port")
      }
      state.entries = state.entries.filter { $0.value != port }
      state.observing.mirrors = state.observing.mirrors.filter { !$0.key.contains(port) }
      state.addresses[port] = nil
      state.routing.forget(port)
    }
  }

  func setAddresses(_ addresses: [IPAddress], of port: DataPlanePort) throws(ControlError) {
    try step("setAddresses") { state throws(ControlError) in state.addresses[port] = addresses }
  }

  func inject(_ frames: [[UInt8]], from port: DataPlanePort) throws(ControlError) {
    try step("inject") { state throws(ControlError) in state.injected += frames }
  }

  func forwardingEntries(_ network: DataPlaneNetwork) throws(ControlError) -> [DataPlaneForwardingEntry] {
    try step("forwardingEntries") { state throws(ControlError) in
      state.entries.filter { state.network(of: $0.value) == network }.map {
        DataPlaneForwardingEntry(mac: $0.key, port: $0.value, isStatic: true, ageSeconds: 0)
      }
    }
  }

  func addForwardingEntry(_ mac: MACAddress, port: DataPlanePort) throws(ControlError) {
    try step("addForwardingEntry") { state throws(ControlError) in state.entries[mac] = port }
  }

  func removeForwardingEntry(_ mac: MACAddress, network: DataPlaneNetwork) throws(ControlError) -> Bool {
    try step("removeForwardingEntry") { state throws(ControlError) in state.entries.removeValue(forKey: mac) != nil }
  }

  func flushForwardingEntries(_ network: DataPlaneNetwork, port: DataPlanePort?) throws(ControlError) {
    try step("flushForwardingEntries") { _ throws(ControlError) in }
  }

  func counters(_ port: DataPlanePort) -> Counters { Counters(rxFrames: UInt64(port.index)) }

  /// Each port as `counters` has it; a network's total is one frame more than its ports', of those that have gone.
  func measure() -> DataPlaneMeasurements {
    let state = state
    var measured = DataPlaneMeasurements(sessions: SessionMeasurements(byProtocol: ["tcp": 1], limit: 2, evictions: 3))
    for (network, _) in state.networks {
      measured.networks[network] = DataPlaneNetworkCounters(
        total: Counters(rxFrames: 1), floodedCopies: 4, routedOut: 5, routedIn: 6, fdbEntries: 7)
    }
    let places = state.ports.mapValues(\.network).merging(state.overlay.remotes.mapValues(\.network)) { $1 }
    for (port, network) in places {
      measured.ports[port] = counters(port)
      measured.networks[network]?.total.rxFrames += counters(port).rxFrames
    }
    for port in [state.routing.uplinkPort].compactMap({ $0 }) + state.overlay.carriers.keys {
      measured.ports[port] = counters(port)
    }
    return measured
  }

  func onPortLost(_ handler: @escaping @Sendable (DataPlanePort) -> Void) { lostHandler.withLock { $0 = handler } }
}
