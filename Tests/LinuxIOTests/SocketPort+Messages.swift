import Glibc
import Wire

@testable import Datapath

/// Frames with their virtio-net headers.
extension SocketPort {
  func send(message: [UInt8]) { precondition(write(descriptor, message, message.count) == message.count) }

  /// The next message whole; nil after ten seconds without one.
  func receiveMessage() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 70_000)
    let length = read(descriptor, &buffer, buffer.count)
    return length >= Engine.headerLength ? Array(buffer[..<length]) : nil
  }
}
