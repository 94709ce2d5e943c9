import CLinux
import Glibc

extension Socket {
  /// A socket (packet(7)) for whole frames of one EtherType at an interface of the calling thread's network namespace. It
  /// gets also those that are for another station, and none that were sent here.
  static func packet(interface name: String, etherType: UInt16) throws -> Socket {
    let index = if_nametoindex(name)
    guard index > 0 else { throw SystemCallError("interface \(name)") }
    let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SystemCallError("a packet socket, which needs CAP_NET_RAW") }
    let socket = Socket(owning: descriptor)
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = etherType.bigEndian
    address.sll_ifindex = Int32(index)
    let isBound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_ll>.size)) == 0
      }
    }
    guard isBound else { throw SystemCallError("bind to interface \(name)") }
    var membership = packet_mreq()
    membership.mr_ifindex = Int32(index)
    membership.mr_type = UInt16(PACKET_MR_PROMISC)
    let length = socklen_t(MemoryLayout<packet_mreq>.size)
    guard setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, length) == 0 else {
      throw SystemCallError("PACKET_ADD_MEMBERSHIP on interface \(name)")
    }
    return socket
  }

  /// How many frames found no room in a packet socket since the last call.
  func packetDrops() throws -> Int {
    var statistics = tpacket_stats()
    var length = socklen_t(MemoryLayout<tpacket_stats>.size)
    guard getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0 else {
      throw SystemCallError("PACKET_STATISTICS")
    }
    return Int(statistics.tp_drops)
  }
}
