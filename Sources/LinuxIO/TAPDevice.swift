import CLinux
import Glibc
import SystemCalls

/// A TAP (linux/if_tun.h): an interface whose other side is a descriptor of ours. Each read and write is one frame behind a
/// virtio-net header of `headerLength` bytes, so that frames of 64 KB and checksums still to be completed cross untouched.
public struct TAPDevice: ~Copyable {
  /// `struct virtio_net_hdr` (linux/virtio_net.h).
  public static let headerLength = 10

  private static let baseOffloads = UInt32(
    MARTLET_TUN_F_CSUM | MARTLET_TUN_F_TSO4 | MARTLET_TUN_F_TSO6 | MARTLET_TUN_F_TSO_ECN)
  /// Segmentation of UDP came with Linux 6.2.
  private static let allOffloads = baseOffloads | UInt32(MARTLET_TUN_F_USO4 | MARTLET_TUN_F_USO6)
  /// IFNAMSIZ of linux/if.h: fifteen bytes and a zero.
  static let nameCapacity = 16
  /// The name of a TAP whose holder died may be busy for a moment.
  static let busyRetryCount = 50
  static let busyRetryMicroseconds: UInt32 = 20_000

  /// The name it had when it was opened, in the namespace of the thread that opened it.
  public let name: String
  /// What TUNSETOFFLOAD granted (MARTLET_TUN_F_*).
  public let offloads: UInt32
  private let descriptor: FileDescriptor

  /// Makes the TAP `name` in the calling thread's network namespace, or attaches to it where it stands without a holder.
  /// It goes with its descriptor until `setPersistent(true)`.
  public init(name: String) throws(Errno) {
    let descriptor = try FileDescriptor.open("/dev/net/tun", O_RDWR)
    var buffer = [CChar](repeating: 0, count: Self.nameCapacity)
    guard name.utf8.count < buffer.count else { throw Errno(ENAMETOOLONG, "make TAP \(name)") }
    for (index, byte) in name.utf8.enumerated() { buffer[index] = CChar(bitPattern: byte) }
    var retries = 0
    while true {
      let result = martlet_tap_attach(descriptor.number, &buffer, martlet_tap_flags())
      if result == 0 { break }
      guard result == -EBUSY, retries < Self.busyRetryCount else { throw Errno(-result, "attach to TAP \(name)") }
      retries += 1
      usleep(Self.busyRetryMicroseconds)
    }
    _ = try check(
      martlet_tap_set_header_length(descriptor.number, Int32(Self.headerLength)), "set the header length of TAP \(name)"
    )
    self.offloads = try Self.setOffloads(descriptor.number, name: name)
    self.name = name
    self.descriptor = descriptor
  }

  private static func setOffloads(_ descriptor: Int32, name: String) throws(Errno) -> UInt32 {
    if martlet_tap_set_offload(descriptor, allOffloads) == 0 { return allOffloads }
    _ = try check(martlet_tap_set_offload(descriptor, baseOffloads), "set the offloads of TAP \(name)")
    return baseOffloads
  }

  /// The descriptor is a TAP whose kernel cuts segmented UDP apart. It grants what it has granted before, or refuses.
  static func takesSegmentedUDP(_ descriptor: Int32) -> Bool { martlet_tap_set_offload(descriptor, allOffloads) == 0 }

  /// A persistent TAP stays when its descriptor is closed, without carrier, and can be attached to again.
  public borrowing func setPersistent(_ persistent: Bool) throws(Errno) {
    _ = try check(martlet_tap_set_persistent(descriptor.number, persistent ? 1 : 0), "make TAP \(name) persistent")
  }

  /// Hands the descriptor on: the caller closes it.
  public consuming func release() -> Int32 { descriptor.release() }
}
