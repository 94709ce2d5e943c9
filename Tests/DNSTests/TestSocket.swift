import CLinux
import Glibc
import SystemCalls
import Wire

/// An address and a port as the kernel takes them.
struct SocketEnd {
  private let address: martlet_socket_address

  init(_ address: IPAddress, port: UInt16) {
    self.address = martlet_make_socket_address(address.bytes, address.isIPv6 ? 1 : 0, port)
  }

  func with<Result>(_ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Result) -> Result {
    withUnsafePointer(to: address) { whole in
      whole.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), martlet_socket_address_size(whole))
      }
    }
  }
}

/// A blocking socket; every wait ends after ten seconds with EAGAIN.
final class TestSocket: @unchecked Sendable {
  private var number: Int32

  private init(_ address: IPAddress, _ type: __socket_type, port: UInt16, _ attach: Attach) throws(Errno) {
    number = try check(
      socket(address.isIPv6 ? AF_INET6 : AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0), "socket")
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    _ = martlet_set_option(number, SOL_SOCKET, SO_REUSEADDR, 1)
    if address.isIPv6 { _ = martlet_set_option(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    let attached = SocketEnd(address, port: port).with { attach(number, $0, $1) }
    guard attached == 0 else { throw .current("attach to port \(port)") }
  }

  init(owning number: Int32) { self.number = number }

  private typealias Attach = (Int32, __CONST_SOCKADDR_ARG, socklen_t) -> Int32

  deinit { if number >= 0 { close(number) } }

  /// In the network namespace of the calling thread; a stream's listens.
  static func bound(_ type: __socket_type, _ address: String, _ port: UInt16) throws(Errno) -> TestSocket {
    let new = try TestSocket(IPAddress(address)!, type, port: port) { bind($0, $1, $2) }
    if type == SOCK_STREAM, listen(new.number, 16) != 0 { throw .current("listen") }
    return new
  }

  static func connected(_ type: __socket_type, _ address: String, _ port: UInt16) throws(Errno) -> TestSocket {
    try TestSocket(IPAddress(address)!, type, port: port) { connect($0, $1, $2) }
  }

  /// Gives the descriptor up.
  func release() -> Int32 {
    defer { number = -1 }
    return number
  }

  func accept() -> Int32 { accept4(number, .init(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue)) }

  func send(_ bytes: [UInt8]) throws(Errno) {
    guard Glibc.send(number, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw .current("send") }
  }

  /// A datagram from a socket that is bound alone.
  func send(_ bytes: [UInt8], to address: String, _ port: UInt16) throws(Errno) {
    let sent = SocketEnd(IPAddress(address)!, port: port).with { sendto(number, bytes, bytes.count, 0, $0, $1) }
    guard sent == bytes.count else { throw .current("send to \(address)") }
  }

  /// Of a stream: after its length.
  func sendFramed(_ messages: [UInt8]...) throws(Errno) {
    try send(messages.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 0xFF)] + $0 })
  }

  /// A datagram, or what a stream has; empty at its end, or where it was reset.
  func receive() throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 65536)
    let count = recv(number, &bytes, bytes.count, 0)
    if count < 0, errno == ECONNRESET { return [] }
    guard count >= 0 else { throw .current("receive") }
    return Array(bytes[..<count])
  }

  /// One message of a stream; nil at its end.
  func receiveFramed() throws(Errno) -> [UInt8]? {
    guard let head = try receive(exactly: 2) else { return nil }
    return try receive(exactly: Int(head[0]) << 8 | Int(head[1]))
  }

  private func receive(exactly count: Int) throws(Errno) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let received = recv(number, &bytes, count, Int32(MSG_WAITALL))
    if received < 0, errno != ECONNRESET { throw .current("receive") }
    return received == count ? bytes : nil
  }

  /// Wakes whoever waits.
  func shutDown() { shutdown(number, Int32(SHUT_RDWR)) }

  func endOutput() { shutdown(number, Int32(SHUT_WR)) }

  /// A datagram and who sent it: `reply` goes back there.
  func receiveDatagram() -> (message: [UInt8], port: UInt16, reply: ([UInt8]) -> Void)? {
    var bytes = [UInt8](repeating: 0, count: 65536)
    var source = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let number = self.number
    let count = withUnsafeMutablePointer(to: &source) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(number, &bytes, bytes.count, 0, __SOCKADDR_ARG(__sockaddr__: $0), &length)
      }
    }
    guard count >= 0 else { return nil }
    let port = withUnsafeBytes(of: source) { UInt16($0[2]) << 8 | UInt16($0[3]) }
    return (
      Array(bytes[..<count]), port,
      { answer in
        var source = source
        withUnsafePointer(to: &source) { pointer in
          pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            _ = sendto(number, answer, answer.count, 0, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length)
          }
        }
      }
    )
  }
}
