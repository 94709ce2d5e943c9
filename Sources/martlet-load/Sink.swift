import ArgumentParser
import Glibc

/// Counts the UDP datagrams that arrive.
struct Sink: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Receive UDP datagrams and count them.",
    discussion: "`span_seconds` is the time from the first datagram to the last; rates refer to it.")

  /// A burst that comes while the receiver is not running must not be lost in its socket.
  static let receiveBufferBytes: Int32 = 16 << 20
  private static let longestDatagram = 2048

  @Argument var port: UInt16
  @Option(help: "End after this time.") var seconds = 3600.0
  @Flag(help: "Ask for datagrams without ever sleeping, so that the sender pays for no wake-up.") var spin = false
  @OptionGroup var placement: Placement

  struct Figures: Encodable {
    var received: UInt64 = 0
    var bytes: UInt64 = 0
    var spanSeconds = 0.0
    var datagramsPerSecond = 0.0
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let socket = try Socket.bound(.datagram, port: port)
    try socket.setReceiveBuffer(bytes: Self.receiveBufferBytes)
    try socket.setReceiveTimeout(seconds: Socket.callTimeout)
    let batch = MessageBatch(bytesEach: Self.longestDatagram)
    reportReady()

    var figures = Figures()
    var first: UInt64 = 0
    var last: UInt64 = 0
    var now = MonotonicClock.now()
    let end = now + MonotonicClock.nanoseconds(seconds)
    while now < end, !StopSignal.isRequested {
      let count = batch.receive(on: socket.descriptor, wait: !spin)
      now = MonotonicClock.now()
      if count > 0 {
        if figures.received == 0 { first = now }
        last = now
        figures.received += UInt64(count)
        for index in 0..<count { figures.bytes += UInt64(batch.receivedCount(index)) }
      } else if ![EAGAIN, EINTR].contains(errno) {
        throw SystemCallError("recvmmsg")
      }
    }
    figures.spanSeconds = MonotonicClock.seconds(last - first)
    if last > first { figures.datagramsPerSecond = Double(figures.received) / figures.spanSeconds }
    try report(figures)
  }
}
