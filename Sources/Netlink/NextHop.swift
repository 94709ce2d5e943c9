import CLibmnl
import Wire

/// One of the ways a route leads (struct rtnexthop of linux/rtnetlink.h).
public struct NextHop: Hashable, Sendable {
  /// nil: the destination itself is on the link. An IPv4 route may have an IPv6 gateway (RTA_VIA; RFC 5549).
  public var gateway: IPAddress?
  public var linkIndex: Int32?
  /// The share of the flows that go here, beside the other hops' (1...65536).
  public var weight: Int
  /// The gateway is taken to be on the link though no subnet of the link has it (RTNH_F_ONLINK).
  public var isOnLink: Bool
  /// The kernel does not use it now, because its link is down or without carrier (RTNH_F_DEAD).
  public var isDead: Bool

  public init(
    gateway: IPAddress? = nil, linkIndex: Int32? = nil, weight: Int = 1, isOnLink: Bool = false, isDead: Bool = false
  ) {
    self.gateway = gateway
    self.linkIndex = linkIndex
    self.weight = weight
    self.isOnLink = isOnLink
    self.isDead = isDead
  }
}

extension NextHop {
  /// The hops of RTA_MULTIPATH: each a struct rtnexthop with attributes of its own; ends at the first that is malformed.
  static func list(_ multipath: Attribute) -> [NextHop] {
    let bytes = multipath.bytes
    var hops: [NextHop] = []
    var offset = 0
    while offset + MemoryLayout<rtnexthop>.size <= bytes.count {
      let header = bytes.loadUnaligned(fromByteOffset: offset, as: rtnexthop.self)
      let length = Int(header.rtnh_len)
      guard length >= MemoryLayout<rtnexthop>.size, offset + length <= bytes.count else { break }
      var hop = NextHop(linkIndex: header.rtnh_ifindex, weight: Int(header.rtnh_hops) + 1)
      hop.setFlags(UInt32(header.rtnh_flags))
      let attributes = UnsafeRawBufferPointer(
        rebasing: bytes[offset + MemoryLayout<rtnexthop>.size..<offset + length])
      for attribute in Attributes(attributes) { hop.setGateway(attribute) }
      hops.append(hop)
      offset += (length + 3) & ~3  // RTNH_ALIGN
    }
    return hops
  }

  mutating func setFlags(_ flags: UInt32) {
    isOnLink = flags & UInt32(RTNH_F_ONLINK) != 0
    isDead = flags & UInt32(RTNH_F_DEAD) != 0
  }

  /// Takes RTA_GATEWAY or RTA_VIA, nothing else.
  mutating func setGateway(_ attribute: Attribute) {
    switch UInt32(attribute.type) {
    case RTA_GATEWAY.rawValue: gateway = IPAddress(bytes: attribute.bytes)
    // struct rtvia: two bytes of address family, the address.
    case RTA_VIA.rawValue: gateway = IPAddress(bytes: attribute.bytes.dropFirst(2))
    default: return
    }
  }
}
