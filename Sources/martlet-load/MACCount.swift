import ArgumentParser
import Glibc

/// The monitoring port of RFC 2889 section 5.7, and what the learning port receives.
struct MACCount: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mac-count", abstract: "Count the frames of mac-probe that arrive.",
    discussion: """
      `matching`: addresses whose frame came; `duplicates`: further frames to one of them; `frames`: all that came of \
      the EtherType of these tests; `overruns`: frames that this program was too slow for, so that a figure with any is none.
      """)

  /// More frames than a socket's queue ever holds, so that a flood does not keep us for ever.
  private static let queueLimit = Int(Sink.receiveBufferBytes) / StationFrame.bytes

  @OptionGroup var options: StationOptions
  @Option(help: "End after this time.") var seconds: Double
  @Option(help: "Count only the first so many addresses.") var addresses = Station.countLimit

  func validate() throws {
    try StationOptions.check(addresses: addresses)
    guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
  }

  func run() throws {
    try options.placement.apply()
    StopSignal.install()
    let socket = try Socket.packet(interface: options.interface, etherType: StationFrame.etherType)
    try socket.setReceiveBuffer(bytes: Sink.receiveBufferBytes)
    try socket.setReceiveTimeout(seconds: Socket.callTimeout)
    let batch = MessageBatch(bytesEach: StationFrame.bytes)
    var probes = Probes(seed: options.seed, addresses: addresses)
    reportReady()
    let end = MonotonicClock.now() + MonotonicClock.nanoseconds(seconds)
    while MonotonicClock.now() < end, !StopSignal.isRequested {
      _ = try receive(batch, on: socket, wait: true, &probes)
    }
    // What had come by then counts too.
    var left = Self.queueLimit
    while left > 0, try receive(batch, on: socket, wait: false, &probes) { left -= MessageBatch.capacity }
    probes.figures.overruns = try socket.packetDrops()
    try report(probes.figures)
  }

  /// Returns whether any came.
  private func receive(
    _ batch: borrowing MessageBatch, on socket: borrowing Socket, wait: Bool, _ probes: inout Probes
  ) throws -> Bool {
    let count = batch.receive(on: socket.descriptor, wait: wait)
    guard count > 0 else {
      if [EAGAIN, EINTR].contains(errno) { return false }
      throw SystemCallError("recvmmsg")
    }
    for index in 0..<count {
      probes.record(UnsafeRawBufferPointer(batch.datagram(index, count: batch.receivedCount(index))))
    }
    return true
  }
}

/// Which probes came.
struct Probes {
  struct Figures: Encodable, Equatable {
    var matching: UInt64 = 0
    var duplicates: UInt64 = 0
    var frames: UInt64 = 0
    var overruns = 0
  }

  private let seed: UInt64
  private var seen: [Bool]
  var figures = Figures()

  init(seed: UInt64, addresses: UInt64) {
    self.seed = seed
    seen = [Bool](repeating: false, count: Int(addresses))
  }

  mutating func record(_ frame: UnsafeRawBufferPointer) {
    figures.frames += 1
    guard let station = StationFrame.probed(frame), station.seed == seed, station.index < seen.count else { return }
    if seen[Int(station.index)] { figures.duplicates += 1 } else { figures.matching += 1 }
    seen[Int(station.index)] = true
  }
}
