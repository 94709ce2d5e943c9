import ControlModel
import Wire

/// Ports of the host that are Martlet's, of one protocol and on one address.
public struct HeldPorts: Hashable, Sendable {
  public var `protocol`: IPProtocol
  /// `0.0.0.0` and `::` stand for all of their family.
  public var address: IPAddress
  public var ports: ClosedRange<UInt16>
  /// Where that leads which reaches the host's own stack: the endpoint's address, of either family.
  public var target: IPAddress
  /// Of the first; the others follow.
  public var firstPort: UInt16
  public init(
    protocol: IPProtocol, address: IPAddress, ports: ClosedRange<UInt16>, target: IPAddress, firstPort: UInt16
  ) {
    (self.protocol, self.address, self.ports) = (`protocol`, address, ports)
    (self.target, self.firstPort) = (target, firstPort)
  }
}

/// Published ports on the host's own stack, in the daemon's namespace. Same threads as `HostNetwork`.
public protocol HostPorts: AnyObject, Sendable {
  var hasIPv6: Bool { get }
  /// From now on no program of the host can take the ports, and what reaches the host's stack there is relayed to the
  /// target. On a loopback address only the host itself reaches them. All of them, or none: `conflict` where one is in use,
  /// with who uses it.
  func hold(_ ports: HeldPorts) throws(ControlError)
  /// That they are not held is no error.
  func release(_ ports: HeldPorts) throws(ControlError)
  /// Of all that was relayed so far. May be asked from any thread.
  var relayed: RelayMeasurements { get }
}
