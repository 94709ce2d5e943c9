import ControlModel
import Glibc

/// Measures between two sandboxes, one measurement after the other.
struct BenchRun {
  /// The same in both sandboxes' eyes as long as nothing else runs there.
  private static let port = "7000"
  private static let requestBytes = 64
  /// For programs to start and to end, on a machine that is busy with what they measure.
  private static let slack = Duration.seconds(20)
  /// For what is still on its way when the sender has ended.
  private static let drainMicroseconds: UInt32 = 200_000

  let program: LoadProgram
  let client: BenchBed.Host
  let server: BenchBed.Host
  let seconds: Double
  let congestionControl: String
  let interruption: Interruption

  func tcp(streams: Int) throws -> BenchFigures.Stream {
    struct Received: Decodable { var bitsPerSecond: Double }
    struct Sent: Decodable { var bytes: UInt64 }
    let options = ["--streams", String(streams), "--congestion-control", congestionControl]
    let sink = try serve(["stream-sink", Self.port] + options)
    _ = try ask(["stream", server.address, Self.port] + options, Sent.self)
    let received = try sink.figures(Received.self, interruption, until: .now + Self.slack)
    return BenchFigures.Stream(streams: streams, bitsPerSecond: UInt64(received.bitsPerSecond.rounded()))
  }

  func udp(payload: Int) throws -> BenchFigures.Datagrams {
    struct Rate: Decodable { var datagramsPerSecond: Double }
    let sink = try serve(["sink", Self.port])
    let sent = try ask(["flood", server.address, Self.port, "--payload", String(payload)], Rate.self)
    usleep(Self.drainMicroseconds)
    sink.stop()
    let received = try sink.figures(Rate.self, interruption, until: .now + Self.slack)
    return BenchFigures.Datagrams(
      payload: payload, sentPerSecond: UInt64(sent.datagramsPerSecond.rounded()),
      receivedPerSecond: UInt64(received.datagramsPerSecond.rounded()))
  }

  /// The ends on two CPUs, where there are so many: left free, they meet on one or not by chance, and that is worth 40 us.
  func roundTrip() throws -> BenchFigures.RoundTrip {
    struct Times: Decodable {
      var roundTrips: UInt64
      var p50Us, p99Us, p999Us: Double
    }
    let (first, last) = Self.endCPUs()
    let control = ["--congestion-control", congestionControl]
    let echo = try serve(["echo", Self.port, "--cpu", String(last)] + control)
    let request = ["latency", "tcp", server.address, Self.port, "--payload", String(Self.requestBytes)]
    let times = try ask(request + ["--cpu", String(first)] + control, Times.self)
    // It would wait for more.
    echo.stop()
    return BenchFigures.RoundTrip(
      payload: Self.requestBytes, count: times.roundTrips, p50: times.p50Us, p99: times.p99Us, p999: times.p999Us)
  }

  /// A program at the server that is ready. It ends by itself, should we not live to end it.
  private func serve(_ arguments: [String]) throws -> LoadProcess {
    let limit = Double((Self.slack * 2).components.seconds) + seconds
    let process = try LoadProcess(program, arguments + ["--seconds", String(limit)], in: server.sandbox)
    try process.waitUntilReady(interruption, until: .now + Self.slack)
    return process
  }

  /// What a program at the client finds.
  private func ask<Figures: Decodable>(_ arguments: [String], _: Figures.Type) throws -> Figures {
    let process = try LoadProcess(program, arguments + ["--seconds", String(seconds)], in: client.sandbox)
    return try process.figures(Figures.self, interruption, until: .now + .seconds(seconds) + Self.slack)
  }

  /// The first and the last that this process may use.
  private static func endCPUs() -> (first: Int, last: Int) {
    var set = cpu_set_t()
    guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return (0, 0) }
    // CPU_ISSET is a macro. On a little-endian machine bit n of the mask is bit n % 8 of byte n / 8.
    let usable = withUnsafeBytes(of: set) { bytes in
      (0..<bytes.count * 8).filter { bytes[$0 / 8] >> UInt8($0 % 8) & 1 == 1 }
    }
    return (usable.first ?? 0, usable.last ?? 0)
  }
}
