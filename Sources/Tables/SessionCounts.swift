import Wire

/// How many sessions a table has, by protocol.
@frozen
public struct SessionCounts: BitwiseCopyable, Equatable, Sendable {
  public var tcp = 0
  public var udp = 0
  /// ICMP and ICMPv6.
  public var icmp = 0
  public var other = 0

  public init() {}

  public var total: Int { tcp + udp + icmp + other }

  mutating func add(_ change: Int, protocol number: UInt8) {
    switch IPProtocol(rawValue: number) {
    case .tcp: tcp += change
    case .udp: udp += change
    case .icmp, .icmpv6: icmp += change
    default: other += change
    }
  }
}
