import Foundation
import Support
import Synchronization

/// Answers every request with the same bytes, for what no etcd sends; the only stand-in of these tests.
final class FakeServer: Sendable {
  enum End {
    /// After the answer: the connection is closed, or stays open in silence.
    case close, silence
  }

  let port: UInt16
  private let listener: Int32
  private let requests = Mutex(0)
  private let held = Mutex<[Int32]>([])

  var requestCount: Int { requests.withLock { $0 } }

  /// In the calling thread's network namespace. `answer` gives pieces, as many as are taken.
  init(_ end: End, _ answer: @escaping @Sendable () -> AnySequence<String>) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length) == 0 && listen(listener, 16) == 0
          && getsockname(listener, __SOCKADDR_ARG(__sockaddr__: $0), &length) == 0
      }
    }
    guard result else { throw TestProgram.Failure(description: "no listening socket: \(errno)") }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    Thread { [self] in
      while true {
        let connection = accept(listener, __SOCKADDR_ARG(__sockaddr__: nil), nil)
        guard connection >= 0 else { return }
        Thread { [self] in serve(connection, end, answer()) }.start()
      }
    }.start()
  }

  private func serve(_ connection: Int32, _ end: End, _ answer: AnySequence<String>) {
    held.withLock { $0.append(connection) }
    var text = ""
    var bytes = [UInt8](repeating: 0, count: 65_536)
    // Requests of this client end with their JSON.
    while !text.hasSuffix("}") {
      let count = recv(connection, &bytes, bytes.count, 0)
      guard count > 0 else { return }
      text += String(decoding: bytes[..<count], as: UTF8.self)
    }
    requests.withLock { $0 += 1 }
    for piece in answer {
      var rest = Array(piece.utf8)[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }
    if end == .close { shutdown(connection, Int32(SHUT_RDWR)) }
  }

  /// Its threads end.
  func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    for connection in held.withLock({ $0 }) {
      shutdown(connection, Int32(SHUT_RDWR))
      close(connection)
    }
  }
}
