import CLibmnl
import SystemCalls
import Wire

/// An address of an interface (RTM_NEWADDR of rtnetlink(7), linux/if_addr.h).
public struct LinkAddress: Hashable, Sendable {
  /// How far it is valid (RT_SCOPE_* of linux/rtnetlink.h), as routes have it.
  public typealias Scope = Route.Scope

  public let linkIndex: Int32
  /// The address with its subnet's length.
  public let prefix: IPPrefix
  /// Duplicate address detection is not through (IFA_F_TENTATIVE; RFC 4862, 5.4): not usable yet.
  public let isTentative: Bool
  /// `link` for fe80::/10 and what an administrator gave that scope, `host` for the loopback's.
  public let scope: Scope
  /// Its preferred lifetime is over (IFA_F_DEPRECATED; RFC 4862, 5.5.4): not for what begins anew.
  public let isDeprecated: Bool
  /// Changes by the day for privacy (IFA_F_TEMPORARY; RFC 8981). Of IPv6.
  public let isTemporary: Bool
  /// There is an earlier one of the same subnet on the link (IFA_F_SECONDARY). Of IPv4.
  public let isSecondary: Bool
  /// Somebody else on the link has it (IFA_F_DADFAILED): not usable.
  public let isDuplicate: Bool
}

extension RouteSocket {
  /// The addresses of both families of the interface `link`, or of all.
  public mutating func addresses(link: Int32? = nil) throws(Errno) -> [LinkAddress] {
    try dump(Request(addressesOf: link), "list addresses") { LinkAddress($0) }
  }

  /// Gives an interface an address: EEXIST where it has it. IPv4 gets its subnet's broadcast address with it, up to /30.
  /// `noDAD` makes an IPv6 address usable at once, without duplicate address detection (IFA_F_NODAD).
  public mutating func addAddress(_ prefix: IPPrefix, link: Int32, noDAD: Bool = false) throws(Errno) {
    var request = Request(RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, ifaddrmsg(prefix, link: link))
    request.put(prefix)
    if !prefix.isIPv6 && prefix.length <= 30 { request.put(IFA_BROADCAST, prefix.last) }
    if prefix.isIPv6 && noDAD { request.put(IFA_FLAGS, UInt32(IFA_F_NODAD)) }
    try execute(request, "add address \(prefix) to link \(link)")
  }

  /// Takes an address from an interface: EADDRNOTAVAIL where it does not have it.
  public mutating func removeAddress(_ prefix: IPPrefix, link: Int32) throws(Errno) {
    var request = Request(RTM_DELADDR, flags: 0, ifaddrmsg(prefix, link: link))
    request.put(prefix)
    try execute(request, "remove address \(prefix) from link \(link)")
  }
}

extension Request {
  init(addressesOf link: Int32?) {
    var header = ifaddrmsg()
    header.ifa_index = UInt32(bitPattern: link ?? 0)
    self.init(RTM_GETADDR, flags: 0, header)
  }

  fileprivate mutating func put(_ prefix: IPPrefix) {
    // On links with two ends IFA_ADDRESS is the other end's; on all others both are the same (linux/if_addr.h).
    put(IFA_LOCAL, prefix.address)
    put(IFA_ADDRESS, prefix.address)
  }
}

extension ifaddrmsg {
  fileprivate init(_ prefix: IPPrefix, link: Int32) {
    self.init()
    ifa_family = prefix.address.family.rawValue
    ifa_prefixlen = UInt8(prefix.length)
    ifa_index = UInt32(bitPattern: link)
    if case .v4(let address) = prefix.address, address.isLoopback { ifa_scope = UInt8(RT_SCOPE_HOST.rawValue) }
  }
}

extension LinkAddress {
  fileprivate init?(_ message: Message) {
    guard message.type == RTM_NEWADDR, let header = message.family(ifaddrmsg.self) else { return nil }
    var local: IPAddress?
    var address: IPAddress?
    var flags = UInt32(header.ifa_flags)
    for attribute in message.attributes(after: ifaddrmsg.self) {
      switch attribute.type {
      case IFA_LOCAL: local = IPAddress(bytes: attribute.bytes)
      case IFA_ADDRESS: address = IPAddress(bytes: attribute.bytes)
      case IFA_FLAGS: flags = attribute.uint32 ?? flags
      default: continue
      }
    }
    // IPv6 has IFA_LOCAL only where the link has two ends.
    guard let own = local ?? address, let prefix = IPPrefix(address: own, length: Int(header.ifa_prefixlen)) else {
      return nil
    }
    self.init(
      linkIndex: Int32(bitPattern: header.ifa_index), prefix: prefix,
      isTentative: flags & UInt32(IFA_F_TENTATIVE) != 0, scope: Scope(rawValue: header.ifa_scope),
      isDeprecated: flags & UInt32(IFA_F_DEPRECATED) != 0,
      // One bit with a meaning for each family.
      isTemporary: own.isIPv6 && flags & UInt32(IFA_F_TEMPORARY) != 0,
      isSecondary: !own.isIPv6 && flags & UInt32(IFA_F_SECONDARY) != 0,
      isDuplicate: flags & UInt32(IFA_F_DADFAILED) != 0)
  }
}
