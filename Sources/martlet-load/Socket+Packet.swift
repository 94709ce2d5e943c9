import Glibc

/// sockaddr_ll of linux/if_packet.h, which Swift's Glibc leaves out.
private struct LinkLayerAddress {
  var family = UInt16(AF_PACKET)
  /// An EtherType in network order.
  var etherType: UInt16
  var interface: Int32
  var hardwareType: UInt16 = 0
  var packetType: UInt8 = 0
  var length: UInt8 = 0
  var octets: (UInt32, UInt32) = (0, 0)
}

/// packet_mreq of linux/if_packet.h.
private struct PacketMembership {
  var interface: Int32
  var type: UInt16
  var length: UInt16 = 0
  var octets: UInt64 = 0
}

/// tpacket_stats of linux/if_packet.h.
private struct PacketStatistics {
  var packets: UInt32 = 0
  var drops: UInt32 = 0
}

/// Constants of linux/if_packet.h.
private enum PacketOption {
  static let addMembership: Int32 = 1
  static let statistics: Int32 = 6
  static let promiscuous: UInt16 = 1
}

extension Socket {
  /// A socket (packet(7)) for whole frames of one EtherType at an interface of the calling thread's network namespace. It
  /// gets also those that are for another station, and none that were sent here.
  static func packet(interface name: String, etherType: UInt16) throws -> Socket {
    let index = if_nametoindex(name)
    guard index > 0 else { throw SystemCallError("interface \(name)") }
    let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SystemCallError("a packet socket, which needs CAP_NET_RAW") }
    let socket = Socket(owning: descriptor)
    var address = LinkLayerAddress(etherType: etherType.bigEndian, interface: Int32(index))
    let isBound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<LinkLayerAddress>.size)) == 0
      }
    }
    guard isBound else { throw SystemCallError("bind to interface \(name)") }
    var membership = PacketMembership(interface: Int32(index), type: PacketOption.promiscuous)
    let length = socklen_t(MemoryLayout<PacketMembership>.size)
    guard setsockopt(descriptor, SOL_PACKET, PacketOption.addMembership, &membership, length) == 0 else {
      throw SystemCallError("PACKET_ADD_MEMBERSHIP on interface \(name)")
    }
    return socket
  }

  /// How many frames found no room in a packet socket since the last call.
  func packetDrops() throws -> Int {
    var statistics = PacketStatistics()
    var length = socklen_t(MemoryLayout<PacketStatistics>.size)
    guard getsockopt(descriptor, SOL_PACKET, PacketOption.statistics, &statistics, &length) == 0 else {
      throw SystemCallError("PACKET_STATISTICS")
    }
    return Int(statistics.drops)
  }
}
