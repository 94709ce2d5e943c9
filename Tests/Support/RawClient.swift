import ControlModel
import Glibc

/// Bytes out, bytes in: for what no proper client would send. Reads give up after ten seconds, so that a broken server fails a
/// test and does not hang it.
package final class RawClient {
  private let descriptor: Int32

  package init(_ path: String) throws {
    descriptor = Self.socket(AF_UNIX)
    let refused = try UnixSocketAddress(path: path).connect(descriptor)
    guard refused == 0 else { throw ControlError(.system, String(cString: strerror(refused))) }
  }

  /// Over TCP, to an IP address.
  package init(address: String, port: Int) throws {
    var hints = addrinfo()
    (hints.ai_flags, hints.ai_socktype) = (AI_NUMERICHOST, Int32(SOCK_STREAM.rawValue))
    var places: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address, String(port), &hints, &places) == 0, let place = places?.pointee else {
      throw ControlError(.invalid, "\(address) is no address")
    }
    defer { freeaddrinfo(places) }
    descriptor = Self.socket(place.ai_family)
    guard connect(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: place.ai_addr), place.ai_addrlen) == 0 else {
      throw ControlError(.system, String(cString: strerror(errno)))
    }
  }

  private static func socket(_ family: Int32) -> Int32 {
    let descriptor = Glibc.socket(family, Int32(SOCK_STREAM.rawValue), 0)
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    return descriptor
  }

  deinit { close(descriptor) }

  package func send(_ text: String) { send(Array(text.utf8)) }

  package func send(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      // The server has answered early and closed.
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  package func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Everything until the server closes; nil where it does not.
  package func readToEnd() -> String? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count == 0 || (count < 0 && errno == ECONNRESET) { return String(decoding: bytes, as: UTF8.self) }
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
    }
  }

  /// Until `text` has come.
  package func read(until text: String) -> String? {
    var bytes: [UInt8] = []
    var byte: UInt8 = 0
    while recv(descriptor, &byte, 1, 0) == 1 {
      bytes.append(byte)
      if bytes.suffix(text.utf8.count).elementsEqual(text.utf8) { return String(decoding: bytes, as: UTF8.self) }
    }
    return nil
  }

  /// One answer of a connection that stays: its head, and the body that its Content-Length announces.
  package func readAnswer() -> (head: String, body: String)? {
    guard let head = read(until: "\r\n\r\n") else { return nil }
    let length = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }
    guard var missing = length.flatMap({ Int($0.dropFirst("content-length: ".count)) }) else { return (head, "") }
    var bytes: [UInt8] = []
    while missing > 0 {
      var buffer = [UInt8](repeating: 0, count: missing)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
      missing -= count
    }
    return (head, String(decoding: bytes, as: UTF8.self))
  }
}
