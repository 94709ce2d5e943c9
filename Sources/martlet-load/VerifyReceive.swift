import ArgumentParser
import Glibc

/// Checks what `verify-send` sent.
struct VerifyReceive: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Receive from verify-send and count what was lost, duplicated, reordered or corrupted.",
    discussion: """
      Ends when nothing has come for a second after the first datagram, and at the latest after --seconds. \
      A datagram is reordered as RFC 4737 section 3.3 defines it: its number is below one that came before; a duplicate is not counted as that too.
      """)

  /// Silence for so long means that the sender has ended.
  private static let quietSeconds = 1.0

  @Argument var port: UInt16
  @Option(help: "End after this time.") var seconds = 60.0
  @OptionGroup var options: VerificationOptions
  @OptionGroup var placement: Placement

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let socket = try Socket.bound(.datagram, port: port)
    try socket.setReceiveBuffer(bytes: Sink.receiveBufferBytes)
    try socket.setReceiveTimeout(seconds: Socket.callTimeout)
    // One byte more than the longest, so that a datagram which grew is not cut to a length that looks right.
    let batch = MessageBatch(bytesEach: options.longest + 1)
    reportReady()

    var arrivals = Arrivals(expected: options.count)
    let datagram = options.datagram
    var now = MonotonicClock.now()
    var last: UInt64?
    let end = now + MonotonicClock.nanoseconds(seconds)
    let quiet = MonotonicClock.nanoseconds(Self.quietSeconds)
    while now < end, !StopSignal.isRequested {
      let count = batch.receive(on: socket.descriptor, wait: true)
      now = MonotonicClock.now()
      if count > 0 {
        last = now
        for index in 0..<count {
          let bytes = batch.datagram(index, count: min(batch.receivedCount(index), batch.bytesEach))
          arrivals.record(datagram.check(UnsafeRawBufferPointer(bytes)))
        }
      } else if ![EAGAIN, EINTR].contains(errno) {
        throw SystemCallError("recvmmsg")
      } else if let last, now - last > quiet {
        break
      }
    }
    try report(arrivals.figures)
  }
}

/// Which datagrams of a verification came, and how.
struct Arrivals {
  struct Figures: Encodable, Equatable {
    var expected: UInt64
    var received: UInt64 = 0
    var lost: UInt64 = 0
    var duplicated: UInt64 = 0
    var reordered: UInt64 = 0
    var corrupted: UInt64 = 0
    var foreign: UInt64 = 0
  }

  private var seen: [Bool]
  private var next: UInt64 = 0
  private var counts: Figures

  init(expected: UInt64) {
    seen = [Bool](repeating: false, count: Int(expected))
    counts = Figures(expected: expected)
  }

  var figures: Figures {
    var figures = counts
    figures.lost = counts.expected - (counts.received - counts.duplicated)
    return figures
  }

  mutating func record(_ finding: VerificationDatagram.Finding) {
    switch finding {
    case .corrupted: counts.corrupted += 1
    case .foreign: counts.foreign += 1
    case .intact(let sequence) where sequence >= counts.expected: counts.foreign += 1
    case .intact(let sequence):
      counts.received += 1
      if seen[Int(sequence)] {
        counts.duplicated += 1
      } else if sequence < next {
        counts.reordered += 1
      }
      seen[Int(sequence)] = true
      next = max(next, sequence + 1)
    }
  }
}
