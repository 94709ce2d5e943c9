import Tables
import Wire

/// A port as the engine knows it. A plain value in the engine's array, at the port's index.
@frozen
public struct Port: BitwiseCopyable {
  /// The network's index; `Engine.none` where the port is free or has been detached.
  @usableFromInline var network = Engine.none
  /// Where the port stands in its network's `members`.
  @usableFromInline var member: UInt16 = 0
  @usableFromInline var separation = Separation()
  /// In no network: all that comes in by it is the router's.
  @usableFromInline var isUplink = false
  /// In no network: what comes in by it are encapsulated frames, as `ingress` says.
  @usableFromInline var isCarrier = false
  @usableFromInline var ingress = TunnelIngress()
  /// A remote VTEP with which frames with VLAN tags are not exchanged.
  @usableFromInline var refusesTags = false
  /// Taken, also while a detached port waits for its last operations to end.
  @usableFromInline var isTaken = false

  @inlinable
  init() {}
}

/// Ports that have one of these in common do not reach each other.
@frozen
public struct Separation: OptionSet, BitwiseCopyable, Sendable {
  public let rawValue: UInt8

  @inlinable
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Isolated ports (`bridge link set isolated on`).
  @inlinable public static var isolated: Separation { Separation(rawValue: 1) }
  /// Remote VTEPs: what one of them has sent, it has sent to all who are to have it (split horizon; RFC 7348, 4.2).
  @inlinable public static var remote: Separation { Separation(rawValue: 2) }
  /// Remote VTEPs and an anycast gateway, for group frames and those with an unknown destination alone.
  @inlinable public static var anycast: Separation { Separation(rawValue: 4) }
}

/// What the control plane chooses for a port.
public struct PortOptions: Sendable, Equatable {
  /// Reaches only ports that are not isolated.
  public var isIsolated: Bool
  /// A remote VTEP.
  public var isRemote: Bool
  /// Of a remote VTEP: frames with VLAN tags come from there. What goes there is for whoever writes to the port.
  public var carriesTags: Bool
  /// A gateway that each host of the network has, with the same addresses (RFC 9135, 2.1): what it floods stays on this host, and
  /// what others flood does not reach it. Else hosts would take its addresses from each other.
  public var isAnycastGateway: Bool
  /// Addresses are learned at the port. Without, it has static entries only.
  public var learns: Bool
  /// MAC addresses that may be learned at the port; 0: as many as the network has room for.
  public var macLimit: Int
  /// Bits a second that come from the port, and that go to it; 0: no limit. For whoever writes to it and reads it.
  public var rateIn: UInt64
  public var rateOut: UInt64
  /// For whoever writes to the port; the engine itself does not look at it.
  public var offloads: SegmentationOffloads
  /// Leads to the LAN, where the network forwards between that and its endpoints. One of a network; fixed when it is added.
  public var isParent: Bool

  public init(
    isIsolated: Bool = false, isRemote: Bool = false, carriesTags: Bool = true, isAnycastGateway: Bool = false,
    learns: Bool = true,
    macLimit: Int = 0, rateIn: UInt64 = 0, rateOut: UInt64 = 0, offloads: SegmentationOffloads = .all,
    isParent: Bool = false
  ) {
    (self.rateIn, self.rateOut) = (rateIn, rateOut)
    (self.isRemote, self.carriesTags) = (isRemote, carriesTags)
    (self.isAnycastGateway, self.learns) = (isAnycastGateway, learns)
    (self.isIsolated, self.macLimit, self.offloads, self.isParent) = (isIsolated, macLimit, offloads, isParent)
  }
}

/// What the control plane chooses for a network.
public struct NetworkOptions: Sendable, Equatable {
  public var mtu: Int
  /// 0: nothing is learned, every frame is flooded.
  public var ageingSeconds: UInt32
  /// MAC addresses learned at most.
  public var macLimit: Int
  /// Fixed when the network is added.
  public var forwarding: Forwarding
  /// Of the parent and all endpoints, where `forwarding` has them share one.
  public var sharedMAC: MACAddress

  public init(
    mtu: Int = 1500, ageingSeconds: UInt32 = 300, macLimit: Int = MACTable.limitDefault,
    forwarding: Forwarding = .learning, sharedMAC: MACAddress = .zero
  ) {
    (self.mtu, self.ageingSeconds, self.macLimit) = (mtu, ageingSeconds, macLimit)
    (self.forwarding, self.sharedMAC) = (forwarding, sharedMAC)
  }
}

/// A broadcast domain: its members, and its MAC table. One thread owns it.
@frozen
public struct Network: ~Copyable {
  /// What 802.1Q allows a frame beyond its MTU: the Ethernet header and one VLAN tag (the kernel's is_skb_forwardable).
  @usableFromInline static let frameOverhead = 14 + 4

  @usableFromInline let table: UnsafeMutablePointer<MACTable>
  @usableFromInline let members: UnsafeMutablePointer<UInt16>
  @usableFromInline var memberCount: Int
  /// Members with a `separation`.
  @usableFromInline var separatedCount: Int
  @usableFromInline var mtu: UInt32 { didSet { setLengths() } }
  /// Members that are remote VTEPs.
  var remoteCount = 0 { didSet { setLengths() } }
  @usableFromInline var lengths: FrameLengths
  @usableFromInline var ageingSeconds: UInt32
  /// Of its gateway, whose IP packets are routed; 0: none are.
  @usableFromInline var routedMAC: UInt64 = 0
  /// Questions for neighbours may be answered where they are asked (`NeighbourAnswers`).
  @usableFromInline var knowsNeighbours = false
  @usableFromInline let forwarding: Forwarding
  /// What decides in place of `forwarding`; the control plane's.
  @usableFromInline var program: PolicyProgram? { didSet { setPlain() } }
  /// Nothing but a learning switch.
  @usableFromInline var isPlain: Bool
  /// The port that leads to the LAN, or `Engine.none`.
  @usableFromInline var parent = Engine.none
  @usableFromInline var sharedMAC: UInt64
  /// nil where `forwarding` does not look at addresses.
  @usableFromInline let addresses: UnsafeMutablePointer<AddressTable>?

  /// - Parameters:
  ///   - portCapacity: ports of the engine it will live in.
  ///   - seed: a secret for the tables' hashes.
  public init(_ options: NetworkOptions, portCapacity: Int, seed: UInt64) {
    table = .allocate(capacity: 1)
    table.initialize(to: MACTable(limit: options.macLimit, portCapacity: portCapacity, seed: seed))
    members = .allocate(capacity: portCapacity)
    memberCount = 0
    separatedCount = 0
    mtu = UInt32(options.mtu)
    ageingSeconds = options.ageingSeconds
    forwarding = options.forwarding
    isPlain = options.forwarding == .learning
    sharedMAC = options.sharedMAC.bits
    addresses = options.forwarding.usesAddresses ? .allocate(capacity: 1) : nil
    addresses?.initialize(to: AddressTable(seed: seed))
    lengths = FrameLengths(mtu: UInt32(options.mtu), isTunnelled: false)
  }

  deinit {
    table.deinitialize(count: 1)
    table.deallocate()
    members.deallocate()
    addresses?.deinitialize(count: 1)
    addresses?.deallocate()
  }

  /// The guard: what no policy has to look at. nil where the frame may pass.
  @inlinable
  @inline(__always)
  static func guardFrame(_ frame: borrowing Frame) -> DropReason? {
    if !frame.source.isValidSource { return .invalidSource }
    if frame.destination.isLinkLocalControl { return .linkLocalControl }
    return nil
  }
}

/// How long a network's frames may be, as far as that is seen at a glance.
///
/// A bridge does as the kernel's: any frame may be longer than the MTU by a tag, and of segments only the payload is looked at. Through a
/// tunnel nothing longer than the MTU goes, for it would not fit into the packet outside: only a frame that has a tag may be longer
/// by it, and segments count with their headers.
@frozen
@usableFromInline
struct FrameLengths: BitwiseCopyable {
  /// Bytes of a frame from its Ethernet header on, and of a segment's payload: longer ones are looked at (`Network.isTooLong`).
  @usableFromInline let frameMax: UInt32
  @usableFromInline let segmentMax: UInt32

  init(mtu: UInt32, isTunnelled: Bool) {
    frameMax = mtu &+ UInt32(isTunnelled ? EthernetView.headerLength : Network.frameOverhead)
    // Each of a tunnel's is looked at, with its headers.
    segmentMax = isTunnelled ? 0 : mtu
  }

  /// - Parameter segmentLength: the virtio-net header's gso_size: payload of each segment; 0 where the frame is one segment.
  @inlinable
  @inline(__always)
  func mayBeExceeded(by length: UInt32, segmentLength: UInt16) -> Bool {
    segmentLength == 0 ? length > frameMax : UInt32(segmentLength) > segmentMax
  }
}

extension Network {
  private mutating func setPlain() { isPlain = forwarding == .learning && program == nil }

  private mutating func setLengths() { lengths = FrameLengths(mtu: mtu, isTunnelled: remoteCount > 0) }

  /// Of a frame beyond `lengths`, of at least an Ethernet header.
  func isTooLong(_ frame: FrameDescriptor) -> Bool {
    guard remoteCount > 0 else { return true }
    let header = VirtioNetHeader(loadingFrom: UnsafeRawPointer(frame.start))
    var end = Int(frame.length) &- VirtioNetHeader.length
    let inner = InnerHeaders(UnsafeRawPointer(frame.start + VirtioNetHeader.length), length: end)
    if header.segmentation != .none {
      guard header.fits(inner) else { return UInt32(header.segmentSize) > mtu }
      end = min(end, header.payloadOffset(in: inner) &+ Int(header.segmentSize))
    }
    return end &- inner.networkOffset > packetLengthMax(behind: inner.networkOffset)
  }

  /// Bytes of a packet behind an Ethernet header with tags, of which the MTU has room for one.
  func packetLengthMax(behind networkOffset: Int) -> Int {
    Int(mtu) &- max(0, networkOffset &- EthernetView.headerLength &- VLANTag.length)
  }
}
