import ControlModel
import SystemCalls
import Wire

/// What a network takes of the frames that its parent receives.
public enum ParentFrames: Sendable {
  /// Those to endpoints' MAC addresses, and to groups.
  case byMAC
  /// Those for endpoints' IP addresses, and to groups.
  case byAddress
  /// All.
  case all
}

/// By which addresses frames are endpoints'.
public struct ParentEndpoints: Equatable, Sendable {
  public var macs: Set<MACAddress>
  public var addresses: Set<IPAddress>
  public init(macs: Set<MACAddress> = [], addresses: Set<IPAddress> = []) {
    (self.macs, self.addresses) = (macs, addresses)
  }
}

/// What the kernel is asked of the interfaces by which networks reach the LAN, in the daemon's namespace. Same threads as
/// `HostNetwork`.
public protocol HostParents: AnyObject, Sendable {
  /// Packet sockets that share out among them what the network takes. From now on what is for endpoints is withheld from the host's stack, which has the rest as before.
  /// What was open for this network is closed.
  func openParent(
    ofNetwork id: String, on link: HostLink, queues: Int, taking frames: ParentFrames
  ) throws(ControlError) -> FileDescriptorGroup
  /// The host's stack gets everything again. That it is not open is no error.
  func closeParent(ofNetwork id: String) throws(ControlError)
  /// Take the place of those before.
  func setParentEndpoints(_ endpoints: ParentEndpoints, ofNetwork id: String) throws(ControlError)

  /// Of an interface, whoever gave them.
  func addresses(of name: String, in namespace: NamespaceReference) throws(ControlError) -> [IPAddress]
  /// Has the kernel make no link-local IPv6 address of the interface's MAC address, which others have too: none at all, or a
  /// random one. Before it goes up.
  func setLinkLocal(isRandom: Bool, _ name: String, in namespace: NamespaceReference) throws(ControlError)
}
