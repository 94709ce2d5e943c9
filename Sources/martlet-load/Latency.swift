import ArgumentParser
import Glibc

/// Sends one request, waits for its echo, and again: the time of a full round trip.
struct Latency: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure round trips to an echo.",
    discussion: """
      Times are microseconds for the full round trip: `p999_us` is what 99.9 % were no longer than. \
      The first round trip, which resolves the neighbour, is not counted.
      """
  )

  enum Transport: String, ExpressibleByArgument, CaseIterable {
    case tcp
    case udp
  }

  /// A reply that takes longer is lost.
  private static let replyTimeout = 1.0
  /// So many lost in a row, and the peer is not there.
  private static let lostInRowLimit = 3
  private static let payloadRange = 8...65_000

  @Argument(help: "tcp or udp.") var transport: Transport
  @Argument(help: "IPv4 or IPv6 address.") var address: String
  @Argument var port: UInt16
  @Option(help: "Bytes in each request and each reply.") var payload = 64
  @Option(help: "How long to measure.") var seconds = 3.0
  @OptionGroup var transmission: TransmissionControl
  @OptionGroup var placement: Placement

  func validate() throws {
    guard Self.payloadRange.contains(payload) else {
      throw ValidationError("--payload must be \(Self.payloadRange.lowerBound) to \(Self.payloadRange.upperBound)")
    }
    guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
  }

  struct Figures: Encodable {
    var roundTrips: UInt64
    var lost: UInt64
    var roundTripsPerSecond: Double
    var p50Us: Double
    var p90Us: Double
    var p99Us: Double
    var p999Us: Double
    var maxUs: Double
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let target = try SocketAddress(address, port: port)
    let socket = try Socket.connected(transport == .tcp ? .stream : .datagram, to: target)
    if transport == .tcp {
      try socket.setNoDelay()
      try transmission.apply(to: socket)
    }
    try socket.setReceiveTimeout(seconds: Self.replyTimeout)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: payload, alignment: MemoryLayout<UInt64>.alignment)
    defer { buffer.deallocate() }
    buffer.initializeMemory(as: UInt8.self, repeating: 0)

    var histogram = LatencyHistogram()
    var (sequence, lost, lostInRow) = (UInt64(0), UInt64(0), 0)
    let start = MonotonicClock.now()
    let end = start + MonotonicClock.nanoseconds(seconds)
    var now = start
    while now < end, !StopSignal.isRequested {
      let sent = now
      let arrived = try exchange(socket, buffer, sequence)
      now = MonotonicClock.now()
      if arrived {
        if sequence > 0 { histogram.record(now - sent) }
        lostInRow = 0
      } else {
        lost += 1
        lostInRow += 1
        if lostInRow == Self.lostInRowLimit { break }
      }
      sequence += 1
    }
    try report(figures(histogram, lost: lost, elapsed: now - start))
  }

  /// Returns false when the reply did not come in time.
  private func exchange(
    _ socket: borrowing Socket, _ buffer: UnsafeMutableRawBufferPointer, _ sequence: UInt64
  ) throws -> Bool {
    buffer.storeBytes(of: sequence, as: UInt64.self)
    while send(socket.descriptor, buffer.baseAddress, payload, Int32(MSG_NOSIGNAL)) != payload {
      if errno == EINTR { continue }
      if transport == .udp, errno == ECONNREFUSED { return false }
      throw SystemCallError("send")
    }
    var received = 0
    while received < payload {
      let count = recv(socket.descriptor, buffer.baseAddress! + received, payload - received, 0)
      if count > 0 {
        received += count
        // A datagram that comes after its time belongs to an earlier request.
        if transport == .udp, buffer.load(as: UInt64.self) != sequence { received = 0 }
      } else if count == 0 {
        throw SystemCallError("the echo closed the connection", code: ECONNRESET)
      } else if errno == EAGAIN || errno == ECONNREFUSED || StopSignal.isRequested {
        if transport == .tcp, errno == EAGAIN { throw SystemCallError("no reply", code: ETIMEDOUT) }
        return false
      } else if errno != EINTR {
        throw SystemCallError("recv")
      }
    }
    return true
  }

  private func figures(_ histogram: LatencyHistogram, lost: UInt64, elapsed: UInt64) -> Figures {
    func microseconds(_ share: Double) -> Double { (histogram.percentile(share) / 10).rounded() / 100 }
    return Figures(
      roundTrips: histogram.total, lost: lost,
      roundTripsPerSecond: Double(histogram.total) / MonotonicClock.seconds(elapsed),
      p50Us: microseconds(0.5), p90Us: microseconds(0.9), p99Us: microseconds(0.99), p999Us: microseconds(0.999),
      maxUs: Double(histogram.maximum) / 1000)
  }
}
