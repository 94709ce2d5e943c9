import CLibmnl
import Glibc
import SystemCalls
import Wire

extension RouteSocket {
  /// The routes of a family, of one table or of all. A table that is not there is empty.
  ///
  /// Where the kernel does not say itself where a route with a nexthop object leads (sysctl `nexthop_compat_mode` 0),
  /// the object is looked up.
  public mutating func routes(_ family: AddressFamily, table: UInt32? = nil) throws(Errno) -> [Route] {
    var header = rtmsg()
    header.rtm_family = family.rawValue
    var request = Request(RTM_GETROUTE, flags: 0, header)
    if let table { request.put(Int(RTA_TABLE.rawValue), table) }
    do {
      let routes = try dump(request, "list routes") { Route($0) }
      return routes.contains { $0.isUnresolved } ? try resolved(routes) : routes
    } catch {
      guard error.code == ENOENT else { throw error }
      return []
    }
  }

  /// The routes of a family in several tables, one table after the other.
  public mutating func routes(_ family: AddressFamily, tables: [UInt32]) throws(Errno) -> [Route] {
    var all: [Route] = []
    for table in tables { all += try routes(family, table: table) }
    return all
  }

  private mutating func resolved(_ routes: [Route]) throws(Errno) -> [Route] {
    let objects = try nextHopObjects()
    return routes.map { route in
      guard route.isUnresolved, let id = route.nextHopID else { return route }
      return route.leading(to: objects[id], in: objects)
    }
  }

  /// EEXIST where there is one to the same destination with the same metric.
  public mutating func addRoute(_ route: Route) throws(Errno) {
    try execute(Request(RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_EXCL, route), "add route \(route)")
  }

  /// Takes the place of the one to the same destination with the same metric, or is added where there is none.
  public mutating func replaceRoute(_ route: Route) throws(Errno) {
    try execute(Request(RTM_NEWROUTE, flags: NLM_F_CREATE | NLM_F_REPLACE, route), "replace route \(route)")
  }

  /// ESRCH where there is no such route. A metric of 0 stands for any.
  public mutating func removeRoute(_ route: Route) throws(Errno) {
    try execute(Request(RTM_DELROUTE, flags: 0, route), "remove route \(route)")
  }
}

extension Request {
  fileprivate init(_ type: Int, flags: Int32, _ route: Route) {
    var header = rtmsg()
    header.rtm_family = route.destination.address.family.rawValue
    header.rtm_dst_len = UInt8(route.destination.length)
    header.rtm_table = UInt8(RT_TABLE_UNSPEC.rawValue)  // RTA_TABLE has room for all tables.
    header.rtm_protocol = route.origin.rawValue
    header.rtm_scope = route.scope.rawValue
    header.rtm_type = route.kind.rawValue
    if route.isOnLink { header.rtm_flags = UInt32(RTNH_F_ONLINK) }
    self.init(type, flags: flags, header)
    put(Int(RTA_TABLE.rawValue), route.table)
    if route.destination.length > 0 { put(Int(RTA_DST.rawValue), route.destination.address) }
    if let gateway = route.gateway { put(gateway: gateway, of: route.destination) }
    if let linkIndex = route.linkIndex { put(Int(RTA_OIF.rawValue), UInt32(bitPattern: linkIndex)) }
    if route.metric != 0 { put(Int(RTA_PRIORITY.rawValue), route.metric) }
    if let source = route.preferredSource { put(Int(RTA_PREFSRC.rawValue), source) }
    if let mtu = route.mtu { nest(Int(RTA_METRICS.rawValue)) { $0.put(RTAX_MTU, mtu) } }
    if !route.multipath.isEmpty { put(multipath: route) }
  }

  private mutating func put(gateway: IPAddress, of destination: IPPrefix) {
    if gateway.isIPv6 == destination.isIPv6 {
      put(Int(RTA_GATEWAY.rawValue), gateway)
    } else {
      // struct rtvia: the address family in the machine's order of bytes, the address.
      let family = withUnsafeBytes(of: UInt16(gateway.family.rawValue)) { Array($0) }
      put(Int(RTA_VIA.rawValue), family + gateway.bytes)
    }
  }

  private mutating func put(multipath route: Route) {
    nest(Int(RTA_MULTIPATH.rawValue)) { request in
      for hop in route.multipath {
        var header = rtnexthop()
        header.rtnh_hops = UInt8(clamping: hop.weight - 1)
        header.rtnh_ifindex = hop.linkIndex ?? 0
        header.rtnh_flags = hop.isOnLink ? UInt8(RTNH_F_ONLINK) : 0
        request.putHop(header) { request in
          if let gateway = hop.gateway { request.put(gateway: gateway, of: route.destination) }
        }
      }
    }
  }
}

extension Route {
  fileprivate init?(_ message: Message) {
    guard message.type == RTM_NEWROUTE, let header = message.family(rtmsg.self) else { return nil }
    guard let family = AddressFamily(rawValue: header.rtm_family) else { return nil }
    var destination = family.everything.address
    var hop = NextHop()
    hop.setFlags(header.rtm_flags)
    var table = UInt32(header.rtm_table)
    var metric: UInt32 = 0
    var preferredSource: IPAddress?
    var mtu: UInt32?
    var multipath: [NextHop] = []
    var nextHopID: UInt32?
    for attribute in message.attributes(after: rtmsg.self) {
      switch UInt32(attribute.type) {
      case RTA_DST.rawValue: destination = IPAddress(bytes: attribute.bytes) ?? destination
      case RTA_OIF.rawValue: hop.linkIndex = attribute.uint32.map { Int32(bitPattern: $0) }
      case RTA_TABLE.rawValue: table = attribute.uint32 ?? table
      case RTA_PRIORITY.rawValue: metric = attribute.uint32 ?? metric
      case RTA_PREFSRC.rawValue: preferredSource = IPAddress(bytes: attribute.bytes)
      case RTA_METRICS.rawValue: mtu = attribute.nested.first { $0.type == RTAX_MTU }?.uint32
      case RTA_MULTIPATH.rawValue: multipath = NextHop.list(attribute)
      case RTA_NH_ID.rawValue: nextHopID = attribute.uint32
      default: hop.setGateway(attribute)
      }
    }
    guard let prefix = IPPrefix(address: destination, length: Int(header.rtm_dst_len)) else { return nil }
    self.init(
      destination: prefix, gateway: hop.gateway, linkIndex: hop.linkIndex, table: table,
      origin: Origin(rawValue: header.rtm_protocol), metric: metric, kind: Kind(rawValue: header.rtm_type),
      scope: Scope(rawValue: header.rtm_scope), preferredSource: preferredSource, mtu: mtu, isOnLink: hop.isOnLink,
      multipath: multipath)
    isDead = hop.isDead
    self.nextHopID = nextHopID
  }
}
