import ControlModel
import ControlPlane
import SystemCalls
import Tables
import Wire

extension StandInHostNetwork {
  struct UplinkState: Equatable {
    /// By the interface's name: addresses beside those of `Interface`, which all are lasting.
    var fleeting: [String: [IPPrefix]] = [:]
    var routes: [HostRoute] = []
    var localPorts: ClosedRange<UInt16> = 32768...60999
    /// The interface's index.
    var open: Int32?
    var slots: [Int: IPAddress] = [:]
    var subnets: [IPPrefix] = []
    var neighbours: [IPAddress: MACAddress] = [:]
    var resolved: [IPAddress] = []
    var held: Set<HeldPorts> = []
    /// Who uses a port, as `nginx (pid 123)`.
    var users: [UInt16: String] = [:]
    var hasIPv6 = true
  }

  /// An interface with addresses that could be the uplink.
  func addUplink(_ name: String, index: Int32, _ addresses: String...) {
    addInterface(name, index: index) { interface in
      interface.isUp = true
      interface.addresses = addresses.map { IPPrefix($0)! }
    }
  }

  func editUplink(_ body: (inout UplinkState) -> Void) { edit { body(&$0.uplink) } }

  /// As the kernel's monitor would.
  func tell(_ change: HostChange) { changeHandler.withLock { $0 }?(change) }

  func hostAddresses() throws(ControlError) -> [HostAddress] {
    try step("hostAddresses") { state throws(ControlError) in
      var addresses: [HostAddress] = []
      for (name, interface) in state.interfaces[own.inode] ?? [:] {
        addresses += interface.addresses.map { HostAddress(prefix: $0, link: interface.index, isLasting: true) }
        addresses += (state.uplink.fleeting[name] ?? []).map {
          HostAddress(prefix: $0, link: interface.index, isLasting: false)
        }
      }
      return addresses
    }
  }

  func hostRoutes() throws(ControlError) -> [HostRoute] {
    try step("hostRoutes") { state throws(ControlError) in state.uplink.routes }
  }

  func localPortRange() throws(ControlError) -> ClosedRange<UInt16> {
    try step("localPortRange") { state throws(ControlError) in state.uplink.localPorts }
  }

  func usedPorts() throws(ControlError) -> Set<UInt16> {
    try step("usedPorts") { state throws(ControlError) in Set(state.uplink.users.keys) }
  }

  private static let claims = PortClaims()

  func uplinkClaims() throws(ControlError) -> PortClaims {
    try faults.step("uplinkClaims")
    return Self.claims
  }

  func openUplink(on link: HostLink) throws(ControlError) -> FileDescriptorGroup {
    try step("openUplink") { state throws(ControlError) in
      (state.uplink.open, state.uplink.slots, state.uplink.subnets) = (link.index, [:], [])
    }
    return try descriptor()
  }

  func endLingering(on link: Int32) throws(ControlError) {}

  func lingerUplink() throws(ControlError) { try step("lingerUplink") { _ throws(ControlError) in } }

  func closeUplink() throws(ControlError) {
    try step("closeUplink") { state throws(ControlError) in
      (state.uplink.open, state.uplink.slots, state.uplink.subnets) = (nil, [:], [])
    }
  }

  func setUplinkAddress(_ address: IPAddress?, slot: Int) throws(ControlError) {
    try step("setUplinkAddress") { state throws(ControlError) in
      let other = state.uplink.slots.first { $0.value == address && $0.key != slot }
      precondition(address == nil || other == nil, "it has a slot")
      state.uplink.slots[slot] = address
    }
  }

  func setUplinkSubnets(_ subnets: [IPPrefix]) throws(ControlError) {
    try step("setUplinkSubnets") { state throws(ControlError) in
      precondition(state.uplink.open != nil, "there is no uplink")
      state.uplink.subnets = subnets
    }
  }

  func neighbour(_ address: IPAddress, on link: Int32) throws(ControlError) -> MACAddress? {
    try step("neighbour") { state throws(ControlError) in state.uplink.neighbours[address] }
  }

  func resolve(_ address: IPAddress, on link: Int32) throws(ControlError) {
    try step("resolve") { state throws(ControlError) in state.uplink.resolved.append(address) }
  }

  func onChange(_ handler: @escaping @Sendable (HostChange) -> Void) { changeHandler.withLock { $0 = handler } }

  // MARK: Ports

  var hasIPv6: Bool { state.uplink.hasIPv6 }

  func hold(_ ports: HeldPorts) throws(ControlError) {
    try step("hold") { state throws(ControlError) in
      if let (port, user) = state.uplink.users.first(where: { ports.ports.contains($0.key) }) {
        throw ControlError(
          .conflict, "port \(port)/\(ports.protocol == .tcp ? "tcp" : "udp") is already in use by \(user)")
      }
      precondition(state.uplink.held.insert(ports).inserted, "held twice")
    }
  }

  var relayed: RelayMeasurements { RelayMeasurements(connections: 8) }

  func release(_ ports: HeldPorts) throws(ControlError) {
    _ = try step("release") { state throws(ControlError) in state.uplink.held.remove(ports) }
  }

  /// As when the daemon ends: what goes with the process.
  func forgetProcess() {
    editUplink { uplink in
      (uplink.open, uplink.slots, uplink.subnets, uplink.held) = (nil, [:], [], [])
    }
    edit { state in
      for name in state.carriers.keys { state.interfaces[own.inode]?[name] = nil }
      (state.parents, state.carriers) = ([:], [:])
    }
  }
}
