import ControlModel
import ControlPlane
import SystemCalls
import Wire

extension StandInHostNetwork {
  /// A carrier, as far as the kernel has it.
  struct Carrier: Equatable {
    var local: IPAddress
    var port: UInt16
  }

  func raiseCarrier(
    _ name: String, local: IPAddress, port: UInt16, queues: Int
  ) throws(ControlError) -> FileDescriptorGroup {
    try step("raiseCarrier") { state throws(ControlError) in
      if let user = state.uplink.users[port] { throw ControlError(.conflict, "port \(port)/udp is taken by \(user)") }
      precondition(state.interfaces[own.inode]?[name] == nil, "there is an interface of the name")
      state.carriers[name] = Carrier(local: local, port: port)
      state.interfaces[own.inode]?[name] = Interface(alias: "martlet carrier \(name)")
    }
    return try descriptor()
  }

  func lowerCarrier(_ name: String) throws(ControlError) {
    try step("lowerCarrier") { state throws(ControlError) in
      state.carriers[name] = nil
      state.interfaces[own.inode]?[name] = nil
    }
  }

  func underlay(of local: IPAddress) throws(ControlError) -> HostLink? {
    try step("underlay") { state throws(ControlError) in
      (state.interfaces[own.inode] ?? [:]).first { $0.value.addresses.contains { $0.address == local } }
        .map { $0.value.link(named: $0.key) }
    }
  }
}
