import ControlModel
import Glibc
import NIOCore

extension ListeningSocket {
  /// One that listens at an IP address of the caller's namespace.
  /// - Parameter port: 0: one that is free.
  static func tcp(address: String, port: Int) throws(ControlError) -> (ListeningSocket, port: Int) {
    // NIO takes a port beyond as a fault of the program.
    guard (0...0xFFFF).contains(port), let place = try? NIOCore.SocketAddress(ipAddress: address, port: port) else {
      throw ControlError(.invalid, "\(address) port \(port) is no IP address and port")
    }
    let family = place.protocol == .inet6 ? AF_INET6 : AF_INET
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure("cannot make a socket", errno) }
    if let code = listen(descriptor, place) {
      close(descriptor)
      switch code {
      case EADDRINUSE: throw ControlError(.conflict, "cannot listen at \(address): port \(port)/tcp is already in use")
      case EADDRNOTAVAIL:
        throw ControlError(.conflict, "\(address) is no address of the host: ip address shows those there are")
      default: throw failure("cannot listen at \(address) port \(port)", code)
      }
    }
    return (ListeningSocket(inherited: descriptor), Self.port(of: descriptor))
  }

  /// nil, or the error number.
  private static func listen(_ descriptor: Int32, _ place: NIOCore.SocketAddress) -> Int32? {
    var (yes, no): (Int32, Int32) = (1, 0)
    let length = socklen_t(MemoryLayout<Int32>.size)
    // Else connections of the daemon before, which have ended, would hold the port for a minute (socket(7)).
    guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, length) == 0 else { return errno }
    if place.protocol == .inet6, setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &no, length) != 0 {
      return errno
    }
    let bound = place.withSockAddr { bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t($1)) }
    return bound == 0 && Glibc.listen(descriptor, backlog) == 0 ? nil : errno
  }

  private static func port(of descriptor: Int32) -> Int {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    withUnsafeMutableBytes(of: &address) { bytes in
      _ = getsockname(
        descriptor, __SOCKADDR_ARG(__sockaddr__: bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)), &length)
    }
    // sin_port stands where sin6_port does (netinet/in.h).
    return Int(UInt16(bigEndian: address.sin6_port))
  }
}
