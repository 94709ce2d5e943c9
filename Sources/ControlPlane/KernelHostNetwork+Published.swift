import ControlModel
import Glibc
import Netlink
import Relay
import SystemCalls
import Wire

extension KernelHostNetwork {
  public func hold(_ ports: HeldPorts) throws(ControlError) {
    let namespace = try open(own)
    let relay = try relay.withLock { relay throws(ControlError) in
      if let relay { return relay }
      // Its sockets are of the namespace in which it is made.
      let made = try controlled { () throws(Errno) in try namespace.run { () throws(Errno) in try Relay() } }
      relay = made
      return made
    }
    do throws(RelayError) {
      try relay.open(RelayedPorts(ports))
    } catch {
      throw try refusal(error, of: ports)
    }
  }

  public func release(_ ports: HeldPorts) throws(ControlError) {
    relay.withLock { $0 }?.close(RelayedPorts(ports))
  }

  public var relayed: RelayMeasurements {
    guard let statistics = relay.withLock({ $0 })?.statistics else { return RelayMeasurements() }
    return RelayMeasurements(
      connections: statistics.connections, clients: statistics.clients, acceptedConnections: statistics.accepted,
      resetConnections: statistics.refusedByTarget + statistics.timedOut + statistics.reset,
      datagrams: statistics.datagrams, droppedDatagrams: statistics.datagramsDropped)
  }

  private func refusal(_ error: RelayError, of ports: HeldPorts) throws(ControlError) -> ControlError {
    switch error {
    case .portInUse(let port):
      let transport: TransportProtocol = ports.protocol == .tcp ? .tcp : .udp
      let user = user(of: port, transport, on: ports.address)
      return ControlError(.conflict, "port \(port)/\(transport) is already in use by \(user)")
    case .refused(let errno) where errno.code == EADDRNOTAVAIL:
      return ControlError(.conflict, "\(ports.address) is no address of the host: ip address shows those there are")
    case .refused(let errno): return ControlError(errno)
    }
  }

  /// `nginx (pid 123)`, as far as can be found out.
  private func user(of port: UInt16, _ transport: TransportProtocol, on address: IPAddress) -> String {
    guard let namespace = try? open(own),
      let users = try? PortUser.users(of: port, protocol: transport, in: namespace)
    else { return "a program of the host" }
    let rivals = users.filter { address.isUnspecified || $0.address.isUnspecified || $0.address == address }
    guard let rival = (rivals.isEmpty ? users : rivals).first(where: { $0.processID != nil }), let id = rival.processID
    else { return "a program of the host" }
    return "\(rival.processName ?? "a program") (pid \(id))"
  }
}

extension RelayedPorts {
  fileprivate init(_ ports: HeldPorts) {
    self.init(
      ports.protocol == .tcp ? .tcp : .udp, hostAddress: ports.address, hostPorts: ports.ports,
      targetAddress: ports.target, firstTargetPort: ports.firstPort)
  }
}
