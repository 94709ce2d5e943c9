import Glibc

/// The one owner of a file descriptor: closed when the value ends, unless `release` hands it on.
public struct FileDescriptor: ~Copyable, Sendable {
  public let number: Int32

  /// Takes ownership of `number`.
  public init(owning number: Int32) { self.number = number }

  deinit { close(number) }

  /// Gives the descriptor up: the caller closes it.
  public consuming func release() -> Int32 {
    let number = self.number
    discard self
    return number
  }

  /// open(2), with O_CLOEXEC.
  public static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(Errno) -> FileDescriptor {
    let number = Glibc.open(path, flags | O_CLOEXEC, mode)
    guard number >= 0 else { throw .current("open \(path)") }
    return FileDescriptor(owning: number)
  }
}
