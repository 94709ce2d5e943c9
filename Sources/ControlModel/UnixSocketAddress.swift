import Glibc

/// The address of a Unix socket in the file system (unix(7)), checked to fit where the kernel keeps it.
public struct UnixSocketAddress: Sendable, Equatable {
  /// What `sun_path` holds beside its terminating zero byte.
  public static let pathBytesMax = 107

  public let path: String

  /// Refuses an empty path, one with a zero byte and one that is too long: each would name another socket than asked for.
  public init(path: String) throws(ControlError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw ControlError(.invalid, "the path of a socket cannot be empty or hold a zero byte")
    }
    guard path.utf8.count <= Self.pathBytesMax else {
      throw ControlError(
        .invalid, "the socket path \(path) is too long: \(path.utf8.count) bytes where \(Self.pathBytesMax) fit")
    }
    self.path = path
  }

  /// bind(2). 0, or the error number.
  public func bind(_ descriptor: Int32) -> Int32 {
    withSocketAddress { Glibc.bind(descriptor, $0, $1) == 0 ? 0 : errno }
  }

  /// connect(2). 0, or the error number.
  public func connect(_ descriptor: Int32) -> Int32 {
    withSocketAddress { Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno }
  }

  private func withSocketAddress(_ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
      body(__CONST_SOCKADDR_ARG(__sockaddr_un__: $0), socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
