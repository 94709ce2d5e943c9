import Wire

/// A publication of one port or a range, for the packets that reach the host's own stack: `hostPorts` of `hostAddress` stand
/// for as many ports of the target, the first for `firstTargetPort`, in order.
public struct RelayedPorts: Hashable, Sendable {
  public enum TransportProtocol: Hashable, Sendable { case tcp, udp }

  public let transport: TransportProtocol
  /// 0.0.0.0 and :: stand for all addresses of their family. One in 127.0.0.0/8 or ::1 is heard on the loopback device alone.
  public let hostAddress: IPAddress
  public let hostPorts: ClosedRange<UInt16>
  /// Of either family.
  public let targetAddress: IPAddress
  /// Such that the range's last port has a target too.
  public let firstTargetPort: UInt16

  public init(
    _ transport: TransportProtocol, hostAddress: IPAddress, hostPorts: ClosedRange<UInt16>, targetAddress: IPAddress,
    firstTargetPort: UInt16
  ) {
    self.transport = transport
    self.hostAddress = hostAddress
    self.hostPorts = hostPorts
    self.targetAddress = targetAddress
    self.firstTargetPort = firstTargetPort
  }

  /// Whether each port has a number that a socket can have, and a target.
  var isValid: Bool {
    hostPorts.lowerBound > 0 && firstTargetPort > 0
      && Int(firstTargetPort) + hostPorts.count - 1 <= Int(UInt16.max)
  }

  var isOnLoopback: Bool {
    switch hostAddress {
    case .v4(let address): address.isLoopback
    case .v6(let address): address.isLoopback
    }
  }

  /// The same ports with another target.
  func with(targetAddress: IPAddress, firstTargetPort: UInt16) -> RelayedPorts {
    RelayedPorts(
      transport, hostAddress: hostAddress, hostPorts: hostPorts, targetAddress: targetAddress,
      firstTargetPort: firstTargetPort)
  }
}

extension RelayedPorts: CustomStringConvertible {
  public var description: String {
    "\(hostAddress) \(hostPorts.lowerBound)-\(hostPorts.upperBound)/\(transport) to \(targetAddress) \(firstTargetPort)"
  }
}
