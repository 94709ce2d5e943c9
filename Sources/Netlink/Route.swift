import CLibmnl
import Wire

/// A route (RTM_NEWROUTE of rtnetlink(7), linux/rtnetlink.h).
public struct Route: Hashable, Sendable {
  /// What becomes of a packet (RTN_* of linux/rtnetlink.h, "TYPES" of ip-route(8)).
  public struct Kind: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let unicast = Kind(rawValue: 1)
    public static let local = Kind(rawValue: 2)
    public static let broadcast = Kind(rawValue: 3)
    public static let anycast = Kind(rawValue: 4)
    public static let multicast = Kind(rawValue: 5)
    public static let blackhole = Kind(rawValue: 6)
    public static let unreachable = Kind(rawValue: 7)
    public static let prohibit = Kind(rawValue: 8)
    /// The table has no answer: the next rule decides.
    public static let `throw` = Kind(rawValue: 9)
  }

  /// Who made it (RTPROT_* of linux/rtnetlink.h).
  public struct Origin: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let kernel = Origin(rawValue: 2)
    public static let boot = Origin(rawValue: 3)
    public static let administrator = Origin(rawValue: 4)
  }

  /// How far the destination is (RT_SCOPE_* of linux/rtnetlink.h): the greater the number, the nearer. IPv6 knows only
  /// `universe`.
  public struct Scope: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let universe = Scope(rawValue: 0)
    public static let link = Scope(rawValue: 253)
    public static let host = Scope(rawValue: 254)
  }

  /// A routing table (RT_TABLE_* of linux/rtnetlink.h); any other number is a user's.
  public enum Table {
    public static let `default`: UInt32 = 253
    public static let main: UInt32 = 254
    public static let local: UInt32 = 255
  }

  public var destination: IPPrefix
  /// Of a route with one next hop. An IPv4 route may have an IPv6 gateway (RTA_VIA; RFC 5549).
  public var gateway: IPAddress?
  /// The interface it leaves by; nil where `kind` has none, and for the kernel to find from the gateway.
  public var linkIndex: Int32?
  public var table: UInt32
  public var origin: Origin
  /// The lower one is taken. 0 leaves it to the kernel, which makes 1024 of it for IPv6 and says so when asked.
  public var metric: UInt32
  public var kind: Kind
  public var scope: Scope
  /// What the host itself takes for its source address.
  public var preferredSource: IPAddress?
  /// In bytes, where the route has one of its own (RTAX_MTU); nil: the link's counts.
  public var mtu: UInt32?
  /// The gateway is taken to be on the link though no subnet of the link has it (RTNH_F_ONLINK).
  public var isOnLink = false
  /// The kernel does not use it now, because its link is down or without carrier (RTNH_F_DEAD).
  public var isDead = false
  /// The hops of a route that has several; `gateway` and `linkIndex` are nil then.
  public var multipath: [NextHop] = []
  /// The nexthop object that says where it leads (ip-nexthop(8)), which is also in the fields above.
  public var nextHopID: UInt32?

  /// Where packets go: one hop, or several to choose from; none where `kind` lets none out.
  public var nextHops: [NextHop] {
    if !multipath.isEmpty { return multipath }
    guard gateway != nil || linkIndex != nil, ![.blackhole, .unreachable, .prohibit, .throw].contains(kind) else {
      return []
    }
    return [NextHop(gateway: gateway, linkIndex: linkIndex, isOnLink: isOnLink, isDead: isDead)]
  }

  /// Without `scope`, as ip-route(8) chooses it.
  public init(
    destination: IPPrefix, gateway: IPAddress? = nil, linkIndex: Int32? = nil, table: UInt32 = Table.main,
    origin: Origin = .administrator, metric: UInt32 = 0, kind: Kind = .unicast, scope: Scope? = nil,
    preferredSource: IPAddress? = nil, mtu: UInt32? = nil, isOnLink: Bool = false, multipath: [NextHop] = []
  ) {
    self.destination = destination
    self.gateway = gateway
    self.linkIndex = linkIndex
    self.table = table
    self.origin = origin
    self.metric = metric
    self.kind = kind
    self.preferredSource = preferredSource
    self.mtu = mtu
    self.isOnLink = isOnLink
    self.multipath = multipath
    let hasGateway = gateway != nil || multipath.contains { $0.gateway != nil }
    self.scope = scope ?? .usual(kind, isIPv6: destination.isIPv6, hasGateway: hasGateway)
  }
}

extension Route.Scope {
  fileprivate static func usual(_ kind: Route.Kind, isIPv6: Bool, hasGateway: Bool) -> Route.Scope {
    guard !isIPv6 else { return .universe }
    return switch kind {
    case .local: .host
    case .broadcast, .multicast, .anycast: .link
    case .unicast where !hasGateway: .link
    default: .universe
    }
  }
}

extension Route: CustomStringConvertible {
  public var description: String {
    var text = "\(destination)"
    if let gateway { text += " via \(gateway)" }
    if let linkIndex { text += " on link \(linkIndex)" }
    return text + " in table \(table)"
  }
}
