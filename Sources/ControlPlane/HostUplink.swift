import ControlModel
import SystemCalls
import Tables
import Wire

/// An address of an interface of the daemon's namespace.
public struct HostAddress: Hashable, Sendable {
  public var prefix: IPPrefix
  /// The interface's index.
  public var link: Int32
  /// Global, and neither tentative, nor deprecated, nor temporary (RFC 8981): others may know the host by it for long.
  public var isLasting: Bool
  public var address: IPAddress { prefix.address }
  public init(prefix: IPPrefix, link: Int32, isLasting: Bool) {
    (self.prefix, self.link, self.isLasting) = (prefix, link, isLasting)
  }
}

/// A route of the daemon's namespace, of its local or its main table.
public struct HostRoute: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case unicast
    /// To the host itself, broadcast and anycast addresses too.
    case local
    case multicast
    /// unreachable, prohibit, blackhole, throw.
    case unreachable
  }
  public var kind: Kind
  public var destination: IPPrefix
  /// nil: the destination itself is on the link.
  public var gateway: IPAddress?
  public var link: Int32?
  /// Of routes to the same prefix the one with the lowest is taken.
  public var metric: UInt32
  /// Bytes; nil: the interface's.
  public var mtu: Int?
  public init(
    _ kind: Kind, _ destination: IPPrefix, gateway: IPAddress? = nil, link: Int32?, metric: UInt32 = 0, mtu: Int? = nil
  ) {
    (self.kind, self.destination, self.gateway) = (kind, destination, gateway)
    (self.link, self.metric, self.mtu) = (link, metric, mtu)
  }
}

/// What the kernel told of the daemon's namespace.
public enum HostChange: Hashable, Sendable {
  /// Interfaces, addresses or routes: which, is to be asked.
  case configuration
  /// Who answers for an address on a link, or that nobody does: `HostUplink.neighbour` says which.
  case neighbour(IPAddress, link: Int32)
}

/// The uplink's part of what is asked of the kernel, in the daemon's namespace. Same threads as `HostNetwork`.
public protocol HostUplink: AnyObject, Sendable {
  /// Of all interfaces.
  func hostAddresses() throws(ControlError) -> [HostAddress]
  /// Of the local and the main table, both families.
  func hostRoutes() throws(ControlError) -> [HostRoute]
  /// The ports that the kernel gives to sockets which ask for none (ip_local_port_range of ip(7)).
  func localPortRange() throws(ControlError) -> ClosedRange<UInt16>
  /// The ports that sockets of the host have, of TCP and of UDP.
  func usedPorts() throws(ControlError) -> Set<UInt16>

  /// The uplink's claims; what is claimed there on an external address does not reach the host's stack.
  func uplinkClaims() throws(ControlError) -> PortClaims
  /// A packet socket on the interface that gets only what is claimed, which from now on is withheld from the host's stack.
  /// The one before, if any, is closed.
  func openUplink(on link: HostLink) throws(ControlError) -> FileDescriptorGroup
  /// The host's stack gets everything again; slots and subnets are forgotten. That there is none is no error.
  func closeUplink() throws(ControlError)
  /// The daemon ends, to be started again: for some seconds the host stays silent about what is Martlet's.
  func lingerUplink() throws(ControlError)
  /// This daemon's filter knows all that is Martlet's: an earlier one's is not needed any more.
  func endLingering(on link: Int32) throws(ControlError)
  /// - Parameter slot: 0...15; nil frees it.
  func setUplinkAddress(_ address: IPAddress?, slot: Int) throws(ControlError)
  /// What comes for these subnets is claimed. Take the place of those before.
  func setUplinkSubnets(_ subnets: [IPPrefix]) throws(ControlError)

  /// Who answers for the address on the link, as far as the kernel knows.
  func neighbour(_ address: IPAddress, on link: Int32) throws(ControlError) -> MACAddress?
  /// Has the kernel ask the link who answers; what comes of it is told to the handler of `onChange`.
  func resolve(_ address: IPAddress, on link: Int32) throws(ControlError)
  /// Called on a thread of its own, from the first `openUplink` on.
  func onChange(_ handler: @escaping @Sendable (HostChange) -> Void)
}
