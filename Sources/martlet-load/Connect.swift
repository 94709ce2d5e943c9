import ArgumentParser
import Glibc
import Synchronization

/// Connects, sends a request, waits for its echo, closes, and again.
struct Connect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how many connections a second an echo can be asked for.",
    discussion: """
      Connect, request, response, close (SO_LINGER as it comes), by several threads; each time is that of all four. Give the \
      echo as many `--threads`. The side that closes first is this one: net.ipv4.tcp_tw_reuse=1 here lets its ports last.
      """
  )

  private static let concurrencyLimit = 1024
  private static let payloadRange = 1...65_000
  /// Long enough for a SYN that is sent again.
  private static let callTimeout = 5.0

  @Argument(help: "IPv4 or IPv6 address.") var address: String
  @Argument var port: UInt16
  @Option(help: "Connections at the same time, a thread each.") var concurrency = 8
  @Option(help: "Bytes in each request and each reply.") var payload = 64
  @Option(help: "How long to measure.") var seconds = 3.0
  @OptionGroup var transmission: TransmissionControl
  @OptionGroup var placement: Placement

  func validate() throws {
    guard (1...Self.concurrencyLimit).contains(concurrency) else {
      throw ValidationError("--concurrency must be 1 to \(Self.concurrencyLimit)")
    }
    guard Self.payloadRange.contains(payload) else {
      throw ValidationError("--payload must be \(Self.payloadRange.lowerBound) to \(Self.payloadRange.upperBound)")
    }
    guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
  }

  struct Figures: Encodable {
    var connections: UInt64
    /// Refused, reset, or without an answer in time.
    var failed: UInt64
    var seconds: Double
    var connectionsPerSecond: Double
    var p50Us: Double
    var p99Us: Double
    var p999Us: Double
    var maxUs: Double
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let target = try SocketAddress(address, port: port)
    let clients = (0..<concurrency).map { _ in Client(target, transmission, payload) }
    let start = MonotonicClock.now()
    let end = start + MonotonicClock.nanoseconds(seconds)
    let threads = try clients.map { client in try LoadThread.start { client.run(until: end) } }
    for thread in threads { thread.join() }
    let elapsed = MonotonicClock.seconds(MonotonicClock.now() - start)
    if let obstacle = clients.compactMap(\.obstacle).first { throw obstacle }

    var histogram = LatencyHistogram()
    for client in clients { histogram.add(client.histogram) }
    func microseconds(_ share: Double) -> Double { histogram.percentile(share) / 1000 }
    try report(
      Figures(
        connections: histogram.total, failed: clients.reduce(0) { $0 + $1.failed }, seconds: elapsed,
        connectionsPerSecond: Double(histogram.total) / elapsed, p50Us: microseconds(0.5), p99Us: microseconds(0.99),
        p999Us: microseconds(0.999), maxUs: Double(histogram.maximum) / 1000))
  }

  /// One thread's connections, one after the other. What it found is read when it was joined.
  private final class Client: Sendable {
    private struct Findings {
      var histogram = LatencyHistogram()
      var failed: UInt64 = 0
      var obstacle: SystemCallError?
    }

    private let target: SocketAddress
    private let transmission: TransmissionControl
    private let payload: Int
    private let findings = Mutex(Findings())

    var histogram: LatencyHistogram { findings.withLock(\.histogram) }
    var failed: UInt64 { findings.withLock(\.failed) }
    /// What would make the figures worth nothing: no port or descriptor is left here.
    var obstacle: SystemCallError? { findings.withLock(\.obstacle) }

    init(_ target: SocketAddress, _ transmission: TransmissionControl, _ payload: Int) {
      self.target = target
      self.transmission = transmission
      self.payload = payload
    }

    func run(until end: UInt64) {
      let buffer = UnsafeMutableRawPointer.allocate(byteCount: payload, alignment: 1)
      defer { buffer.deallocate() }
      buffer.initializeMemory(as: UInt8.self, repeating: 0, count: payload)
      findings.withLock { findings in
        var now = MonotonicClock.now()
        while now < end, !StopSignal.isRequested {
          let start = now
          do throws(SystemCallError) {
            try exchange(buffer)
            now = MonotonicClock.now()
            findings.histogram.record(now - start)
          } catch {
            now = MonotonicClock.now()
            findings.failed += 1
            if [EADDRNOTAVAIL, EMFILE, ENFILE, ENOMEM].contains(error.code) {
              findings.obstacle = error
              return
            }
          }
        }
      }
    }

    private func exchange(_ buffer: UnsafeMutableRawPointer) throws(SystemCallError) {
      do {
        let socket = try Socket(.stream, family: target.family)
        try transmission.apply(to: socket)
        try socket.setSendTimeout(seconds: Connect.callTimeout)
        try socket.setReceiveTimeout(seconds: Connect.callTimeout)
        try socket.connect(to: target)
        guard send(socket.descriptor, buffer, payload, Int32(MSG_NOSIGNAL)) == payload else {
          throw SystemCallError("send")
        }
        guard recv(socket.descriptor, buffer, payload, Int32(MSG_WAITALL)) == payload else {
          throw SystemCallError("recv")
        }
      } catch let error as SystemCallError {
        throw error
      } catch {
        throw SystemCallError("\(error)", code: EINVAL)
      }
    }
  }
}
