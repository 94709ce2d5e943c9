import ControlModel
import Datapath
import SystemCalls
import Wire

/// A network of the data plane. Not used again after its network has gone.
public struct DataPlaneNetwork: Hashable, Sendable {
  public let index: Int
  public init(index: Int) { self.index = index }
}

/// A port of the data plane. Not used again after its port has gone.
public struct DataPlanePort: Hashable, Sendable {
  public let index: Int
  public init(index: Int) { self.index = index }
}

/// What the data plane needs to know of a network.
public struct DataPlaneNetworkOptions: Sendable, Equatable {
  public var mtu: Int
  public var ageingSeconds: Int
  public var fdbLimit: Int
  /// Stays as it is.
  public var forwarding: Forwarding
  /// Of all endpoints, where they share one.
  public var sharedMAC: MACAddress
  public init(
    mtu: Int, ageingSeconds: Int, fdbLimit: Int, forwarding: Forwarding = .learning, sharedMAC: MACAddress = .zero
  ) {
    (self.mtu, self.ageingSeconds, self.fdbLimit) = (mtu, ageingSeconds, fdbLimit)
    (self.forwarding, self.sharedMAC) = (forwarding, sharedMAC)
  }
}

/// What the data plane needs to know of a port.
public struct DataPlanePortOptions: Sendable, Equatable {
  public var isolated: Bool
  /// 0: only the network's limit.
  public var macLimit: Int
  /// Bits a second that come from the port, and that go to it; 0: no limit.
  public var rateIn: UInt64
  public var rateOut: UInt64
  /// What the device behind a packet socket takes. Of a TAP the kernel itself knows.
  public var offloads: SegmentationOffloads
  /// Leads to the LAN. Stays as it is.
  public var isParent: Bool
  /// Each host of the network has such a port. Stays as it is.
  public var isAnycastGateway: Bool
  public init(
    isolated: Bool = false, macLimit: Int = 0, rateIn: UInt64 = 0, rateOut: UInt64 = 0,
    offloads: SegmentationOffloads = .all, isParent: Bool = false, isAnycastGateway: Bool = false
  ) {
    self.isAnycastGateway = isAnycastGateway
    (self.rateIn, self.rateOut) = (rateIn, rateOut)
    (self.isolated, self.macLimit, self.offloads, self.isParent) = (isolated, macLimit, offloads, isParent)
  }
}

/// One entry of a MAC table.
public struct DataPlaneForwardingEntry: Sendable, Equatable {
  public var mac: MACAddress
  public var port: DataPlanePort
  public var isStatic: Bool
  public var ageSeconds: Int
  public init(mac: MACAddress, port: DataPlanePort, isStatic: Bool, ageSeconds: Int) {
    (self.mac, self.port, self.isStatic, self.ageSeconds) = (mac, port, isStatic, ageSeconds)
  }
}

/// A network's own totals: what its ports counted, with those that have gone.
public struct DataPlaneNetworkCounters: Sendable, Equatable {
  public var total: Counters
  public var floodedCopies: UInt64
  /// Frames that the router took out of the network, and that it put into it.
  public var routedOut: UInt64
  public var routedIn: UInt64
  public var fdbEntries: Int
  public init(
    total: Counters, floodedCopies: UInt64, routedOut: UInt64 = 0, routedIn: UInt64 = 0, fdbEntries: Int
  ) {
    (self.total, self.floodedCopies, self.fdbEntries) = (total, floodedCopies, fdbEntries)
    (self.routedOut, self.routedIn) = (routedOut, routedIn)
  }
}

/// What the control plane tells and asks the data plane. Calls come from the control plane's one thread and block it until
/// the workers have acknowledged; a worker itself never waits.
public protocol DataPlane: RoutingPlane, OverlayPlane, MeasuringPlane, PolicyPlane, ObservingPlane {
  func addNetwork(_ options: DataPlaneNetworkOptions) throws(ControlError) -> DataPlaneNetwork
  func changeNetwork(_ network: DataPlaneNetwork, _ options: DataPlaneNetworkOptions) throws(ControlError)
  /// Its ports must have gone before.
  func removeNetwork(_ network: DataPlaneNetwork) throws(ControlError)

  /// How many queues a port had best have: one for each worker.
  var queuesPerPort: Int { get }
  /// - Parameter queues: of a TAP, or packet sockets of one interface, with a 10-byte virtio-net header, blocking;
  ///   `queuesPerPort` of them, or one.
  func addPort(
    queues: consuming FileDescriptorGroup, to network: DataPlaneNetwork, _ options: DataPlanePortOptions
  ) throws(ControlError) -> DataPlanePort
  func changePort(_ port: DataPlanePort, _ options: DataPlanePortOptions) throws(ControlError)
  /// Takes the port's MAC entries along and closes its descriptors before it returns.
  func removePort(_ port: DataPlanePort) throws(ControlError)

  /// The endpoint's IP addresses, in place of those before. They go with the port. Only of networks that forward by them.
  func setAddresses(_ addresses: [IPAddress], of port: DataPlanePort) throws(ControlError)

  /// Sends frames (Ethernet header first, no virtio-net header) into the switch as if they had come from the port.
  func inject(_ frames: [[UInt8]], from port: DataPlanePort) throws(ControlError)

  func forwardingEntries(_ network: DataPlaneNetwork) throws(ControlError) -> [DataPlaneForwardingEntry]
  func addForwardingEntry(_ mac: MACAddress, port: DataPlanePort) throws(ControlError)
  /// false: no such entry.
  func removeForwardingEntry(_ mac: MACAddress, network: DataPlaneNetwork) throws(ControlError) -> Bool
  func flushForwardingEntries(_ network: DataPlaneNetwork, port: DataPlanePort?) throws(ControlError)

  func counters(_ port: DataPlanePort) -> Counters

  /// Called, on a thread of the data plane's own, for a port whose descriptor has died (EBADFD: its namespace
  /// is gone), and for a packet socket whose interface is gone or went down.
  func onPortLost(_ handler: @escaping @Sendable (DataPlanePort) -> Void)
}
