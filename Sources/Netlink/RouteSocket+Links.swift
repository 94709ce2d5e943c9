import CLibmnl
import CLinux
import Glibc
import SystemCalls
import Wire

extension RouteSocket {
  /// Every interface of the namespace.
  public mutating func links() throws(Errno) -> [Link] {
    var request = Request(RTM_GETLINK, flags: 0, ifinfomsg())
    request.put(IFLA_EXT_MASK, UInt32(RTEXT_FILTER_SKIP_STATS))
    return try dump(request, "list links") { Link($0) }
  }

  /// The interface `name`; nil where there is none.
  public mutating func link(named name: String) throws(Errno) -> Link? {
    var request = Request(RTM_GETLINK, flags: 0, ifinfomsg())
    request.put(IFLA_IFNAME, name)
    return try get(request, absent: ENODEV, "look up link \(name)") { Link($0) }
  }

  /// The interface `index`; nil where there is none.
  public mutating func link(index: Int32) throws(Errno) -> Link? {
    let request = Request(RTM_GETLINK, flags: 0, ifinfomsg(index: index))
    return try get(request, absent: ENODEV, "look up link \(index)") { Link($0) }
  }

  /// Changes what is not nil, all in one message. ENODEV where there is no such interface, EEXIST where `name` is taken.
  /// An empty `alias` takes the alias away. Kernels before 6.2 rename an interface only while it is down (EBUSY).
  public mutating func setLink(
    _ index: Int32, up: Bool? = nil, mtu: Int? = nil, mac: MACAddress? = nil, name: String? = nil,
    alias: String? = nil, segmentedFrameBytesMax: Int? = nil
  ) throws(Errno) {
    var header = ifinfomsg(index: index)
    if let up {
      header.ifi_change = UInt32(IFF_UP)
      header.ifi_flags = up ? UInt32(IFF_UP) : 0
    }
    var request = Request(RTM_NEWLINK, flags: 0, header)
    if let mtu {
      guard let value = UInt32(exactly: mtu) else { throw Errno(EINVAL, "set the MTU of link \(index) to \(mtu)") }
      request.put(IFLA_MTU, value)
    }
    if let mac { request.put(IFLA_ADDRESS, mac.bytes) }
    if let name { request.put(IFLA_IFNAME, name) }
    if let alias { request.put(IFLA_IFALIAS, alias) }
    if let segmentedFrameBytesMax { request.put(IFLA_GSO_MAX_SIZE, UInt32(segmentedFrameBytesMax)) }
    try execute(request, "set link \(index)")
  }

  /// Moves an interface into `namespace` and names it there, in one message. EEXIST where `name` is taken there.
  ///
  /// The move takes the interface down, its addresses and routes away. Gives its index there, another one where its own
  /// is taken.
  @discardableResult
  public mutating func moveLink(
    _ index: Int32, to namespace: borrowing NetworkNamespace, name: String
  ) throws(Errno) -> Int32 {
    let operation = "move link \(index) to \(name) in network namespace \(namespace.inode)"
    // The kernel moves first and names then: refused for its name, the interface would already be on the other side
    // (do_setlink in net/core/rtnetlink.c).
    var there = try RouteSocket(in: namespace)
    guard try there.link(named: name) == nil else { throw Errno(EEXIST, operation) }
    var request = Request(RTM_NEWLINK, flags: 0, ifinfomsg(index: index))
    request.put(IFLA_NET_NS_FD, UInt32(namespace.descriptor.number))
    request.put(IFLA_IFNAME, name)
    try execute(request, operation)
    guard let moved = try there.link(named: name) else { throw Errno(ENODEV, operation) }
    return moved.index
  }

  /// Makes a VXLAN interface that takes what comes by any tunnel to the UDP port ("external" of ip-link(8)), down. EADDRINUSE: a
  /// program has the port.
  public mutating func addCollectingVXLAN(named name: String, port: UInt16) throws(Errno) {
    var request = Request(RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, ifinfomsg(index: 0))
    request.put(IFLA_IFNAME, name)
    request.nest(IFLA_LINKINFO) { request in
      request.put(IFLA_INFO_KIND, "vxlan")
      request.nest(IFLA_INFO_DATA) { request in
        request.put(IFLA_VXLAN_PORT, [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)])
        request.put(IFLA_VXLAN_COLLECT_METADATA, UInt8(1))
      }
    }
    try execute(request, "add VXLAN interface \(name)")
  }

  /// Takes an interface away. ENODEV where there is none.
  public mutating func deleteLink(_ index: Int32) throws(Errno) {
    try execute(Request(RTM_DELLINK, flags: 0, ifinfomsg(index: index)), "delete link \(index)")
  }
}

extension ifinfomsg {
  fileprivate init(index: Int32) {
    self.init()
    ifi_index = index
  }
}

extension Link {
  /// nil where the message is not an interface of the namespace itself.
  fileprivate init?(_ message: Message) {
    guard message.type == RTM_NEWLINK, let header = message.family(ifinfomsg.self) else { return nil }
    var name = ""
    var mac: MACAddress?
    var mtu = 0
    var hasCarrier = false
    var master: Int32?
    var segmentedFrameBytesMax = Link.segmentedFrameBytesDefault
    var kind: String?
    var alias: String?
    for attribute in message.attributes(after: ifinfomsg.self) {
      switch attribute.type {
      case IFLA_IFNAME: name = attribute.string ?? name
      case IFLA_ADDRESS: mac = MACAddress(bytes: attribute.bytes)
      case IFLA_MTU: mtu = Int(attribute.uint32 ?? 0)
      case IFLA_CARRIER: hasCarrier = attribute.uint8 == 1
      case IFLA_MASTER: master = attribute.uint32.flatMap { Int32(exactly: $0) }
      case IFLA_GSO_MAX_SIZE: segmentedFrameBytesMax = Int(attribute.uint32 ?? 0)
      case IFLA_IFALIAS: alias = attribute.string
      case IFLA_LINKINFO: kind = attribute.nested.first { $0.type == IFLA_INFO_KIND }?.string
      default: continue
      }
    }
    self.init(
      index: header.ifi_index, name: name, mac: mac, mtu: mtu, isUp: header.ifi_flags & UInt32(IFF_UP) != 0,
      hasCarrier: hasCarrier, isEthernet: header.ifi_type == ARPHRD_ETHER, master: master,
      segmentedFrameBytesMax: segmentedFrameBytesMax, kind: kind, alias: alias)
  }
}
