import CLinux
import Glibc
import SystemCalls

/// A TAP (linux/if_tun.h): an interface whose other side is descriptors of ours, one for each of its queues. Each read and write
/// is one frame behind a virtio-net header of `headerLength` bytes, so that frames of 64 KB and checksums still to be
/// completed cross untouched.
///
/// The kernel chooses the queue of a frame by its flow, the same for both directions, and remembers by which queue a flow was
/// last written (tun_automq_select_queue of drivers/net/tun.c).
public struct TAPDevice: ~Copyable {
  /// `struct virtio_net_hdr` (linux/virtio_net.h).
  public static let headerLength = 10

  /// Of a carrier (`virtio_net_hdr_v1_hash_tunnel`, Linux 6.17): its frames may be segmented within a UDP tunnel.
  public static let carrierHeaderLength = 24

  private static let baseOffloads = UInt32(
    MARTLET_TUN_F_CSUM | MARTLET_TUN_F_TSO4 | MARTLET_TUN_F_TSO6 | MARTLET_TUN_F_TSO_ECN)
  /// Segmentation of UDP came with Linux 6.2.
  private static let allOffloads = baseOffloads | UInt32(MARTLET_TUN_F_USO4 | MARTLET_TUN_F_USO6)
  private static let carrierOffloads =
    allOffloads | UInt32(MARTLET_TUN_F_UDP_TUNNEL_GSO | MARTLET_TUN_F_UDP_TUNNEL_GSO_CSUM)
  /// IFNAMSIZ of linux/if.h: fifteen bytes and a zero.
  static let nameCapacity = 16
  /// The name of a TAP whose holder died may be busy for a moment.
  static let busyRetryCount = 50
  static let busyRetryMicroseconds: UInt32 = 20_000

  /// The name it had when it was opened, in the namespace of the thread that opened it.
  public let name: String
  /// What TUNSETOFFLOAD granted (MARTLET_TUN_F_*).
  public let offloads: UInt32
  private let queues: FileDescriptorGroup

  /// Makes the TAP `name` in the calling thread's network namespace, or attaches to it where it stands without a holder.
  /// It goes with its descriptors until `setPersistent(true)`.
  /// - Parameters:
  ///   - queues: how many. A TAP that stands already and was made with a single one keeps to that.
  ///   - isNew: to be made; EBUSY where a TAP of that name stands already.
  ///   - isCarrier: for frames within a tunnel, with the longer header.
  public init(
    name: String, queues queueCount: Int = 1, isNew: Bool = false, isCarrier: Bool = false
  ) throws(Errno) {
    precondition(queueCount > 0)
    guard name.utf8.count < Self.nameCapacity else { throw Errno(ENAMETOOLONG, "make TAP \(name)") }
    let queues = try Self.openQueues(name, count: queueCount, isNew: isNew)
    _ = try check(
      martlet_tap_set_header_length(queues.numbers[0], Int32(isCarrier ? Self.carrierHeaderLength : Self.headerLength)),
      "set the header length of TAP \(name)")
    self.offloads = try Self.setOffloads(queues.numbers[0], name: name)
    self.name = name
    self.queues = queues
  }

  private static func openQueues(_ name: String, count: Int, isNew: Bool) throws(Errno) -> FileDescriptorGroup {
    let first = try FileDescriptor.open("/dev/net/tun", O_RDWR)
    var takesMany = count > 1
    do throws(Errno) {
      try attach(first.number, to: name, multiQueue: takesMany, isNew: isNew)
    } catch let error where error.code == EINVAL && !isNew {
      // Made with the other kind of queue by an earlier daemon.
      takesMany.toggle()
      try attach(first.number, to: name, multiQueue: takesMany)
    }
    var queues = FileDescriptorGroup(first)
    while takesMany && queues.numbers.count < count {
      let next = try FileDescriptor.open("/dev/net/tun", O_RDWR)
      try attach(next.number, to: name, multiQueue: true)
      queues.append(next)
    }
    return queues
  }

  private static func attach(
    _ descriptor: Int32, to name: String, multiQueue: Bool, isNew: Bool = false
  ) throws(Errno) {
    var buffer = [CChar](repeating: 0, count: nameCapacity)
    for (index, byte) in name.utf8.enumerated() { buffer[index] = CChar(bitPattern: byte) }
    var retries = 0
    while true {
      let result = martlet_tap_attach(descriptor, &buffer, martlet_tap_flags(multiQueue ? 1 : 0, isNew ? 1 : 0))
      if result == 0 { return }
      guard result == -EBUSY, !isNew, retries < busyRetryCount else { throw Errno(-result, "attach to TAP \(name)") }
      retries += 1
      usleep(busyRetryMicroseconds)
    }
  }

  private static func setOffloads(_ descriptor: Int32, name: String) throws(Errno) -> UInt32 {
    if martlet_tap_set_offload(descriptor, allOffloads) == 0 { return allOffloads }
    _ = try check(martlet_tap_set_offload(descriptor, baseOffloads), "set the offloads of TAP \(name)")
    return baseOffloads
  }

  /// Asks as much of a carrier's kernel as it grants, up to `most`.
  static func setSegmentation(_ descriptor: Int32, atMost most: TunnelSegmentation) -> TunnelSegmentation {
    if most == .tunnel && martlet_tap_set_offload(descriptor, carrierOffloads) == 0 { return .tunnel }
    if most >= .datagrams && martlet_tap_set_offload(descriptor, allOffloads) == 0 { return .datagrams }
    // Without any, the kernel cuts apart what it has put together.
    _ = martlet_tap_set_offload(descriptor, UInt32(MARTLET_TUN_F_CSUM))
    return .none
  }

  /// The descriptor is a TAP whose kernel cuts segmented UDP apart. It grants what it has granted before, or refuses.
  static func takesSegmentedUDP(_ descriptor: Int32) -> Bool { martlet_tap_set_offload(descriptor, allOffloads) == 0 }

  /// A persistent TAP stays when its descriptors are closed, without carrier, and can be attached to again.
  public borrowing func setPersistent(_ persistent: Bool) throws(Errno) {
    _ = try check(martlet_tap_set_persistent(queues.numbers[0], persistent ? 1 : 0), "make TAP \(name) persistent")
  }

  /// Hands the queues on.
  public consuming func release() -> FileDescriptorGroup { queues }
}
