import ControlModel
import Glibc

/// A socket that listens; of a Unix socket, the file that names it. Nobody can connect before its mode is set: the kernel refuses
/// connections to a socket that is bound but does not listen yet, and the mode is set between the two.
struct ListeningSocket: Sendable {
  /// Read and write for owner and group: who may connect is who may command the switch (unix(7)).
  private static let mode: mode_t = 0o660
  /// Connections that wait to be accepted.
  static let backlog: Int32 = 128

  /// Whoever takes it over (NIO) closes it.
  let descriptor: Int32
  /// nil: it has none, or it is somebody else's, who keeps it.
  private let file: File?

  /// Device and inode tell our file from another's that took its place.
  private struct File {
    let path: String
    let device: dev_t
    let inode: ino_t
  }

  /// One that listens already.
  init(inherited descriptor: Int32) { (self.descriptor, file) = (descriptor, nil) }

  /// Replaces the file a dead daemon left behind; refuses where a living one listens, or where the file is no socket.
  /// Directories that it makes on the way have `directoryMode`.
  init(path: String, directoryMode: mode_t) throws(ControlError) {
    let address = try UnixSocketAddress(path: path)
    try Self.makeParent(of: path, directoryMode)
    try Self.clear(address)
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Self.failure("cannot make a socket", errno) }
    var status = stat()
    var failed = address.bind(descriptor)
    if failed == 0,
      lstat(path, &status) != 0 || chmod(path, Self.mode) != 0 || listen(descriptor, Self.backlog) != 0
    {
      failed = errno
    }
    guard failed == 0 else {
      close(descriptor)
      if status.st_ino != 0 { unlink(path) }
      throw Self.failure("cannot listen at \(path)", failed)
    }
    self.descriptor = descriptor
    file = File(path: path, device: status.st_dev, inode: status.st_ino)
  }

  /// Takes the file away, unless it was inherited or another daemon's has taken its place.
  func unlinkFile() {
    guard let file else { return }
    var status = stat()
    if lstat(file.path, &status) == 0, status.st_dev == file.device, status.st_ino == file.inode { unlink(file.path) }
  }

  private static func makeParent(of path: String, _ directoryMode: mode_t) throws(ControlError) {
    for (index, character) in zip(path.indices, path) where character == "/" && index > path.startIndex {
      let directory = String(path[..<index])
      if mkdir(directory, directoryMode) == 0 {
        // mkdir(2) takes the umask off.
        chmod(directory, directoryMode)
      } else if errno != EEXIST {
        throw failure("cannot make the directory \(directory)", errno)
      }
    }
  }

  private static func clear(_ address: UnixSocketAddress) throws(ControlError) {
    let path = address.path
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw failure("cannot look at \(path)", errno)
    }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw ControlError(.conflict, "\(path) exists and is not a socket; it is left as it is")
    }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard probe >= 0 else { throw failure("cannot make a socket", errno) }
    defer { close(probe) }
    let refused = address.connect(probe)
    switch refused {
    case ECONNREFUSED:
      guard unlink(path) == 0 || errno == ENOENT else {
        throw failure("cannot replace the stale socket \(path)", errno)
      }
    case 0, EAGAIN: throw ControlError(.conflict, "a daemon is already listening at \(path)")
    default: throw failure("cannot tell whether a daemon is listening at \(path)", refused)
    }
  }

  static func failure(_ what: String, _ code: Int32) -> ControlError {
    ControlError(.system, "\(what): \(String(cString: strerror(code)))")
  }
}
