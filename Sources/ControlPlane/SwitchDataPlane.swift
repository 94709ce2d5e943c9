import ControlModel
import Datapath
import LinuxIO
import Synchronization
import SystemCalls
import Tables
import Wire

/// The data plane that runs: `LinuxIO.Switch` behind the control plane's words.
///
/// The switch's handles stay in here, under numbers that are never used twice, so that a handle kept too long finds nothing
/// rather than somebody else's port.
public final class SwitchDataPlane: DataPlane {
  struct State {
    var networks: [DataPlaneNetwork: NetworkHandle] = [:]
    /// A carrier is in no network.
    var ports: [DataPlanePort: (handle: PortHandle, network: DataPlaneNetwork?)] = [:]
    var portsByHandle: [PortHandle: DataPlanePort] = [:]
    /// The switch's numbers.
    var services: [DataPlaneService: Int] = [:]
    var next = 0
    var uplink: (port: DataPlanePort, handle: PortHandle, claims: PortClaims)?

    mutating func number() -> Int {
      next += 1
      return next
    }
  }

  let fabric: Switch
  let state = Mutex(State())

  /// Starts the workers.
  public init(workers: Int = Switch.defaultWorkerCount, _ options: WorkerOptions = WorkerOptions()) throws(ControlError)
  {
    fabric = try controlled { () throws(Errno) in try Switch(workers: workers, options) }
  }

  /// Ends the workers and lets go of every port; persistent TAPs stay. Nothing may be asked afterwards.
  public func stop() { fabric.stop() }

  // MARK: Networks

  public func addNetwork(_ options: DataPlaneNetworkOptions) throws(ControlError) -> DataPlaneNetwork {
    let handle = try controlled { () throws(Errno) in try fabric.addNetwork(Datapath.NetworkOptions(options)) }
    return state.withLock { state in
      let network = DataPlaneNetwork(index: state.number())
      state.networks[network] = handle
      return network
    }
  }

  public func changeNetwork(_ network: DataPlaneNetwork, _ options: DataPlaneNetworkOptions) throws(ControlError) {
    let handle = try handle(network)
    try controlled { () throws(Errno) in try fabric.changeNetwork(handle, Datapath.NetworkOptions(options)) }
  }

  public func removeNetwork(_ network: DataPlaneNetwork) throws(ControlError) {
    fabric.removeNetwork(try handle(network))
    state.withLock { _ = $0.networks.removeValue(forKey: network) }
  }

  // MARK: Ports

  public var queuesPerPort: Int { fabric.workerCount }

  public func addPort(
    queues: consuming FileDescriptorGroup, to network: DataPlaneNetwork, _ options: DataPlanePortOptions
  ) throws(ControlError) -> DataPlanePort {
    let networkHandle = try handle(network)
    let handle: PortHandle
    do throws(Errno) {
      handle = try fabric.addPort(queues: queues, to: networkHandle, PortOptions(options))
    } catch {
      throw ControlError(error)
    }
    return remember(handle, network: network)
  }

  func remember(_ handle: PortHandle, network: DataPlaneNetwork?) -> DataPlanePort {
    state.withLock { state in
      let port = DataPlanePort(index: state.number())
      state.ports[port] = (handle, network)
      state.portsByHandle[handle] = port
      return port
    }
  }

  public func changePort(_ port: DataPlanePort, _ options: DataPlanePortOptions) throws(ControlError) {
    fabric.changePort(try handle(port), PortOptions(options))
  }

  public func removePort(_ port: DataPlanePort) throws(ControlError) {
    let handle = try handle(port)
    // Before its index can be another port's.
    state.withLock { state in
      state.ports.removeValue(forKey: port)
      state.portsByHandle.removeValue(forKey: handle)
    }
    fabric.removePort(handle)
  }

  public func setAddresses(_ addresses: [IPAddress], of port: DataPlanePort) throws(ControlError) {
    let handle = try handle(port)
    try controlled { () throws(Errno) in try fabric.setAddresses(addresses, of: handle) }
  }

  public func inject(_ frames: [[UInt8]], from port: DataPlanePort) throws(ControlError) {
    let handle = try handle(port)
    for frame in frames where !fabric.inject(frame, from: handle) {
      throw ControlError(.exhausted, "the switch has no buffer free for a frame of its own")
    }
  }

  public func onPortLost(_ handler: @escaping @Sendable (DataPlanePort) -> Void) {
    fabric.onPortLost { [weak self] handle in
      if let port = self?.state.withLock({ $0.portsByHandle[handle] }) { handler(port) }
    }
  }

  // MARK: MAC tables

  public func forwardingEntries(_ network: DataPlaneNetwork) throws(ControlError) -> [DataPlaneForwardingEntry] {
    let entries = fabric.forwardingEntries(try handle(network))
    return state.withLock { state in
      entries.compactMap { entry in
        state.portsByHandle[entry.port].map { port in
          DataPlaneForwardingEntry(mac: entry.mac, port: port, isStatic: entry.isStatic, ageSeconds: entry.ageSeconds)
        }
      }
    }
  }

  public func addForwardingEntry(_ mac: MACAddress, port: DataPlanePort) throws(ControlError) {
    guard fabric.addForwardingEntry(mac, port: try handle(port)) else {
      throw ControlError(.exhausted, "the MAC table is full of static entries: remove one, or raise --fdb-limit")
    }
  }

  public func removeForwardingEntry(_ mac: MACAddress, network: DataPlaneNetwork) throws(ControlError) -> Bool {
    fabric.removeForwardingEntry(mac, network: try handle(network))
  }

  public func flushForwardingEntries(_ network: DataPlaneNetwork, port: DataPlanePort?) throws(ControlError) {
    let portHandle: PortHandle? = if let port { try handle(port) } else { nil }
    fabric.flushForwardingEntries(try handle(network), port: portHandle)
  }

  // MARK: Counters

  public func counters(_ port: DataPlanePort) -> Counters {
    let uplink = state.withLock { $0.uplink }
    if let uplink, uplink.port == port { return counters(uplink.handle) }
    guard let handle = try? handle(port) else { return Counters() }
    return counters(handle)
  }

  func counters(_ handle: PortHandle) -> Counters { Counters(fabric.counters(of: handle)[...]) }

  // MARK: Handles

  func handle(_ network: DataPlaneNetwork) throws(ControlError) -> NetworkHandle {
    guard let handle = state.withLock({ $0.networks[network] }) else {
      throw ControlError(.notFound, "the network is no longer in the data plane")
    }
    return handle
  }

  func handle(_ port: DataPlanePort) throws(ControlError) -> PortHandle {
    guard let handle = state.withLock({ $0.ports[port]?.handle }) else {
      throw ControlError(.notFound, "the port is no longer in the data plane")
    }
    return handle
  }
}

extension Counters {
  mutating func add(_ other: Counters) {
    rxFrames += other.rxFrames
    rxBytes += other.rxBytes
    txFrames += other.txFrames
    txBytes += other.txBytes
    drops.merge(other.drops, uniquingKeysWith: +)
  }
}

extension Datapath.NetworkOptions {
  fileprivate init(_ options: DataPlaneNetworkOptions) {
    self.init(
      mtu: options.mtu, ageingSeconds: UInt32(options.ageingSeconds), macLimit: options.fdbLimit,
      forwarding: options.forwarding, sharedMAC: options.sharedMAC)
  }
}

extension PortOptions {
  fileprivate init(_ options: DataPlanePortOptions) {
    self.init(
      isIsolated: options.isolated, isAnycastGateway: options.isAnycastGateway, macLimit: options.macLimit,
      rateIn: options.rateIn, rateOut: options.rateOut,
      offloads: options.offloads, isParent: options.isParent)
  }
}
