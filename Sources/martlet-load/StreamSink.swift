import ArgumentParser
import Glibc
import Synchronization

/// Receives what `stream` sends.
struct StreamSink: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Receive bytes over TCP and count them.",
    discussion: """
      Waits for as many connections as --streams says and ends when all have ended. `span_seconds` is the time from the first \
      byte to the last; `bits_per_second` refers to it, and counts what was copied to this program.
      """)

  @Argument var port: UInt16
  @Option(help: "Connections to wait for.") var streams = 1
  @Option(help: "Threads that share the streams; one for each stream, unless told otherwise.") var threads: Int?
  @Option(help: "End after this time.") var seconds = 3600.0
  @OptionGroup var transmission: TransmissionControl
  @OptionGroup var placement: Placement

  func validate() throws {
    try Stream.check(streams: streams, threads: threads)
    guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
  }

  struct Figures: Encodable {
    var streams = 0
    var bytes: UInt64 = 0
    var spanSeconds = 0.0
    var bitsPerSecond = 0.0
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let listener = try Socket.bound(.stream, port: port)
    try transmission.apply(to: listener)
    try listener.setReceiveTimeout(seconds: Socket.callTimeout)
    guard listen(listener.descriptor, Int32(streams)) == 0 else { throw SystemCallError("listen") }
    reportReady()

    let end = MonotonicClock.now() + MonotonicClock.nanoseconds(seconds)
    var arrivals: [StreamArrival] = []
    while arrivals.count < streams, MonotonicClock.now() < end, !StopSignal.isRequested {
      let descriptor = accept4(listener.descriptor, __SOCKADDR_ARG(), nil, Int32(SOCK_CLOEXEC.rawValue))
      if descriptor < 0 {
        guard [EAGAIN, EINTR, ECONNABORTED].contains(errno) else { throw SystemCallError("accept") }
        continue
      }
      arrivals.append(StreamArrival(descriptor))
    }
    if !arrivals.isEmpty {
      let receivers = try Stream.shares(arrivals, threads: threads.map { min($0, arrivals.count) }).map { share in
        try LoadThread.start { StreamArrival.receive(share, until: end) }
      }
      for receiver in receivers { receiver.join() }
    }
    try report(Self.figures(arrivals.map(\.counted)))
  }

  static func figures(_ streams: [StreamArrival.Counted]) -> Figures {
    var figures = Figures(streams: streams.count, bytes: streams.reduce(0) { $0 + $1.bytes })
    let filled = streams.filter { $0.bytes > 0 }
    guard let first = filled.map(\.first).min(), let last = filled.map(\.last).max(), last > first else {
      return figures
    }
    figures.spanSeconds = MonotonicClock.seconds(last - first)
    figures.bitsPerSecond = Double(figures.bytes) * 8 / figures.spanSeconds
    return figures
  }
}

/// What came over one connection. Its thread writes what the others read once it was joined.
final class StreamArrival: Sendable {
  struct Counted: Equatable {
    var bytes: UInt64 = 0
    /// When the first bytes were there, and the last (`MonotonicClock`).
    var first: UInt64 = 0
    var last: UInt64 = 0
  }

  private let socket: Socket
  private let count = Mutex(Counted())

  var counted: Counted { count.withLock { $0 } }

  init(_ descriptor: Int32) { socket = Socket(owning: descriptor) }

  /// Receives from all of these, from each as soon as there is something, until all have ended.
  static func receive(_ arrivals: [StreamArrival], until end: UInt64) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Stream.bytesEachCall, alignment: 1)
    defer { buffer.deallocate() }
    var open = ReadySockets(arrivals.map { $0.socket.descriptor }, for: POLLIN)
    while MonotonicClock.now() < end, !StopSignal.isRequested, !open.isEmpty {
      let flags = open.flags
      open.forEachReady { arrivals[$0].receive(buffer, flags) }
    }
  }

  /// - Returns: false where nothing more will come.
  private func receive(_ buffer: UnsafeMutableRawPointer, _ flags: Int32) -> Bool {
    let received = recv(socket.descriptor, buffer, Stream.bytesEachCall, flags)
    guard received > 0 else { return received < 0 && [EAGAIN, EINTR].contains(errno) }
    let now = MonotonicClock.now()
    count.withLock { counted in
      if counted.bytes == 0 { counted.first = now }
      counted.last = now
      counted.bytes += UInt64(received)
    }
    return true
  }
}
