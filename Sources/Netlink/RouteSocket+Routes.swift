import CLibmnl
import Glibc
import SystemCalls
import Wire

extension RouteSocket {
  /// The routes of a family, of one table or of all. A table that is not there is empty.
  public mutating func routes(_ family: AddressFamily, table: UInt32? = nil) throws(Errno) -> [Route] {
    var header = rtmsg()
    header.rtm_family = family.rawValue
    var request = Request(RTM_GETROUTE, flags: 0, header)
    if let table { request.put(Int(RTA_TABLE.rawValue), table) }
    do {
      return try dump(request, "list routes") { Route($0) }
    } catch {
      guard error.code == ENOENT else { throw error }
      return []
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
    header.rtm_scope = UInt8(route.scope.rawValue)
    header.rtm_type = route.kind.rawValue
    self.init(type, flags: flags, header)
    put(Int(RTA_TABLE.rawValue), route.table)
    if route.destination.length > 0 { put(Int(RTA_DST.rawValue), route.destination.address) }
    if let gateway = route.gateway { put(Int(RTA_GATEWAY.rawValue), gateway) }
    if let linkIndex = route.linkIndex { put(Int(RTA_OIF.rawValue), UInt32(bitPattern: linkIndex)) }
    if route.metric != 0 { put(Int(RTA_PRIORITY.rawValue), route.metric) }
  }
}

extension Route {
  /// How far the destination is, which IPv4 wants to be told (rtm_scope of rtnetlink(7)): as ip-route(8) chooses it.
  fileprivate var scope: rt_scope_t {
    switch kind {
    case .local: RT_SCOPE_HOST
    case .unicast where gateway == nil && !destination.isIPv6: RT_SCOPE_LINK
    case .broadcast: RT_SCOPE_LINK
    default: RT_SCOPE_UNIVERSE
    }
  }

  fileprivate init?(_ message: Message) {
    guard message.type == RTM_NEWROUTE, let header = message.family(rtmsg.self) else { return nil }
    guard let family = AddressFamily(rawValue: header.rtm_family) else { return nil }
    var destination = family.everything.address
    var gateway: IPAddress?
    var linkIndex: Int32?
    var table = UInt32(header.rtm_table)
    var metric: UInt32 = 0
    for attribute in message.attributes(after: rtmsg.self) {
      switch UInt32(attribute.type) {
      case RTA_DST.rawValue: destination = IPAddress(bytes: attribute.bytes) ?? destination
      case RTA_GATEWAY.rawValue: gateway = IPAddress(bytes: attribute.bytes)
      case RTA_OIF.rawValue: linkIndex = attribute.uint32.map { Int32(bitPattern: $0) }
      case RTA_TABLE.rawValue: table = attribute.uint32 ?? table
      case RTA_PRIORITY.rawValue: metric = attribute.uint32 ?? metric
      default: continue
      }
    }
    guard let prefix = IPPrefix(address: destination, length: Int(header.rtm_dst_len)) else { return nil }
    self.init(
      destination: prefix, gateway: gateway, linkIndex: linkIndex, table: table,
      origin: Origin(rawValue: header.rtm_protocol), metric: metric, kind: Kind(rawValue: header.rtm_type))
  }
}
