import ArgumentParser
import Glibc

/// An IPv4 or IPv6 address with a port, in the form that the kernel takes.
struct SocketAddress {
  private(set) var storage = sockaddr_storage()
  private(set) var length: socklen_t = 0

  var family: Int32 { Int32(storage.ss_family) }

  /// - Parameter numeric: `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`. Names are not looked up.
  init(_ numeric: String, port: UInt16) throws {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(numeric, String(port), &hints, &found) == 0, let found else {
      throw ValidationError("'\(numeric)' is not an IPv4 or IPv6 address")
    }
    defer { freeaddrinfo(found) }
    length = found.pointee.ai_addrlen
    withUnsafeMutableBytes(of: &storage) { bytes in
      bytes.copyMemory(from: UnsafeRawBufferPointer(start: found.pointee.ai_addr, count: Int(length)))
    }
  }

  /// Room for an address that the kernel fills in.
  init() { length = socklen_t(MemoryLayout<sockaddr_storage>.size) }

  func withPointer<Result>(_ body: (__CONST_SOCKADDR_ARG, socklen_t) -> Result) -> Result {
    withUnsafePointer(to: storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body(__CONST_SOCKADDR_ARG(__sockaddr__: $0), length)
      }
    }
  }

  mutating func withMutablePointer<Result>(
    _ body: (__SOCKADDR_ARG, UnsafeMutablePointer<socklen_t>) -> Result
  ) -> Result {
    length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body(__SOCKADDR_ARG(__sockaddr__: $0), &length)
      }
    }
  }
}
