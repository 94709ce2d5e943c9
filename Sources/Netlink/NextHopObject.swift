import CLibmnl
import SystemCalls
import Wire

/// A nexthop object (RTM_NEWNEXTHOP, linux/nexthop.h; ip-nexthop(8)), to which routes refer by its number.
struct NextHopObject {
  let id: UInt32
  var hop = NextHop()
  /// What takes packets in drops them.
  var isBlackhole = false
  /// The objects it stands for with their weights, where it is a group.
  var group: [(id: UInt32, weight: Int)] = []
}

extension RouteSocket {
  /// By number. Empty on kernels before 5.3, which have none.
  mutating func nextHopObjects() throws(Errno) -> [UInt32: NextHopObject] {
    let objects = try dump(Request(RTM_GETNEXTHOP, flags: 0, nhmsg()), "list nexthop objects") { NextHopObject($0) }
    return Dictionary(objects.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
  }
}

extension NextHopObject {
  fileprivate init?(_ message: Message) {
    guard message.type == RTM_NEWNEXTHOP, let header = message.family(nhmsg.self) else { return nil }
    var id: UInt32?
    var object = NextHopObject(id: 0)
    object.hop.setFlags(header.nh_flags)
    for attribute in message.attributes(after: nhmsg.self) {
      switch attribute.type {
      case NHA_ID: id = attribute.uint32
      case NHA_BLACKHOLE: object.isBlackhole = true
      case NHA_OIF: object.hop.linkIndex = attribute.uint32.map { Int32(bitPattern: $0) }
      case NHA_GATEWAY: object.hop.gateway = IPAddress(bytes: attribute.bytes)
      case NHA_GROUP:
        let bytes = attribute.bytes
        let size = MemoryLayout<nexthop_grp>.size
        object.group = stride(from: 0, to: bytes.count / size * size, by: size).map {
          let member = bytes.loadUnaligned(fromByteOffset: $0, as: nexthop_grp.self)
          // Headers of before 6.12 call this byte `resvd1`; since then it is the weight's upper half.
          let upper = bytes.load(fromByteOffset: $0 + MemoryLayout.offset(of: \nexthop_grp.weight)! + 1, as: UInt8.self)
          return (member.id, (Int(upper) << 8 | Int(member.weight)) + 1)
        }
      default: continue
      }
    }
    guard let id else { return nil }
    self.init(id: id, hop: object.hop, isBlackhole: object.isBlackhole, group: object.group)
  }
}

extension Route {
  /// Has only the number of a nexthop object.
  var isUnresolved: Bool { nextHopID != nil && gateway == nil && linkIndex == nil && multipath.isEmpty }

  /// The route with what `object` says; as it is where the object went in between.
  func leading(to object: NextHopObject?, in objects: [UInt32: NextHopObject]) -> Route {
    guard let object else { return self }
    var route = self
    let members: [NextHop] = object.group.compactMap { member in
      guard let object = objects[member.id], !object.isBlackhole else { return nil }
      var hop = object.hop
      hop.weight = member.weight
      return hop
    }
    if object.isBlackhole || members.isEmpty && !object.group.isEmpty {
      route.kind = .blackhole
    } else if members.count > 1 {
      route.multipath = members
    } else {
      let hop = members.first ?? object.hop
      (route.gateway, route.linkIndex) = (hop.gateway, hop.linkIndex)
      (route.isOnLink, route.isDead) = (hop.isOnLink, hop.isDead)
    }
    return route
  }
}
