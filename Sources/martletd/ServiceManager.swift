import Glibc
import Logging
import SystemCalls

/// Tells systemd how far the daemon is (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names. Without one,
/// nothing is told.
enum ServiceManager {
  static func notify(_ state: String, _ logger: Logger) {
    guard let path = variable("NOTIFY_SOCKET"), !path.isEmpty else { return }
    if let error = send(state, to: path) { logger.warning("\(error)") }
  }

  /// What it has set for this process.
  static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// `@` at the front of `path` stands for the zero byte of an abstract address (unix(7)).
  static func send(_ state: String, to path: String) -> Errno? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      return Errno(ENAMETOOLONG, "notify \(path)")
    }
    if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout.offset(of: \sockaddr_un.sun_path)! + bytes.count)

    let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { return .current("notify \(path)") }
    let descriptor = FileDescriptor(owning: number)
    let message = Array(state.utf8)
    let sent = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(
          descriptor.number, message, message.count, Int32(MSG_NOSIGNAL), __CONST_SOCKADDR_ARG(__sockaddr__: $0), length
        )
      }
    }
    return sent == message.count ? nil : .current("notify \(path)")
  }
}
