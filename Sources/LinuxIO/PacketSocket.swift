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

  private let sockets: FileDescriptorGroup

  /// Binds to the interface of that name in the calling thread's network namespace. ENODEV where there is none.
  /// - Parameter queues: sockets that share the frames out among them, by flow (PACKET_FANOUT_HASH).
  /// - Parameter program: a BPF socket filter, by its descriptor: only what it lets through is taken, of what
  ///   the interface takes anyway. Else every frame is.
  public init(interface: String, queues: Int = 1, program: Int32? = nil) throws(Errno) {
    precondition(queues > 0)
    let index = if_nametoindex(interface)
    guard index != 0 else { throw .current("look up interface \(interface)") }
    var sockets = FileDescriptorGroup()
    for _ in 0..<queues { sockets.append(try Self.open()) }
    for socket in sockets.numbers { try Self.bind(socket, to: Int32(index), interface, isPromiscuous: program == nil) }
    if queues > 1 { try Self.share(sockets.numbers) }
    if let program {
      for socket in sockets.numbers { try Self.set(SO_ATTACH_BPF, SOL_SOCKET, to: program, socket) }
      self.sockets = sockets
      return
    }
    for socket in sockets.numbers {
      let result = queues > 1 ? martlet_packet_take_incoming(socket) : martlet_packet_take_all(socket)
      _ = try check(result, "replace the filter of a packet socket")
    }
    self.sockets = sockets
  }

  /// Takes no frame yet: one of another interface, or one that another socket of the group takes too.
  private static func open() throws(Errno) -> FileDescriptor {
    let number = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw .current("open a packet socket") }
    let descriptor = FileDescriptor(owning: number)
    _ = try check(martlet_packet_take_nothing(number), "attach a filter to a packet socket")
    let on: Int32 = 1
    for option in [PACKET_VNET_HDR, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS] {
      try set(option, SOL_PACKET, to: on, number)
    }
    try set(SO_RCVBUFFORCE, SOL_SOCKET, to: receiveBufferBytes, number)
    try set(SO_SNDBUFFORCE, SOL_SOCKET, to: sendBufferBytes, number)
    return descriptor
  }

  private static func bind(
    _ socket: Int32, to index: Int32, _ interface: String, isPromiscuous: Bool
  ) throws(Errno) {
    if isPromiscuous {
      var membership = packet_mreq()
      membership.mr_ifindex = index
      membership.mr_type = UInt16(PACKET_MR_PROMISC)
      try set(PACKET_ADD_MEMBERSHIP, SOL_PACKET, to: membership, socket)
    }
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = UInt16(ETH_P_ALL).bigEndian
    address.sll_ifindex = index
    let result = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.bind(socket, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_ll>.size))
      }
    }
    guard result == 0 else { throw .current("bind a packet socket to \(interface)") }
  }

  /// Makes a group of the sockets, under a number that the kernel chooses. A group does not heed PACKET_IGNORE_OUTGOING of
  /// its sockets, which is why these keep a filter.
  private static func share(_ sockets: [Int32]) throws(Errno) {
    let kind = UInt32(PACKET_FANOUT_HASH) << 16
    try set(PACKET_FANOUT, SOL_PACKET, to: kind | UInt32(PACKET_FANOUT_FLAG_UNIQUEID) << 16, sockets[0])
    var group: UInt32 = 0
    var length = socklen_t(MemoryLayout<UInt32>.size)
    guard getsockopt(sockets[0], SOL_PACKET, PACKET_FANOUT, &group, &length) == 0 else {
      throw .current("ask for the group of a packet socket")
    }
    for socket in sockets.dropFirst() { try set(PACKET_FANOUT, SOL_PACKET, to: kind | group & 0xFFFF, socket) }
  }

  private static func set<Value: BitwiseCopyable>(
    _ option: Int32, _ level: Int32, to value: Value, _ socket: Int32
  ) throws(Errno) {
    var value = value
    guard setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Value>.size)) == 0 else {
      throw .current("set option \(option) of a packet socket")
    }
  }

  /// Hands the sockets on.
  public consuming func release() -> FileDescriptorGroup { sockets }
}

extension PacketSocket {
  static func isPacketSocket(_ descriptor: Int32) -> Bool {
    var domain: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_PACKET
  }

  /// Frames that found the receive buffer full since this was asked last (PACKET_STATISTICS).
  static func takeOverruns(_ descriptor: Int32) -> UInt64 {
    var statistics = tpacket_stats()
    var length = socklen_t(MemoryLayout<tpacket_stats>.size)
    guard getsockopt(descriptor, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0 else { return 0 }
    return UInt64(statistics.tp_drops)
  }
}
