import ControlModel
import LinuxIO
import SystemCalls
import Wire

extension SwitchDataPlane {
  public func addService(_ options: DataPlaneServiceOptions) throws(ControlError) -> DataPlaneService {
    let network = try handle(options.network)
    let number = state.withLock { state in
      let taken = Set(state.services.values)
      return (1...Switch.serviceCount).first { !taken.contains($0) }
    }
    guard let number else {
      throw ControlError(.exhausted, "the switch has \(Switch.serviceCount) services, the most it takes")
    }
    try controlled { () throws(Errno) in try fabric.setService(number, ServiceOptions(options, network)) }
    return state.withLock { state in
      let service = DataPlaneService(index: state.number())
      state.services[service] = number
      return service
    }
  }

  public func changeService(
    _ service: DataPlaneService, _ options: DataPlaneServiceOptions
  ) throws(ControlError) {
    let (number, network) = (try handle(service), try handle(options.network))
    try controlled { () throws(Errno) in try fabric.setService(number, ServiceOptions(options, network)) }
  }

  public func removeService(_ service: DataPlaneService) throws(ControlError) {
    fabric.removeService(try handle(service))
    state.withLock { _ = $0.services.removeValue(forKey: service) }
  }

  public func removeHost(_ address: IPAddress) throws(ControlError) { fabric.removeHost(address) }

  public func setOwnAddress(
    _ address: IPAddress, mac: MACAddress?, in network: DataPlaneNetwork
  ) throws(ControlError) {
    let handle = try handle(network)
    try controlled { () throws(Errno) in try fabric.setNeighbour(address, mac: mac, in: handle, isOwn: true) }
  }

  /// The number by which the switch knows the service.
  func handle(_ service: DataPlaneService) throws(ControlError) -> Int {
    guard let number = state.withLock({ $0.services[service] }) else {
      throw ControlError(.notFound, "the service is no longer in the data plane")
    }
    return number
  }
}

extension ServiceOptions {
  fileprivate init(_ options: DataPlaneServiceOptions, _ network: NetworkHandle) {
    self.init(
      network: network, virtualAddress: options.virtualAddress, seed: options.seed, members: Array(options.members))
  }
}
