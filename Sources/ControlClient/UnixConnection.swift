import ControlModel
import Glibc

/// A connected Unix socket. Every call on it blocks at most for the patience it was made with.
struct UnixConnection: ~Copyable {
  private static let receiveBytes = 64 << 10

  private let descriptor: Int32
  private let path: String
  private let patienceSeconds: Int

  private init(descriptor: Int32, path: String, patienceSeconds: Int) {
    (self.descriptor, self.path, self.patienceSeconds) = (descriptor, path, patienceSeconds)
  }

  static func open(path: String, patienceSeconds: Int) throws(ControlError) -> UnixConnection {
    let address = try UnixSocketAddress(path: path)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw unreachable(path, errno) }
    let connection = UnixConnection(descriptor: descriptor, path: path, patienceSeconds: patienceSeconds)
    var patience = timeval(tv_sec: patienceSeconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    // SO_SNDTIMEO bounds connect(2) too, where the daemon's backlog is full.
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
    var refused = address.connect(descriptor)
    while refused == EINTR { refused = address.connect(descriptor) }
    guard refused == 0 else { throw unreachable(path, refused) }
    return connection
  }

  deinit { close(descriptor) }

  /// Sends all of it, unless the other side stops listening: then it has answered early, and `receive` has why.
  func send(_ bytes: [UInt8]) throws(ControlError) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 {
        sent += count
      } else if errno == EPIPE || errno == ECONNRESET {
        return
      } else if errno != EINTR {
        throw broken(errno)
      }
    }
  }

  /// Appends what has come; false once the other side has ended.
  func receive(into buffer: inout [UInt8]) throws(ControlError) -> Bool {
    while true {
      let before = buffer.count
      buffer.append(contentsOf: repeatElement(0, count: Self.receiveBytes))
      let count = buffer[before...].withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
      let failed = errno
      buffer.removeLast(Self.receiveBytes - max(count, 0))
      if count >= 0 { return count > 0 }
      if failed != EINTR { throw broken(failed) }
    }
  }

  private func broken(_ code: Int32) -> ControlError {
    if code == EAGAIN {
      return ControlError(
        .unreachable, "martletd at \(path) was silent for \(patienceSeconds) s; it may still do what was asked")
    }
    return ControlError(.unreachable, "martletd at \(path) broke off: \(String(cString: strerror(code)))")
  }

  private static func unreachable(_ path: String, _ code: Int32) -> ControlError {
    let advice =
      switch code {
      case ENOENT, ECONNREFUSED: "is it running?"
      case EACCES, EPERM: "run this as root, or as a member of the socket's group"
      case EAGAIN: "it is busy or stuck"
      default: "is this the right socket?"
      }
    return ControlError(.unreachable, "cannot reach martletd at \(path): \(String(cString: strerror(code))); \(advice)")
  }
}
