import Wire

/// An interface (RTM_NEWLINK of rtnetlink(7), linux/if_link.h).
public struct Link: Hashable, Sendable {
  /// The loopback is the first interface of every namespace.
  public static let loopbackIndex: Int32 = 1
  /// IFNAMSIZ of linux/if.h, less the zero byte.
  public static let nameLengthMax = 15
  /// GSO_LEGACY_MAX_SIZE of linux/netdevice.h, of kernels that do not say.
  static let segmentedFrameBytesDefault = 65536

  public let index: Int32
  public let name: String
  /// nil where the interface has no Ethernet address.
  public let mac: MACAddress?
  /// In bytes, without the Ethernet header.
  public let mtu: Int
  /// Set up by an administrator (IFF_UP).
  public let isUp: Bool
  /// Something is at its other end (IFLA_CARRIER): for a TAP, a process that holds its descriptor.
  public let hasCarrier: Bool
  /// It carries Ethernet frames (ARPHRD_ETHER): not so the loopback, a TUN, WireGuard.
  public let isEthernet: Bool
  /// The index of the bridge, bond or VRF that takes its frames (IFLA_MASTER); nil: the interface is its own.
  public let master: Int32?
  /// The kernel hands the device no segmented frame as long as this, in bytes with the Ethernet header
  /// (IFLA_GSO_MAX_SIZE).
  public let segmentedFrameBytesMax: Int
  /// `tun`, `veth`, `bridge` as ip-link(8) names them; nil for hardware and the loopback.
  public let kind: String?
  /// Free text that an administrator sees (`ip link set alias`).
  public let alias: String?

  /// What the kernel takes for a name (dev_valid_name in net/core/dev.c): 1 to 15 bytes, not `.` or `..`, no `/`, `:` or
  /// white space. `%` is refused too: the kernel would make a pattern of it.
  public static func isValidName(_ name: String) -> Bool {
    let banned = "/:% \t\n\u{B}\u{C}\r\0".utf8
    return (1...nameLengthMax).contains(name.utf8.count) && name != "." && name != ".."
      && !name.utf8.contains { banned.contains($0) }
  }
}
