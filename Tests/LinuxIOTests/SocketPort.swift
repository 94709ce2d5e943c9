import Glibc
import LinuxIO
import SystemCalls

@testable import Datapath

/// The far side of a port that is a pair of sockets instead of a TAP: each message is a virtio-net header and a frame.
final class SocketPort {
  /// For the switch, which closes it.
  let portDescriptor: Int32
  let descriptor: Int32

  init() {
    var pair: [Int32] = [-1, -1]
    precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0)
    (portDescriptor, descriptor) = (pair[0], pair[1])
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// The port's side as its only queue.
  func queue() -> FileDescriptorGroup { FileDescriptorGroup(FileDescriptor(owning: portDescriptor)) }

  /// The sides of several as the queues of one port.
  static func queues(_ ends: [SocketPort]) -> FileDescriptorGroup {
    var group = FileDescriptorGroup()
    for end in ends { group.append(FileDescriptor(owning: end.portDescriptor)) }
    return group
  }

  func send(_ frame: [UInt8]) {
    let message = [UInt8](repeating: 0, count: Engine.headerLength) + frame
    precondition(write(descriptor, message, message.count) == message.count)
  }

  /// The next frame without its virtio-net header; nil after ten seconds without one.
  func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 70_000)
    let length = read(descriptor, &buffer, buffer.count)
    return length > Engine.headerLength ? Array(buffer[Engine.headerLength..<length]) : nil
  }

  /// Nothing is there now.
  var isEmpty: Bool {
    var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&poller, 1, 0) == 0
  }
}
