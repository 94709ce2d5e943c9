import ArgumentParser
import Glibc

/// Sends back what it gets, over TCP and UDP.
///
/// Every connection has a thread that blocks in its own receive call: an event loop would add its wake-up to the
/// round trip that is being measured. Where connections are what is measured, a thread made for each would be most of it:
/// `--threads` has them taken by threads that are there.
struct Echo: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Send back what arrives, over TCP and UDP.")

  private static let longestMessage = 65_536
  private static let backlog: Int32 = 1024
  private static let threadLimit = 1024
  private static let pollMilliseconds: Int32 = 100

  @Argument var port: UInt16
  @Option(help: "End after this time.") var seconds = 3600.0
  @Flag(help: "End when standard input closes.") var untilEOF = false
  @Option(help: "Threads that take connections, one at a time each; unless told, a new one for each connection.")
  var threads: Int?
  @OptionGroup var transmission: TransmissionControl
  @OptionGroup var placement: Placement

  func validate() throws {
    if let threads, !(1...Self.threadLimit).contains(threads) {
      throw ValidationError("--threads must be 1 to \(Self.threadLimit)")
    }
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let datagrams = try Socket.bound(.datagram, port: port)
    let connections = try Socket.bound(.stream, port: port)
    try transmission.apply(to: connections)
    guard listen(connections.descriptor, Self.backlog) == 0 else { throw SystemCallError("listen") }

    let (datagram, listener) = (datagrams.descriptor, connections.descriptor)
    try LoadThread.startDetached { Self.echoDatagrams(on: datagram) }
    if let threads {
      for _ in 0..<threads { try LoadThread.startDetached { Self.takeConnections(on: listener) } }
    } else {
      try LoadThread.startDetached { Self.acceptConnections(on: listener) }
    }
    reportReady()
    try waitForEnd()
    // The threads still use both sockets: leave without closing them.
    Glibc.exit(0)
  }

  private func waitForEnd() throws {
    let end = MonotonicClock.now() + MonotonicClock.nanoseconds(seconds)
    while MonotonicClock.now() < end, !StopSignal.isRequested {
      var input = pollfd(fd: untilEOF ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0)
      guard poll(&input, 1, Self.pollMilliseconds) > 0 else { continue }
      var byte: UInt8 = 0
      if read(STDIN_FILENO, &byte, 1) <= 0 { return }
    }
  }

  private static func echoDatagrams(on descriptor: Int32) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: longestMessage, alignment: 1)
    var peer = SocketAddress()
    while true {
      let count = peer.withMutablePointer { recvfrom(descriptor, buffer, longestMessage, 0, $0, $1) }
      if count >= 0 { _ = peer.withPointer { sendto(descriptor, buffer, count, 0, $0, $1) } }
    }
  }

  private static func acceptConnections(on listener: Int32) {
    while true {
      let descriptor = accept4(listener, __SOCKADDR_ARG(), nil, Int32(SOCK_CLOEXEC.rawValue))
      guard descriptor >= 0 else { continue }
      do {
        try LoadThread.startDetached { echoStream(Socket(owning: descriptor)) }
      } catch {
        close(descriptor)
      }
    }
  }

  /// One after the other, each to its end.
  private static func takeConnections(on listener: Int32) {
    while true {
      let descriptor = accept4(listener, __SOCKADDR_ARG(), nil, Int32(SOCK_CLOEXEC.rawValue))
      if descriptor >= 0 { echoStream(Socket(owning: descriptor)) }
    }
  }

  private static func echoStream(_ socket: consuming Socket) {
    try? socket.setNoDelay()
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: longestMessage, alignment: 1)
    defer { buffer.deallocate() }
    while true {
      let count = recv(socket.descriptor, buffer, longestMessage, 0)
      guard count > 0, send(socket.descriptor, buffer, count, Int32(MSG_NOSIGNAL)) == count else { return }
    }
  }
}
