import ControlModel
import Glibc
import SystemCalls

/// Keeps a second daemon from the state directory: flock(2) on a file in it, which the kernel lets go of however its holder ends.
struct StateLock: ~Copyable {
  static let fileName = "martletd.pid"
  private static let pidLength = 32

  private let descriptor: FileDescriptor

  init(directory: String) throws(ControlError) {
    let path = directory + "/" + Self.fileName
    let descriptor = try controlled { () throws(Errno) in try FileDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o644) }
    guard flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 else {
      guard errno == EWOULDBLOCK else { throw ControlError(.current("lock \(path)")) }
      let holder = Self.readPID(descriptor).map { "martletd with pid \($0)" } ?? "another martletd"
      throw ControlError(
        .conflict, "\(holder) uses the state directory \(directory): stop it, or give this one a --state-dir of its own"
      )
    }
    let text = Array("\(getpid())\n".utf8)
    guard ftruncate(descriptor.number, 0) == 0, pwrite(descriptor.number, text, text.count, 0) == text.count else {
      throw ControlError(.current("write \(path)"))
    }
    self.descriptor = descriptor
  }

  private static func readPID(_ descriptor: borrowing FileDescriptor) -> Int32? {
    var buffer = [UInt8](repeating: 0, count: pidLength)
    let count = pread(descriptor.number, &buffer, buffer.count, 0)
    guard count > 0 else { return nil }
    return Int32(String(decoding: buffer[..<count], as: UTF8.self).filter(\.isNumber))
  }
}
