import ControlClient
import ControlModel
import Glibc
import Logging
import Support

@testable import ControlAPI

/// A directory that goes with its value.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/martlet-api-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ControlError(.system, "mkdtemp") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    // Depth first, nothing followed, errors passed over: what is left is a few files of ours.
    nftw(path, { name, _, _, _ in remove(name) }, 8, Int32(FTW_DEPTH | FTW_PHYS))
  }
}

let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// A server on a socket of its own, before a stand-in service.
final class ServerFixture {
  let directory: TemporaryDirectory
  let service: StandInService
  let server: ControlServer
  let socketPath: String

  init(limits: ServerLimits = ServerLimits(), service: StandInService = StandInService()) throws {
    directory = try TemporaryDirectory()
    self.service = service
    socketPath = directory.path + "/martlet.sock"
    server = ControlServer(service: service, logger: silent, limits: limits)
    try server.start(socketPath: socketPath)
  }

  deinit { server.stop() }

  var client: ControlClient { ControlClient(socketPath: socketPath, patienceSeconds: 10) }
}

/// Bytes out, bytes in: for what no proper client would send. Reads give up after ten seconds, so that a broken server fails a
/// test and does not hang it.
final class RawClient {
  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    let refused = try UnixSocketAddress(path: path).connect(descriptor)
    guard refused == 0 else { throw ControlError(.system, String(cString: strerror(refused))) }
  }

  deinit { close(descriptor) }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      // The server has answered early and closed.
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Everything until the server closes; nil where it does not.
  func readToEnd() -> String? {
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
  func read(until text: String) -> String? {
    var bytes: [UInt8] = []
    var byte: UInt8 = 0
    while recv(descriptor, &byte, 1, 0) == 1 {
      bytes.append(byte)
      if bytes.suffix(text.utf8.count).elementsEqual(text.utf8) { return String(decoding: bytes, as: UTF8.self) }
    }
    return nil
  }
}
