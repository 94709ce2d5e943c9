import ControlModel
import Datapath
import SystemCalls
import Tables
import Wire

/// An address that the outside knows Martlet by.
public struct ExternalAddress: Hashable, Sendable {
  /// 0...15, the same in the uplink's filter; kept as long as the address is there.
  public var slot: Int
  public var address: IPAddress
  public init(slot: Int, address: IPAddress) { (self.slot, self.address) = (slot, address) }
}

/// What the data plane needs to know of the uplink.
public struct DataPlaneUplink: Sendable, Equatable {
  public var mac: MACAddress
  public var mtu: Int
  public var addresses: [ExternalAddress]
  /// From which ports of outbound mappings are taken: those that the kernel does not use itself.
  public var ports: [ClosedRange<UInt16>]
  /// What the device takes as one.
  public var offloads: SegmentationOffloads
  public init(
    mac: MACAddress, mtu: Int, addresses: [ExternalAddress], ports: [ClosedRange<UInt16>],
    offloads: SegmentationOffloads
  ) {
    (self.mac, self.mtu, self.addresses, self.ports, self.offloads) = (mac, mtu, addresses, ports, offloads)
  }
}

/// How a network's gateway treats what goes in and out (`--gateway-mode`).
public struct DataPlaneGateway: Sendable, Equatable {
  public var mac: MACAddress
  /// With the subnet's length, at most one a family.
  public var addresses: [IPPrefix]
  /// Sources of flows to members of services that are elsewhere, at most one a family: of the subnet, and this host's alone.
  public var meshAddresses: [IPAddress]
  /// The host's port on the network: what is for an address of the host goes there.
  public var port: DataPlanePort?
  /// Bytes of an IP packet.
  public var mtu: Int
  /// Sources are translated to an external address on the way out; otherwise packets leave as they are.
  /// IPv4 and IPv6 apart: IPv6 is routed unless asked for.
  public var translatesIPv4: Bool
  public var translatesIPv6: Bool
  /// From outside, addresses of the network can be reached without a publication.
  public var isOpen: Bool
  /// A fixed outbound address of each family; without, the first external one of its family. While it is no external
  /// address of the uplink, nothing leaves in its family.
  public var outbound: [IPAddress]
  /// Of its IPv6 subnet, in place of any other translation (RFC 6296).
  public var prefixTranslation: PrefixTranslation?
  public init(
    mac: MACAddress, addresses: [IPPrefix], port: DataPlanePort?, mtu: Int, translatesIPv4: Bool,
    translatesIPv6: Bool, isOpen: Bool, outbound: [IPAddress] = [], prefixTranslation: PrefixTranslation? = nil,
    meshAddresses: [IPAddress] = []
  ) {
    self.meshAddresses = meshAddresses
    (self.mac, self.addresses, self.port, self.mtu) = (mac, addresses, port, mtu)
    (self.translatesIPv4, self.translatesIPv6, self.isOpen) = (translatesIPv4, translatesIPv6, isOpen)
    (self.outbound, self.prefixTranslation) = (outbound, prefixTranslation)
  }
}

/// Where an IP address of an endpoint is. Goes with its port.
public struct DataPlaneHost: Sendable, Hashable {
  public var address: IPAddress
  public var mac: MACAddress
  public var port: DataPlanePort
  /// Its own gateway is another host's.
  public var isElsewhere: Bool
  public init(address: IPAddress, mac: MACAddress, port: DataPlanePort, isElsewhere: Bool = false) {
    (self.address, self.mac, self.port, self.isElsewhere) = (address, mac, port, isElsewhere)
  }
}

/// One route of the host, as far as the uplink is concerned.
public struct DataPlaneRoute: Sendable, Hashable {
  public enum Target: Sendable, Hashable {
    /// By the uplink, to this next hop; nil: the destination itself is on the link.
    case uplink(gateway: IPAddress?)
    /// An address of the host's own.
    case host
    /// The host has a route, but not by the uplink; or one that says unreachable, prohibit, blackhole.
    case unreachable
  }
  public var destination: IPPrefix
  public var target: Target
  /// Bytes; nil: the uplink's.
  public var mtu: Int?
  public init(destination: IPPrefix, target: Target, mtu: Int? = nil) {
    (self.destination, self.target, self.mtu) = (destination, target, mtu)
  }
}

/// A published port, or a range of them. Where `hostAddress` is `address` itself nothing is translated: the endpoint's ports
/// can be reached from outside at its own address (a routed network).
public struct DataPlanePublication: Sendable, Hashable {
  public var `protocol`: IPProtocol
  /// One of the external addresses, or `address`; nil: every external one of the family of `address`.
  public var hostAddress: IPAddress?
  public var hostPorts: ClosedRange<UInt16>
  /// The endpoint's, on `port`'s endpoint; of a service: the unspecified one of its family.
  public var address: IPAddress
  /// Of the first; the others follow.
  public var firstPort: UInt16
  /// Leads to a service's members in place of one endpoint. `hostAddress` may be its virtual address then.
  public var service: DataPlaneService?
  public init(
    protocol: IPProtocol, hostAddress: IPAddress?, hostPorts: ClosedRange<UInt16>, address: IPAddress,
    firstPort: UInt16, service: DataPlaneService? = nil
  ) {
    self.service = service
    (self.protocol, self.hostAddress, self.hostPorts) = (`protocol`, hostAddress, hostPorts)
    (self.address, self.firstPort) = (address, firstPort)
  }
}

/// One session of the NAT, as shown to people.
public struct DataPlaneSession: Sendable, Equatable {
  public var `protocol`: IPProtocol
  public var inside: (IPAddress, UInt16)
  /// Equal to `inside` where nothing is translated.
  public var outside: (IPAddress, UInt16)
  public var remote: (IPAddress, UInt16)
  /// `syn_sent`, `established`...
  public var state: String
  public var expiresSeconds: Int
  public init(
    protocol: IPProtocol, inside: (IPAddress, UInt16), outside: (IPAddress, UInt16), remote: (IPAddress, UInt16),
    state: String, expiresSeconds: Int
  ) {
    (self.protocol, self.inside, self.outside) = (`protocol`, inside, outside)
    (self.remote, self.state, self.expiresSeconds) = (remote, state, expiresSeconds)
  }
  public static func == (a: Self, b: Self) -> Bool {
    a.protocol == b.protocol && a.inside == b.inside && a.outside == b.outside && a.remote == b.remote
      && a.state == b.state && a.expiresSeconds == b.expiresSeconds
  }
}

/// Seconds after which an idle session ends (RFC 4787, 5382, 5508).
public struct DataPlaneTimeouts: Sendable, Equatable {
  public var udp = 300
  /// UDP that has been answered.
  public var udpStream = 300
  public var tcpEstablished = 7440
  public var tcpTransitory = 240
  public var icmp = 60
  public init() {}
}

/// Which inbound packets a mapping lets in (RFC 4787, 5).
public enum DataPlaneFiltering: String, Sendable, CaseIterable {
  case endpointIndependent = "endpoint-independent"
  case addressDependent = "address-dependent"
  case addressAndPortDependent = "address-and-port-dependent"
}

/// The data plane's routing: networks, an uplink, and what is translated between them. Same threads as `DataPlane`.
public protocol RoutingPlane: ServicePlane {
  /// - Parameter socket: one packet socket of the uplink's interface, filtered; the data plane owns it from here on.
  /// - Parameter claims: outlive the uplink.
  func raiseUplink(
    socket: consuming FileDescriptorGroup, claims: PortClaims, _ uplink: DataPlaneUplink
  ) throws(ControlError) -> DataPlanePort
  /// Sessions of external addresses that have gone end.
  func changeUplink(_ uplink: DataPlaneUplink) throws(ControlError)
  /// All sessions and publications end. Removes the port. Gateways, hosts and routes stay.
  func lowerUplink() throws(ControlError)
  /// nil: the network is not routed (any more): frames to its gateway's MAC go to the gateway port as any other. Its
  /// sessions end. Also called while there is no uplink: its interface may be missing for a while.
  func setGateway(_ gateway: DataPlaneGateway?, of network: DataPlaneNetwork) throws(ControlError)
  func addHost(_ host: DataPlaneHost) throws(ControlError)
  /// Takes the place of all routes. Also called while there is no uplink.
  func setRoutes(_ routes: [DataPlaneRoute]) throws(ControlError)
  /// On the uplink. nil: nobody answers there.
  func setNeighbour(_ address: IPAddress, mac: MACAddress?) throws(ControlError)
  /// Called on a thread of the data plane's own, for a next hop on the uplink whose MAC is wanted (or wanted still).
  func onNeighbourNeeded(_ handler: @escaping @Sendable (IPAddress) -> Void)
  /// Published ports of an endpoint go with its port.
  func publish(_ publication: DataPlanePublication) throws(ControlError)
  /// Its sessions end at once.
  func unpublish(_ publication: DataPlanePublication) throws(ControlError)
  func sessions() throws(ControlError) -> [DataPlaneSession]
  var sessionCount: Int { get }
  func flushSessions() throws(ControlError)
  /// No later daemon is to take up the sessions of this one.
  func removeSessionFile()
  /// Takes up the sessions of an earlier daemon, once endpoints, uplink and publications are there. How many, of how many.
  func restoreSessions() throws(ControlError) -> (restored: Int, of: Int)
  func setTimeouts(_ timeouts: DataPlaneTimeouts) throws(ControlError)
  func setTranslation(isEndpointIndependent: Bool, filtering: DataPlaneFiltering) throws(ControlError)
}
