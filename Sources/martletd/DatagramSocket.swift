import Glibc
import SystemCalls
import Wire

/// A UDP socket that sends to one place and never waits.
final class DatagramSocket: Sendable {
  private let descriptor: FileDescriptor
  /// From which it sends.
  let localAddress: IPAddress

  init(to address: IPAddress, port: Int) throws(Errno) {
    let operation = "send to \(address) port \(port)"
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.description, String(port), &hints, &found) == 0, let found else {
      throw Errno(EADDRNOTAVAIL, operation)
    }
    defer { freeaddrinfo(found) }
    let type = SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    let number = socket(found.pointee.ai_family, Int32(type), 0)
    guard number >= 0 else { throw .current(operation) }
    let descriptor = FileDescriptor(owning: number)
    let place = __CONST_SOCKADDR_ARG(__sockaddr__: found.pointee.ai_addr)
    guard connect(number, place, found.pointee.ai_addrlen) == 0 else { throw .current(operation) }
    localAddress = try Self.localAddress(of: number, operation)
    self.descriptor = descriptor
  }

  private static func localAddress(of number: Int32, _ operation: String) throws(Errno) -> IPAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let isNamed = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(number, __SOCKADDR_ARG(__sockaddr__: $0), &length) == 0
          && getnameinfo($0, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0
      }
    }
    let text = String(
      decoding: name.prefix { $0 != 0 && $0 != CChar(UInt8(ascii: "%")) }.map(UInt8.init), as: UTF8.self)
    guard isNamed, let address = IPAddress(text) else { throw Errno(EADDRNOTAVAIL, operation) }
    return address
  }

  /// nil, or why the datagram was not sent.
  func send(_ datagram: [UInt8]) -> Errno? {
    if Glibc.send(descriptor.number, datagram, datagram.count, Int32(MSG_NOSIGNAL)) >= 0 { return nil }
    // Of the one before: nobody listens there (udp(7)). This one has not been tried.
    if errno == ECONNREFUSED {
      _ = Glibc.send(descriptor.number, datagram, datagram.count, Int32(MSG_NOSIGNAL))
      return Errno(ECONNREFUSED, "send a datagram")
    }
    return .current("send a datagram")
  }
}
