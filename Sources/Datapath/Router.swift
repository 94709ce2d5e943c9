import Glibc
import Tables
import Wire

// Theory of operation.
//
// A network's frames to its gateway's MAC address that carry IP are the router's (`Engine` hands them over), and so is all that
// comes in by the uplink, which the uplink's filter has chosen. One worker has the router; no other touches it.
//
// A packet of a session costs one lookup, by its inside or its outside addresses; then it is rewritten where it lies and
// leaves. The first packet of a session asks more: is it for the host, for a published port, for another network; has
// the host a route; may the sender have a mapping. What goes to an external address that is Martlet's own comes straight back in
// (hairpin): it is translated once as going out, and once as coming in.
//
//     outward   Router+Outward.swift     from a network: to the host, back in, or out by the uplink
//     inward    Router+Inward.swift      from the uplink, or hairpinned: to an endpoint
//     errors    Router+Errors.swift      ICMP errors that pass through, with the packets they quote
//     answers   Router+Answers.swift     ICMP errors of our own
//     next hop  Router+NextHop.swift     whose MAC address, and frames that wait for it
//     fragments Router+Fragments.swift   which have no ports
//     services  Router+Services.swift    to one of several members
//
// The session table and what hangs on it are in Tables (`SessionTable`, `MappingTable`). Everything is fixed memory.

/// What becomes of a frame that the router was given, and has rewritten where it lies.
@frozen
public enum RoutingVerdict: Sendable, Equatable {
  /// Out by this port.
  case forward(UInt16)
  /// Kept, until its next hop or its first fragment is known.
  case held
  case drop(DropReason)
}

/// What the outside knows Martlet by, at a slot of `PortClaims`.
public struct RouterExternal: Sendable, Equatable {
  public var slot: Int
  /// As `IPAddress.mapped`.
  public var address: UInt128
  public init(slot: Int, address: UInt128) { (self.slot, self.address) = (slot, address) }
}

/// The uplink, as the router sees it.
public struct RouterUplink: Sendable, Equatable {
  public var port: UInt16
  public var mac: MACAddress
  public var mtu: Int
  public var externals: [RouterExternal]
  /// Of which outbound mappings take theirs.
  public var ports: [ClosedRange<UInt16>]
  public init(
    port: UInt16, mac: MACAddress, mtu: Int, externals: [RouterExternal], ports: [ClosedRange<UInt16>]
  ) {
    (self.port, self.mac, self.mtu, self.externals, self.ports) = (port, mac, mtu, externals, ports)
  }
}

/// Which packets from outside a mapping lets in (RFC 4787, 5).
@frozen
public enum MappingFilter: UInt8, Sendable {
  case endpointIndependent, addressDependent, addressAndPortDependent
}

/// Routes between networks and an uplink, and translates. One thread.
public struct Router: ~Copyable {
  /// Seconds, by `SessionTimer` (RFC 4787, REQ-5; RFC 5382, REQ-5; RFC 5508, REQ-2).
  public static let timeoutsDefault: [UInt32] = [300, 300, 240, 7440, 60, 240]
  /// Sessions that are ended in one second, at most.
  public static let expiryBudget = 65_536

  struct Uplink {
    var port = Engine.none
    var mac: UInt64 = 0
    var mtu = 1500
    var ports: [ClosedRange<UInt16>] = []
  }

  var uplink = Uplink()
  var sessions: SessionTable
  var hosts: HostTable
  var neighbours: NeighbourTable
  var held = HeldFrames()
  var fragments: FragmentTable
  var routes: RoutingTable
  /// Changes when what sessions remember of their next hop may no longer hold.
  var generation: UInt32 = 1
  /// By the network's index.
  let gateways: UnsafeMutablePointer<Gateway>
  /// All networks that are routed are below.
  var gatewaysInUse = 0
  /// By slot; 0: none.
  let externals: UnsafeMutablePointer<UInt128>
  let publications: UnsafeMutablePointer<Publication>
  /// The first of each port of the switch, counted from 1.
  let publicationsOfPort: UnsafeMutablePointer<UInt32>
  /// All that are taken are below.
  var publicationsInUse = 0
  /// By their numbers, from 1 on; and who their members are, where they are taken.
  let services: UnsafeMutablePointer<RouterService>
  let members: UnsafeMutablePointer<MaglevTable>
  /// Virtual addresses, with their services' numbers, and mesh addresses, with 0.
  var serviceAddresses: ChainedTable<UInt32>
  /// For ports of mesh addresses.
  var random: UInt64
  let timeouts: UnsafeMutablePointer<UInt32>
  /// One external port for each inside address and port, whoever the far end is (RFC 4787, REQ-1).
  public var mapsEndpointIndependently = true
  public var filter = MappingFilter.addressAndPortDependent
  var answerBudget = ICMPErrorBudget()
  /// Next hops whose MAC addresses are wanted.
  let wanted: UnsafeMutablePointer<UInt128>
  var wantedCount = 0
  /// Frames that were held and can go nowhere, by reason, since they were counted last.
  var lostUnresolved: UInt64 = 0
  var lostFragments: UInt64 = 0

  /// - Parameters:
  ///   - portCapacity, networkCapacity: of the engine it works with.
  ///   - seed: a secret.
  ///   - sessionMemory: as `SessionTable.init` wants it.
  public init(
    portCapacity: Int, networkCapacity: Int, sessionCapacity: Int = SessionTable.capacityDefault, seed: UInt64,
    sessionMemory: UnsafeMutableRawPointer? = nil
  ) {
    sessions = SessionTable(
      capacity: sessionCapacity, ownerCapacity: portCapacity, seed: seed, memory: sessionMemory)
    hosts = HostTable(portCapacity: portCapacity, seed: seed &+ 11)
    neighbours = NeighbourTable(seed: seed &+ 12)
    fragments = FragmentTable(seed: seed &+ 13)
    routes = RoutingTable([], seed: seed &+ 14)
    // One more, through which nothing fits, for what no host has: see `deliver`.
    gateways = zeroed(networkCapacity + 1)
    hosts[0].pointee.network = UInt16(networkCapacity)
    externals = zeroed(PortClaims.slots)
    publications = zeroed(Self.publicationCapacity)
    publicationsOfPort = zeroed(portCapacity)
    services = zeroed(Self.serviceCapacity + 1)
    members = .allocate(capacity: Self.serviceCapacity + 1)
    serviceAddresses = ChainedTable(capacity: Self.serviceAddressCapacity, seed: seed &+ 15)
    random = KeyedHash(seed: seed &+ 16)(0, 0)
    timeouts = zeroed(SessionTimer.count)
    for (index, seconds) in Self.timeoutsDefault.enumerated() { timeouts[index] = seconds }
    wanted = zeroed(Self.wantedCapacity)
  }

  deinit {
    free(gateways)
    free(externals)
    free(publications)
    free(publicationsOfPort)
    for number in 1...Self.serviceCapacity where services[number].isTaken { (members + number).deinitialize(count: 1) }
    members.deallocate()
    free(services)
    free(timeouts)
    free(wanted)
  }

  /// The slot of an external address; nil where it is none.
  @inline(__always)
  func slot(of address: UInt128) -> Int? {
    for slot in 0..<PortClaims.slots where externals[slot] == address && address != 0 { return slot }
    return nil
  }

  /// Frames that were held and went nowhere, since the last call.
  mutating func takeLost() -> (unresolved: UInt64, fragments: UInt64) {
    defer { (lostUnresolved, lostFragments) = (0, 0) }
    return (lostUnresolved, lostFragments)
  }

  /// Once a second.
  public mutating func tick(now: UInt32) {
    _ = sessions.expire(now: now, after: timeouts, budget: Self.expiryBudget)
    expireHeld(now: now)
    fragments.expire(now: now, &held, lost: &lostFragments)
    refreshNeighbours(now: now)
  }
}

/// How a network is routed. A plain value in the router's array.
struct Gateway: BitwiseCopyable {
  var isRouted = false
  /// Its own MAC address, and the port of the host's interface on the network.
  var mac: UInt64 = 0
  var port = Engine.none
  var mtu: UInt16 = 0
  var translatesIPv4 = false
  var translatesIPv6 = false
  var isOpen = false
  /// 0: no address of that family.
  var address4: UInt128 = 0
  var address6: UInt128 = 0
  /// As for IPv6.
  var length4: UInt8 = 0
  var length6: UInt8 = 0
  /// External addresses to be used; 0: the first of the family.
  var outbound4: UInt128 = 0
  var outbound6: UInt128 = 0
  /// Of its IPv6 subnet, in place of any other translation.
  var prefixTranslation: PrefixTranslation?
  /// Sources of flows to members of services; 0: none.
  var mesh4: UInt128 = 0
  var mesh6: UInt128 = 0

  func holds(_ address: UInt128, isIPv6: Bool) -> Bool {
    let (own, length) = isIPv6 ? (address6, length6) : (address4, length4)
    guard own != 0 else { return false }
    return length == 0 || (own ^ address) >> UInt128(128 - length) == 0
  }

  func address(isIPv6: Bool) -> UInt128 { isIPv6 ? address6 : address4 }
  func translates(isIPv6: Bool) -> Bool { isIPv6 ? translatesIPv6 : translatesIPv4 }
  func mesh(isIPv6: Bool) -> UInt128 { isIPv6 ? mesh6 : mesh4 }
}

/// A published port, or a range of them. A plain value in the router's array, at its number.
struct Publication: BitwiseCopyable {
  var isTaken = false
  var `protocol`: UInt8 = 0
  /// A bit for each slot.
  var slots: UInt16 = 0
  var firstHostPort: UInt16 = 0
  var lastHostPort: UInt16 = 0
  var firstPort: UInt16 = 0
  var address: UInt128 = 0
  /// 0: every external address of the family.
  var hostAddress: UInt128 = 0
  /// The endpoint's, with which it goes.
  var owner: UInt16 = 0
  /// Where it leads to a service: its number. Then `address` tells the family alone, and there is no owner.
  var service: UInt16 = 0
  /// Of the same owner or service, counted from 1; 0: no more.
  var next: UInt32 = 0

  var count: Int { Int(lastHostPort) - Int(firstHostPort) + 1 }

  /// The port inside that a host port leads to. Where the endpoint has one port for the whole range, that.
  func insidePort(of hostPort: UInt16) -> UInt16 { firstPort &+ (hostPort &- firstHostPort) }

  /// The host port that leads to a port inside, or nil.
  func hostPort(of port: UInt16) -> UInt16? {
    let offset = Int(port) - Int(firstPort)
    return offset >= 0 && offset < count ? firstHostPort &+ UInt16(offset) : nil
  }
}

/// Where destinations outside are reached: a snapshot, made by whoever knows the host's routes and replaced whole.
public struct RoutingTable: ~Copyable {
  public enum Target: Sendable, Hashable {
    /// By the uplink; nil: the destination itself is on the link.
    case uplink(gateway: UInt128?)
    /// The host's own.
    case host
    case unreachable
  }

  public struct Route: Sendable, Hashable {
    public var prefix: UInt128
    /// Counted as for IPv6.
    public var length: Int
    public var target: Target
    /// Bytes; 0: the uplink's.
    public var mtu: Int
    public init(prefix: UInt128, length: Int, target: Target, mtu: Int = 0) {
      (self.prefix, self.length, self.target, self.mtu) = (prefix, length, target, mtu)
    }
  }

  struct Step: BitwiseCopyable {
    enum Kind: UInt8 { case uplink, host, unreachable }
    var kind: Kind
    /// 0: the destination itself.
    var gateway: UInt128
    var mtu: UInt16
  }

  private let table: PrefixTable
  private let steps: UnsafeMutablePointer<Step>

  /// For the thread that knows them: allocates. Of more than `PrefixTable.limitMax` the rest is left out.
  public init(_ routes: [Route], seed: UInt64) {
    let routes = routes.prefix(PrefixTable.limitMax)
    var table = PrefixTable(limit: routes.count, seed: seed)
    steps = zeroed(max(1, routes.count))
    for (index, route) in routes.enumerated() {
      let mtu = UInt16(clamping: route.mtu)
      switch route.target {
      case .uplink(let gateway): steps[index] = Step(kind: .uplink, gateway: gateway ?? 0, mtu: mtu)
      case .host: steps[index] = Step(kind: .host, gateway: 0, mtu: mtu)
      case .unreachable: steps[index] = Step(kind: .unreachable, gateway: 0, mtu: mtu)
      }
      table.insert(route.prefix, length: route.length, value: UInt32(index))
    }
    self.table = table
  }

  deinit { free(steps) }

  func lookup(_ address: UInt128) -> Step? { table.lookup(address).map { steps[Int($0)] } }
}

extension RoutingTable: @unchecked Sendable {}
