import ControlModel
import Datapath
import SystemCalls
import Wire

/// A network namespace as a path that leads there and the inode that proves it is still the same one.
public struct NamespaceReference: Hashable, Sendable {
  public let path: String
  /// As in `readlink /proc/PID/ns/net`.
  public let inode: UInt64
  public init(path: String, inode: UInt64) { (self.path, self.inode) = (path, inode) }
}

/// An interface as the kernel lists it.
public struct HostLink: Equatable, Sendable {
  public var name: String
  /// IFLA_IFALIAS: our mark on interfaces of ours. Empty where there is none.
  public var alias: String
  /// No other has had it in this namespace since it was made.
  public var index: Int32
  public var mtu: Int
  /// nil where the interface has no Ethernet address.
  public var mac: MACAddress?
  public var isUp: Bool
  public var isEthernet: Bool
  /// The index of the bridge or bond whose port it is.
  public var master: Int32?
  /// Of the longest segmented frame that its device takes.
  public var segmentedFrameBytesMax: Int
  /// What leaves by it is encrypted, and what comes in by it was: a WireGuard interface.
  public var encrypts: Bool
  /// It leads to no other host: the loopback, a dummy.
  public var isHostsOwn: Bool

  public init(
    name: String, alias: String, index: Int32, mtu: Int, isUp: Bool, isEthernet: Bool, master: Int32?,
    segmentedFrameBytesMax: Int, mac: MACAddress? = nil, encrypts: Bool = false, isHostsOwn: Bool = false
  ) {
    (self.name, self.alias, self.index, self.mtu) = (name, alias, index, mtu)
    self.mac = mac
    (self.isUp, self.isEthernet, self.master) = (isUp, isEthernet, master)
    self.segmentedFrameBytesMax = segmentedFrameBytesMax
    (self.encrypts, self.isHostsOwn) = (encrypts, isHostsOwn)
  }
}

/// What an interface is given before it goes up.
public struct LinkSettings: Equatable, Sendable {
  public var mac: MACAddress?
  public var mtu: Int
  /// Of the longest frame that its sender may leave segmented (IFLA_GSO_MAX_SIZE, and for IPv4 IFLA_GSO_IPV4_MAX_SIZE); nil:
  /// stays as it is.
  public var segmentedFrameBytesMax: Int?
  public init(mac: MACAddress?, mtu: Int, segmentedFrameBytesMax: Int? = nil) {
    (self.mac, self.mtu, self.segmentedFrameBytesMax) = (mac, mtu, segmentedFrameBytesMax)
  }

  /// What the kernel gives: GSO_LEGACY_MAX_SIZE of linux/netdevice.h.
  public static let segmentedFrameBytesDefault = 65_536
  /// On a network with an overlay. One IP packet, of 65535 bytes at most, must hold the frame with all headers of a tunnel:
  /// 150 bytes hold those, and the rest is rounded down.
  public static let segmentedFrameBytesInTunnel = 65_000
}

/// What keeps the host from carrying frames between networks, whatever its ip_forward says.
public struct ForwardingBarrier: Equatable, Sendable {
  /// Of one network. What arrives here is never forwarded to a subnet of any network.
  public var gatewayInterface: String
  public var subnets: [IPPrefix]
  /// Nothing that arrives here is forwarded anywhere, and nothing is forwarded to its subnets.
  public var isInternal: Bool
  public init(gatewayInterface: String, subnets: [IPPrefix], isInternal: Bool) {
    (self.gatewayInterface, self.subnets, self.isInternal) = (gatewayInterface, subnets, isInternal)
  }
}

/// What the control plane asks of the kernel. `KernelHostNetwork` does it; tests give it a stand-in that fails on purpose.
///
/// Calls come from one thread at a time, block it, and leave it in the network namespace it came in. Where a namespace is
/// named, its inode is checked first: `notFound` means that it is gone. Removing what is gone already is no error.
public protocol HostNetwork: HostUplink, HostPorts, HostParents, HostOverlay, HostNames {
  /// The network namespace the daemon works in.
  var own: NamespaceReference { get }
  /// Takes the daemon's namespace for as long as this value lives. `conflict` where another daemon has it.
  func claim() throws(ControlError)

  // MARK: Namespaces

  /// Where `makeNamespace` puts one of that name.
  func namespacePath(named name: String) -> String
  /// Makes a network namespace that `ip netns` sees, its loopback interface up. `conflict` where the name is taken.
  func makeNamespace(named name: String) throws(ControlError) -> NamespaceReference
  func removeNamespace(named name: String) throws(ControlError)
  /// `notFound`: nothing there; `invalid`: something else than a network namespace.
  func namespace(at path: String) throws(ControlError) -> NamespaceReference

  // MARK: Interfaces

  func links(in namespace: NamespaceReference) throws(ControlError) -> [HostLink]
  /// Makes a TAP with that alias, down. It outlives its descriptors from the moment on that it has the alias. `conflict` where
  /// the name is taken.
  func makeTAP(
    _ name: String, alias: String, _ settings: LinkSettings, queues: Int, in namespace: NamespaceReference
  ) throws(ControlError) -> FileDescriptorGroup
  /// Makes a TAP with that alias, or attaches to the one of that name and gives it the alias; it outlives its descriptors from the moment
  /// on that it has it. `queues` descriptors, or one where it has but one queue.
  func attachTAP(
    _ name: String, alias: String, queues: Int, in namespace: NamespaceReference
  ) throws(ControlError) -> FileDescriptorGroup
  func configure(_ name: String, _ settings: LinkSettings, in namespace: NamespaceReference) throws(ControlError)
  func removeLink(_ name: String, in namespace: NamespaceReference) throws(ControlError)
  /// Up, without a queueing discipline: the switch has queues of its own. `ipv6` false takes IPv6 from the interface, nil
  /// leaves it as the namespace has it.
  func setUp(_ name: String, ipv6: Bool?, in namespace: NamespaceReference) throws(ControlError)

  // MARK: Interfaces of others, in the daemon's namespace

  /// Packet sockets that share out the frames of the interface among them.
  func openPacketSocket(on name: String, queues: Int) throws(ControlError) -> FileDescriptorGroup
  func setUp(_ isUp: Bool, _ name: String) throws(ControlError)
  /// What the interface's device takes now: an administrator may change it at any time.
  func offloads(of link: HostLink) throws(ControlError) -> SegmentationOffloads

  // MARK: Addresses, routes, neighbours

  /// Has the address at once: no duplicate address detection. That it is there already is no error.
  func addAddress(_ address: IPPrefix, to name: String, in namespace: NamespaceReference) throws(ControlError)
  func removeAddress(_ address: IPPrefix, from name: String, in namespace: NamespaceReference) throws(ControlError)
  func hasDefaultRoute(ipv6: Bool, in namespace: NamespaceReference) throws(ControlError) -> Bool
  func addDefaultRoute(via gateway: IPAddress, on name: String, in namespace: NamespaceReference) throws(ControlError)
  func removeDefaultRoute(via gateway: IPAddress, on name: String, in namespace: NamespaceReference)
    throws(ControlError)
  /// `conflict` where there is a route to that destination already.
  func addRoute(
    to destination: IPPrefix, via gateway: IPAddress, on name: String, in namespace: NamespaceReference
  ) throws(ControlError)
  func routes(in namespace: NamespaceReference) throws(ControlError) -> [Route]
  /// Prefixes of the daemon's namespace that lead somewhere already. Those over `interfaces` are left out.
  func routedPrefixes(except interfaces: Set<String>) throws(ControlError) -> [IPPrefix]
  /// Forgets who answers for `addresses` on an interface of the daemon's namespace.
  func forgetNeighbours(_ addresses: [IPAddress], on interface: String) throws(ControlError)

  // MARK: Forwarding between networks

  /// Puts a network's barrier up. That it stands already is no error.
  func raiseBarrier(_ barrier: ForwardingBarrier) throws(ControlError)
  func lowerBarrier(_ barrier: ForwardingBarrier) throws(ControlError)
  /// Lowers what an earlier daemon left and nobody in `barriers` needs.
  func removeBarriers(except barriers: [ForwardingBarrier]) throws(ControlError)
}
