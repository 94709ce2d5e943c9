import CLibmnl
import Glibc
import SystemCalls

/// A rtnetlink socket that hears of every change (rtnetlink(7), "groups"). Of one thread at a time.
struct MonitorSocket: ~Copyable, @unchecked Sendable {  // Owns all it points to.
  /// Room for some ten thousand changes that come while the handler is busy.
  static let receiveBufferBytes: Int32 = 4 << 20
  /// A message of an interface with many virtual functions is larger than the usual 8 KiB.
  static let datagramCapacity = 64 << 10
  /// So that an endless stream of changes keeps nobody from being told, or from stopping the thread.
  static let datagramsAtOnceMax = 1024

  private static let groups: [rtnetlink_groups] = [
    RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
  ]

  private let socket: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer

  var descriptor: Int32 { mnl_socket_get_fd(socket) }

  /// In the calling thread's namespace.
  init() throws(Errno) {
    socket = try Self.open()
    buffer = .allocate(byteCount: Self.datagramCapacity, alignment: MemoryLayout<nlmsghdr>.alignment)
  }

  deinit {
    mnl_socket_close(socket)
    buffer.deallocate()
  }

  private static func open() throws(Errno) -> OpaquePointer {
    let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    guard let socket = mnl_socket_open2(NETLINK_ROUTE, flags) else { throw .current("open a netlink socket") }
    do throws(Errno) {
      try subscribe(socket)
      return socket
    } catch {
      mnl_socket_close(socket)
      throw error
    }
  }

  private static func subscribe(_ socket: OpaquePointer) throws(Errno) {
    guard mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 else { throw .current("bind a netlink socket") }
    let descriptor = mnl_socket_get_fd(socket)
    var size = receiveBufferBytes
    let length = socklen_t(MemoryLayout.size(ofValue: size))
    // Without CAP_NET_ADMIN, as much as `rmem_max` allows.
    guard
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, length) == 0
        || setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, length) == 0
    else { throw .current("set the receive buffer of a netlink socket") }
    for group in groups {
      guard join(socket, group) else { throw .current("join group \(group.rawValue) of rtnetlink") }
    }
    // EINVAL: a kernel before 5.3 has no nexthop objects.
    guard join(socket, RTNLGRP_NEXTHOP) || errno == EINVAL else {
      throw .current("join the nexthop group of rtnetlink")
    }
  }

  private static func join(_ socket: OpaquePointer, _ group: rtnetlink_groups) -> Bool {
    var number = group.rawValue
    return mnl_socket_setsockopt(
      socket, NETLINK_ADD_MEMBERSHIP, &number, socklen_t(MemoryLayout.size(ofValue: number))) == 0
  }

  /// Hands to `each` what is there, without waiting for more. false where the kernel had to drop some: what was left in
  /// the socket then is dropped as well, since a full socket takes nothing and says nothing until it is empty
  /// (NETLINK_S_CONGESTED in net/netlink/af_netlink.c). Who reads the tables then, misses nothing again.
  borrowing func receive(_ each: (Message) -> Void) -> Bool {
    var isComplete = true
    var datagrams = 0
    while datagrams < Self.datagramsAtOnceMax {
      let count = mnl_socket_recvfrom(socket, buffer.baseAddress, buffer.count)
      if count < 0 {
        switch errno {
        case EAGAIN: return isComplete
        case EINTR: continue
        // ENOBUFS: the socket was full; ENOSPC: libmnl's word for a datagram longer than the buffer.
        default: isComplete = false
        }
      } else if isComplete {
        datagrams += 1
        forEachMessage(count, each)
      }
    }
    return isComplete
  }

  private borrowing func forEachMessage(_ count: Int, _ each: (Message) -> Void) {
    var remaining = Int32(count)
    var cursor = UnsafePointer(buffer.baseAddress!.assumingMemoryBound(to: nlmsghdr.self))
    while mnl_nlmsg_ok(cursor, remaining) {
      each(Message(header: cursor))
      cursor = UnsafePointer(mnl_nlmsg_next(cursor, &remaining))
    }
  }
}
