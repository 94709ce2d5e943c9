import CLinux
import Glibc
import Netlink

/// WireGuard interfaces: the kernel's, or TUNs of a program that speaks WireGuard in its place (wireguard-go), which are known by the
/// socket that wg(8) finds them by.
enum WireGuard {
  private static let kernelKind = "wireguard"
  private static let programKind = "tun"
  /// Of wireguard's userspace implementations, as their cross-platform interface has it.
  private static let socketDirectory = "/var/run/wireguard"

  /// Asks the program by connecting to it alone: what it would answer has its keys.
  static func isInterface(_ link: Link) -> Bool {
    if link.kind == kernelKind { return true }
    return link.kind == programKind && !link.isEthernet && isServed("\(socketDirectory)/\(link.name).sock")
  }

  private static func isServed(_ path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity, access(path, F_OK) == 0 else { return false }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return withUnsafePointer(to: address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
      }
    }
  }
}
