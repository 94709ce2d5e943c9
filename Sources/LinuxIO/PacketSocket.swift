import CLinux
import Glibc
import SystemCalls

/// A packet socket (packet(7)) on an interface that is there already: a veth, a NIC. Each read and write is one frame behind
/// a virtio-net header of ten bytes, as with `TAPDevice`; frames that the host itself sends out are not seen.
///
/// A VLAN tag does not stand in the frames that it gives: the kernel takes the outermost off before (skb_vlan_untag of
/// net/core/skbuff.c), and tells it in a control message, PACKET_AUXDATA.
public struct PacketSocket: ~Copyable {
  /// Received frames that wait, in bytes of kernel memory, which counts half a page for the smallest; as much as a burst of
  /// a millisecond at 20 Gb/s.
  static let receiveBufferBytes: Int32 = 4 << 20
  /// Sent frames that the device has not done with.
  static let sendBufferBytes: Int32 = 4 << 20

  private let descriptor: FileDescriptor

  /// Binds to the interface of that name in the calling thread's network namespace. ENODEV where there is none.
  public init(interface: String) throws(Errno) {
    let index = if_nametoindex(interface)
    guard index != 0 else { throw .current("look up interface \(interface)") }
    // Protocol 0: it takes no frame yet, which could be of any interface.
    let number = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw .current("open a packet socket") }
    let descriptor = FileDescriptor(owning: number)
    try Self.configure(number)
    var membership = packet_mreq()
    membership.mr_ifindex = Int32(index)
    membership.mr_type = UInt16(PACKET_MR_PROMISC)
    try Self.set(PACKET_ADD_MEMBERSHIP, SOL_PACKET, to: membership, number)
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = UInt16(ETH_P_ALL).bigEndian
    address.sll_ifindex = Int32(index)
    let result = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_ll>.size))
      }
    }
    guard result == 0 else { throw .current("bind a packet socket to \(interface)") }
    self.descriptor = descriptor
  }

  private static func configure(_ socket: Int32) throws(Errno) {
    let on: Int32 = 1
    for option in [PACKET_VNET_HDR, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS] {
      try set(option, SOL_PACKET, to: on, socket)
    }
    try set(SO_RCVBUFFORCE, SOL_SOCKET, to: receiveBufferBytes, socket)
    try set(SO_SNDBUFFORCE, SOL_SOCKET, to: sendBufferBytes, socket)
  }

  private static func set<Value: BitwiseCopyable>(
    _ option: Int32, _ level: Int32, to value: Value, _ socket: Int32
  ) throws(Errno) {
    var value = value
    guard setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Value>.size)) == 0 else {
      throw .current("set option \(option) of a packet socket")
    }
  }

  /// Hands the descriptor on: the caller closes it.
  public consuming func release() -> Int32 { descriptor.release() }
}

extension PacketSocket {
  /// Frames that found the receive buffer full since this was asked last (PACKET_STATISTICS).
  static func takeOverruns(_ descriptor: Int32) -> UInt64 {
    var statistics = tpacket_stats()
    var length = socklen_t(MemoryLayout<tpacket_stats>.size)
    guard getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0 else { return 0 }
    return UInt64(statistics.tp_drops)
  }
}
