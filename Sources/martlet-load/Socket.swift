import Glibc

/// Owns one socket.
struct Socket: ~Copyable {
  /// How long a call may block before the caller looks whether it is time to end.
  static let callTimeout: Double = 0.1

  let descriptor: Int32

  enum Kind {
    case stream
    case datagram

    fileprivate var type: Int32 {
      switch self {
      case .stream: Int32(SOCK_STREAM.rawValue)
      case .datagram: Int32(SOCK_DGRAM.rawValue)
      }
    }
  }

  init(_ kind: Kind, family: Int32) throws {
    descriptor = socket(family, kind.type | Int32(SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { throw SystemCallError("socket") }
  }

  /// Takes over a descriptor that the kernel handed out.
  init(owning descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// A socket that is bound to the port, for IPv4 and IPv6 alike.
  static func bound(_ kind: Kind, port: UInt16) throws -> Socket {
    let address = try SocketAddress("::", port: port)
    let socket = try Socket(kind, family: address.family)
    try socket.set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0, "IPV6_V6ONLY")
    try socket.set(SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR")
    guard address.withPointer({ bind(socket.descriptor, $0, $1) }) == 0 else {
      throw SystemCallError("bind to port \(port)")
    }
    return socket
  }

  static func connected(_ kind: Kind, to address: SocketAddress) throws -> Socket {
    let socket = try Socket(kind, family: address.family)
    try socket.connect(to: address)
    return socket
  }

  func connect(to address: SocketAddress) throws {
    guard address.withPointer({ Glibc.connect(descriptor, $0, $1) }) == 0 else { throw SystemCallError("connect") }
  }

  func set(_ level: Int32, _ option: Int32, _ value: Int32, _ name: String) throws {
    var value = value
    guard setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
      throw SystemCallError(name)
    }
  }

  func setNoDelay() throws { try set(Int32(IPPROTO_TCP), TCP_NODELAY, 1, "TCP_NODELAY") }

  /// A name from net.ipv4.tcp_available_congestion_control. Connections accepted from a listening socket inherit it.
  func setCongestionControl(_ name: String) throws {
    guard setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, name, socklen_t(name.utf8.count)) == 0 else {
      throw SystemCallError("congestion control \(name)")
    }
  }

  /// Connections accepted from a listening socket inherit it.
  func setReceiveTimeout(seconds: Double) throws { try setTimeout(SO_RCVTIMEO, seconds, "SO_RCVTIMEO") }
  func setSendTimeout(seconds: Double) throws { try setTimeout(SO_SNDTIMEO, seconds, "SO_SNDTIMEO") }

  private func setTimeout(_ option: Int32, _ seconds: Double, _ name: String) throws {
    var time = timeval(tv_sec: Int(seconds), tv_usec: Int(seconds.truncatingRemainder(dividingBy: 1) * 1e6))
    guard setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size)) == 0 else {
      throw SystemCallError(name)
    }
  }

  /// Asks for a receive buffer past net.core.rmem_max, and makes do with that limit where CAP_NET_ADMIN is missing.
  func setReceiveBuffer(bytes: Int32) throws {
    do {
      try set(SOL_SOCKET, SO_RCVBUFFORCE, bytes, "SO_RCVBUFFORCE")
    } catch let error as SystemCallError where error.code == EPERM {
      try set(SOL_SOCKET, SO_RCVBUF, bytes, "SO_RCVBUF")
    }
  }
}
