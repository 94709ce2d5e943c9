import ArgumentParser
import Glibc

/// What every program of an address learning test must be told alike.
struct StationOptions: ParsableArguments {
  @Argument(help: "An interface of this network namespace.") var interface: String
  @Option(help: "Names the run; addresses follow from it.") var seed: UInt64 = 1
  @OptionGroup var placement: Placement

  static func check(addresses: UInt64) throws {
    guard (1...Station.countLimit).contains(addresses) else {
      throw ValidationError("--addresses must be 1 to \(Station.countLimit)")
    }
  }
}

/// Sends one frame for each station, at a rate.
struct StationSender: ParsableArguments {
  /// Room for some batches, so that the sender waits for the device and not for its own socket.
  private static let sendBufferBytes: Int32 = 4 << 20

  @Option(help: "How many.") var addresses: UInt64
  @Option(help: "Frames per second; 0 sends as fast as possible.") var rate: Double
  @OptionGroup var options: StationOptions

  func validate() throws {
    try StationOptions.check(addresses: addresses)
    guard rate >= 0 else { throw ValidationError("--rate must be at least 0") }
  }

  struct Figures: Encodable {
    var sent: UInt64
    var seconds: Double
    var framesPerSecond: Double
  }

  func send(_ kind: StationFrame.Kind) throws {
    try options.placement.apply()
    StopSignal.install()
    let socket = try Socket.packet(interface: options.interface, etherType: StationFrame.etherType)
    try socket.set(SOL_SOCKET, SO_SNDBUF, Self.sendBufferBytes, "SO_SNDBUF")
    let batch = MessageBatch(bytesEach: StationFrame.bytes)
    let pace = Pace(rate: rate)
    var sent: UInt64 = 0
    while sent < addresses, !StopSignal.isRequested {
      let count = min(pace.due(at: MonotonicClock.now(), sent: sent), Int(addresses - sent))
      if count == 0 {
        Pace.pause()
        continue
      }
      for index in 0..<count {
        let station = Station(seed: options.seed, index: sent + UInt64(index))
        StationFrame.write(kind, station, into: batch.datagram(index, count: StationFrame.bytes))
      }
      sent += UInt64(try batch.sendAll(on: socket.descriptor, count: count))
    }
    let seconds = MonotonicClock.seconds(MonotonicClock.now() - pace.start)
    try report(Figures(sent: sent, seconds: seconds, framesPerSecond: Double(sent) / seconds))
  }
}
