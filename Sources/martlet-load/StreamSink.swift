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
  @Option(help: "End after this time.") var seconds = 3600.0
  @OptionGroup var transmission: TransmissionControl
  @OptionGroup var placement: Placement

  func validate() throws {
    try Stream.check(streams: streams)
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
    var threads: [LoadThread] = []
    while arrivals.count < streams, MonotonicClock.now() < end, !StopSignal.isRequested {
      let descriptor = accept4(listener.descriptor, __SOCKADDR_ARG(), nil, Int32(SOCK_CLOEXEC.rawValue))
      if descriptor < 0 {
        guard [EAGAIN, EINTR, ECONNABORTED].contains(errno) else { throw SystemCallError("accept") }
        continue
      }
      let arrival = StreamArrival(descriptor)
      arrivals.append(arrival)
      threads.append(try LoadThread.start { arrival.receive(until: end) })
    }
    for thread in threads { thread.join() }
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

  func receive(until end: UInt64) {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: Stream.bytesEachCall, alignment: 1)
    defer { buffer.deallocate() }
    var counted = Counted()
    var now = MonotonicClock.now()
    while now < end, !StopSignal.isRequested {
      let received = recv(socket.descriptor, buffer, Stream.bytesEachCall, 0)
      now = MonotonicClock.now()
      if received > 0 {
        if counted.bytes == 0 { counted.first = now }
        counted.last = now
        counted.bytes += UInt64(received)
      } else if received == 0 || ![EAGAIN, EINTR].contains(errno) {
        break
      }
    }
    count.withLock { $0 = counted }
  }
}
