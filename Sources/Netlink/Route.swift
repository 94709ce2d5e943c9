import CLibmnl
import Wire

/// A route with one next hop at most (RTM_NEWROUTE of rtnetlink(7), linux/rtnetlink.h).
public struct Route: Hashable, Sendable {
  /// What becomes of a packet (RTN_* of linux/rtnetlink.h, "TYPES" of ip-route(8)).
  public struct Kind: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let unicast = Kind(rawValue: 1)
    public static let local = Kind(rawValue: 2)
    public static let broadcast = Kind(rawValue: 3)
    public static let blackhole = Kind(rawValue: 6)
    public static let unreachable = Kind(rawValue: 7)
    public static let prohibit = Kind(rawValue: 8)
  }

  /// Who made it (RTPROT_* of linux/rtnetlink.h).
  public struct Origin: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let kernel = Origin(rawValue: 2)
    public static let boot = Origin(rawValue: 3)
    public static let administrator = Origin(rawValue: 4)
  }

  /// A routing table (RT_TABLE_* of linux/rtnetlink.h); any other number is a user's.
  public enum Table {
    public static let main: UInt32 = 254
    public static let local: UInt32 = 255
  }

  public var destination: IPPrefix
  public var gateway: IPAddress?
  /// The interface it leaves by; nil where `kind` has none, and for the kernel to find from the gateway.
  public var linkIndex: Int32?
  public var table: UInt32
  public var origin: Origin
  /// The lower one is taken. 0 leaves it to the kernel, which makes 1024 of it for IPv6 and says so when asked.
  public var metric: UInt32
  public var kind: Kind

  public init(
    destination: IPPrefix, gateway: IPAddress? = nil, linkIndex: Int32? = nil, table: UInt32 = Table.main,
    origin: Origin = .administrator, metric: UInt32 = 0, kind: Kind = .unicast
  ) {
    self.destination = destination
    self.gateway = gateway
    self.linkIndex = linkIndex
    self.table = table
    self.origin = origin
    self.metric = metric
    self.kind = kind
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
