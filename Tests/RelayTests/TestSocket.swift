import CLinux
import Glibc
import SystemCalls
import Wire

/// A blocking socket of a test's client, container or host program; every wait ends after ten seconds with EAGAIN.
final class TestSocket: @unchecked Sendable {
  let number: Int32

  init(_ number: Int32) {
    self.number = number
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(number) }

  /// In the network namespace of the calling thread. `options`: of SOL_SOCKET, to be set to 1 before bind.
  static func bound(
    _ type: __socket_type, _ text: String, _ port: UInt16, options: [Int32] = [], backlog: Int32? = 16
  ) throws(Errno) -> TestSocket {
    let address = IPAddress(text)!
    let new = TestSocket(
      try check(socket(address.isIPv6 ? AF_INET6 : AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0), "socket"))
    if address.isIPv6 { _ = martlet_set_option(new.number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    for option in options { _ = try check(martlet_set_option(new.number, SOL_SOCKET, option, 1), "option \(option)") }
    var end = martlet_socket_address(address, port: port)
    guard end.with({ bind(new.number, $0, $1) }) == 0 else { throw .current("bind \(port)") }
    if type == SOCK_STREAM, let backlog, listen(new.number, backlog) != 0 { throw .current("listen \(port)") }
    return new
  }

  static func connected(
    _ type: __socket_type, _ text: String, _ port: UInt16, from local: String? = nil
  ) throws(Errno) -> TestSocket {
    let address = IPAddress(text)!
    let new = TestSocket(
      try check(socket(address.isIPv6 ? AF_INET6 : AF_INET, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0), "socket"))
    if let local {
      var end = martlet_socket_address(IPAddress(local)!, port: 0)
      guard end.with({ bind(new.number, $0, $1) }) == 0 else { throw .current("bind") }
    }
    var end = martlet_socket_address(address, port: port)
    guard end.with({ connect(new.number, $0, $1) }) == 0 else {
      throw .current("connect to port \(port)")
    }
    return new
  }

  func accept() throws(Errno) -> TestSocket {
    let number = accept4(self.number, .init(__sockaddr__: nil), nil, Int32(SOCK_CLOEXEC.rawValue))
    guard number >= 0 else { throw .current("accept") }
    return TestSocket(number)
  }

  func send(_ text: String) throws(Errno) {
    guard Glibc.send(number, text, text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count else {
      throw .current("send")
    }
  }

  /// One read: of a stream, what is there; "" at its end.
  func receive(_ countMax: Int = 65536) throws(Errno) -> String {
    var bytes = [UInt8](repeating: 0, count: countMax)
    let count = recv(number, &bytes, bytes.count, 0)
    guard count >= 0 else { throw .current("receive") }
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  /// All up to the stream's end.
  func receiveAll() throws(Errno) -> String {
    var all = ""
    while true {
      let piece = try receive()
      if piece.isEmpty { return all }
      all += piece
    }
  }

  func endSending() { shutdown(number, Int32(SHUT_WR)) }

  /// The error a read meets: ECONNRESET where the peer reset; 0: there was something to read.
  var receiveError: Int32 {
    do throws(Errno) {
      _ = try receive()
      return 0
    } catch { return error.code }
  }

  /// One datagram, and where it came from.
  func receiveDatagram() throws(Errno) -> (bytes: [UInt8], from: martlet_socket_address) {
    var source = martlet_socket_address()
    var size = socklen_t(MemoryLayout<martlet_socket_address>.size)
    var bytes = [UInt8](repeating: 0, count: 65536)
    let count = withUnsafeMutablePointer(to: &source) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        recvfrom(number, &bytes, bytes.count, 0, .init(__sockaddr__: $0), &size)
      }
    }
    guard count >= 0 else { throw .current("receive a datagram") }
    return (Array(bytes[..<count]), source)
  }

  func send(_ bytes: [UInt8], to end: martlet_socket_address) throws(Errno) {
    var end = end
    let count = end.with { sendto(number, bytes, bytes.count, 0, $0, $1) }
    guard count == bytes.count else { throw .current("send a datagram") }
  }

  /// Answers one datagram with itself.
  func echo() throws(Errno) {
    let (bytes, source) = try receiveDatagram()
    try send(bytes, to: source)
  }
}

extension martlet_socket_address {
  init(_ address: IPAddress, port: UInt16) {
    self = martlet_make_socket_address(address.bytes, address.isIPv6 ? 1 : 0, port)
  }

  /// As bind(2), connect(2) and sendto(2) take it.
  mutating func with<Result>(_ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Result) -> Result {
    let size = martlet_socket_address_size(&self)
    // Not of `common`: a member of a union is copied out of it.
    return withUnsafePointer(to: &self) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(.init(__sockaddr__: $0), size) }
    }
  }
}
