import ArgumentParser
import Glibc
import Synchronization

/// Sends bytes over TCP connections as fast as they go.
struct Stream: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send bytes over TCP to a stream-sink, as fast as they go.",
    discussion: "What the sink received is the throughput; what was sent may yet be in a buffer.")

  /// The same as iperf3's, so that figures compare.
  static let bytesEachCall = 128 << 10
  private static let streamLimit = 256

  @Argument(help: "IPv4 or IPv6 address.") var address: String
  @Argument var port: UInt16
  @Option(help: "Connections at the same time.") var streams = 1
  @Option(help: "Threads that share the streams; one for each stream, unless told otherwise.") var threads: Int?
  @Option(help: "How long to send.") var seconds = 3.0
  @OptionGroup var transmission: TransmissionControl
  @OptionGroup var placement: Placement

  static func check(streams: Int, threads: Int?) throws {
    guard (1...streamLimit).contains(streams) else {
      throw ValidationError("--streams must be 1 to \(streamLimit)")
    }
    if let threads, !(1...streams).contains(threads) {
      throw ValidationError("--threads must be 1 to the number of streams")
    }
  }

  /// Shares what a thread has to serve out among `threads` of them.
  static func shares<Served>(_ all: [Served], threads: Int?) -> [[Served]] {
    let count = threads ?? all.count
    return (0..<count).map { thread in stride(from: thread, to: all.count, by: count).map { all[$0] } }
  }

  func validate() throws {
    try Self.check(streams: streams, threads: threads)
    guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
  }

  struct Figures: Encodable {
    var streams: Int
    var bytes: UInt64
    var seconds: Double
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let target = try SocketAddress(address, port: port)
    let connections = try (0..<streams).map { _ in try Connection(to: target, transmission) }
    let start = MonotonicClock.now()
    let end = start + MonotonicClock.nanoseconds(seconds)
    let senders = try Self.shares(connections, threads: threads).map { share in
      try LoadThread.start { Connection.send(share, until: end) }
    }
    for sender in senders { sender.join() }
    let elapsed = MonotonicClock.seconds(MonotonicClock.now() - start)
    if let failure = connections.compactMap(\.failure).first { throw failure }
    try report(
      Figures(streams: streams, bytes: connections.reduce(0) { $0 + $1.bytes }, seconds: elapsed))
  }
}

/// One stream. Its thread writes what the others read once it was joined.
private final class Connection: Sendable {
  private let socket: Socket
  private let outcome = Mutex<(bytes: UInt64, failure: SystemCallError?)>((0, nil))

  var bytes: UInt64 { outcome.withLock(\.bytes) }
  var failure: SystemCallError? { outcome.withLock(\.failure) }

  init(to address: SocketAddress, _ transmission: TransmissionControl) throws {
    socket = try Socket(.stream, family: address.family)
    try transmission.apply(to: socket)
    try socket.connect(to: address)
    // A peer that takes nothing any more must not keep us past the end.
    try socket.setSendTimeout(seconds: Socket.callTimeout)
  }

  /// Sends on all of these, on each as soon as it takes bytes.
  static func send(_ connections: [Connection], until end: UInt64) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Stream.bytesEachCall, alignment: 1)
    defer { buffer.deallocate() }
    buffer.initializeMemory(as: UInt8.self, repeating: 0, count: Stream.bytesEachCall)
    var open = ReadySockets(connections.map { $0.socket.descriptor }, for: POLLOUT)
    while MonotonicClock.now() < end, !StopSignal.isRequested, !open.isEmpty {
      let flags = open.flags
      open.forEachReady { connections[$0].send(buffer, flags) }
    }
    for connection in connections { shutdown(connection.socket.descriptor, Int32(SHUT_WR)) }
  }

  /// - Returns: false where nothing more can be sent.
  private func send(_ buffer: UnsafeMutableRawPointer, _ flags: Int32) -> Bool {
    let count = Glibc.send(socket.descriptor, buffer, Stream.bytesEachCall, Int32(MSG_NOSIGNAL) | flags)
    if count > 0 {
      outcome.withLock { $0.bytes += UInt64(count) }
    } else if ![EAGAIN, EINTR].contains(errno) {
      let failure = SystemCallError("send")
      outcome.withLock { $0.failure = failure }
      return false
    }
    return true
  }
}
