import CLinux
import Glibc
import SystemCalls
import Wire

/// Has an interface's device take frames that are not for the interface itself (PACKET_ADD_MEMBERSHIP of packet(7)): all
/// multicast, and unicast to the addresses that were added. A device that cannot tell addresses apart becomes promiscuous.
///
/// A packet socket that receives nothing; the memberships go with it.
public struct LinkMembership: ~Copyable {
  private let socket: FileDescriptor
  private let index: Int32

  /// - Parameter index: of an interface of the calling thread's network namespace.
  public init(interface index: Int32) throws(Errno) {
    let number = Glibc.socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw .current("open a packet socket") }
    let owned = FileDescriptor(owning: number)
    try Self.change(number, PACKET_ADD_MEMBERSHIP, PACKET_MR_ALLMULTI, index, nil)
    socket = owned
    self.index = index
  }

  /// Counted: as often as it was added it has to be removed.
  public borrowing func add(_ address: MACAddress) throws(Errno) {
    try Self.change(socket.number, PACKET_ADD_MEMBERSHIP, PACKET_MR_UNICAST, index, address)
  }

  public borrowing func remove(_ address: MACAddress) throws(Errno) {
    do throws(Errno) {
      try Self.change(socket.number, PACKET_DROP_MEMBERSHIP, PACKET_MR_UNICAST, index, address)
    } catch let error where error.code == EADDRNOTAVAIL || error.code == ENODEV {
      // The interface is gone, and its memberships with it.
      return
    }
  }

  private static func change(
    _ socket: Int32, _ option: Int32, _ kind: Int32, _ index: Int32, _ address: MACAddress?
  ) throws(Errno) {
    var membership = packet_mreq()
    membership.mr_ifindex = index
    membership.mr_type = UInt16(kind)
    if let address {
      membership.mr_alen = UInt16(address.bytes.count)
      withUnsafeMutableBytes(of: &membership.mr_address) { $0.copyBytes(from: address.bytes) }
    }
    let length = socklen_t(MemoryLayout<packet_mreq>.size)
    guard setsockopt(socket, SOL_PACKET, option, &membership, length) == 0 else {
      throw .current("change which frames interface \(index) takes")
    }
  }
}
