import ControlModel
import LinuxIO
import Netlink
import SystemCalls
import Tables
import UplinkFilter
import Wire

/// The filter, which lives as long as the process from the first uplink on: its claims are the data plane's to write.
struct KernelUplink: ~Copyable {
  var filter: UplinkFilter
  /// What it has been told.
  var slots: Set<Int> = []
  var subnets: Set<IPPrefix> = []

  init() throws(Errno) { filter = try UplinkFilter() }

  mutating func clear() throws(Errno) {
    filter.detach()
    for slot in slots { try set(nil, slot: slot) }
    try set([])
  }

  mutating func set(_ address: IPAddress?, slot: Int) throws(Errno) {
    try filter.setAddress(address, slot: slot)
    if address == nil { slots.remove(slot) } else { slots.insert(slot) }
  }

  mutating func set(_ wanted: Set<IPPrefix>) throws(Errno) {
    for subnet in subnets.subtracting(wanted) {
      try filter.removeSubnet(subnet)
      subnets.remove(subnet)
    }
    for subnet in wanted.subtracting(subnets) {
      try filter.addSubnet(subnet)
      subnets.insert(subnet)
    }
  }
}

extension KernelHostNetwork {
  /// Loads the filter where it is not.
  private func withFilter<Value: ~Copyable>(
    _ body: (inout KernelUplink) throws(Errno) -> sending Value
  ) throws(ControlError) -> Value {
    try filter.withLock { state throws(ControlError) in
      do throws(Errno) {
        var kernel = if let kernel = state.take() { kernel } else { try KernelUplink() }
        do throws(Errno) {
          let value = try body(&kernel)
          state = consume kernel
          return value
        } catch {
          state = consume kernel
          throw error
        }
      } catch {
        throw ControlError(error)
      }
    }
  }

  public func uplinkClaims() throws(ControlError) -> PortClaims {
    try withFilter { kernel throws(Errno) in kernel.filter.claims }
  }

  public func openUplink(on link: HostLink) throws(ControlError) -> FileDescriptorGroup {
    let namespace = try open(own)
    try watch(neighboursOf: link.index)
    return try withFilter { kernel throws(Errno) in
      try kernel.clear()
      // Indices and names are the namespace's.
      return try namespace.run { () throws(Errno) in
        let socket = try PacketSocket(interface: link.name, program: kernel.filter.socketProgram)
        try kernel.filter.attach(interface: link.index)
        return socket.release()
      }
    }
  }

  public func closeUplink() throws(ControlError) {
    try filter.withLock { state throws(ControlError) in
      guard state != nil else { return }
      do throws(Errno) { try state!.clear() } catch { throw ControlError(error) }
    }
  }

  public func lingerUplink() throws(ControlError) {
    let namespace = try open(own)
    try filter.withLock { state throws(ControlError) in
      guard state != nil else { return }
      do throws(Errno) {
        try namespace.run { () throws(Errno) in try state!.filter.linger(seconds: Self.lingerSeconds) }
      } catch {
        throw ControlError(error)
      }
    }
  }

  public func endLingering(on link: Int32) throws(ControlError) {
    let namespace = try open(own)
    try controlled { () throws(Errno) in
      try namespace.run { () throws(Errno) in UplinkFilter.endLingering(interface: link) }
    }
  }

  /// How long a daemon that is started again may take.
  private static let lingerSeconds = 10

  public func setUplinkAddress(_ address: IPAddress?, slot: Int) throws(ControlError) {
    try withFilter { kernel throws(Errno) in try kernel.set(address, slot: slot) }
  }

  public func setUplinkSubnets(_ subnets: [IPPrefix]) throws(ControlError) {
    try withFilter { kernel throws(Errno) in try kernel.set(Set(subnets)) }
  }
}
