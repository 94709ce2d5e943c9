import ArgumentParser

/// Sends datagrams that `verify-receive` can check.
struct VerifySend: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send datagrams of random size that carry a sequence number and a hash.")

  @Argument(help: "IPv4 or IPv6 address.") var address: String
  @Argument var port: UInt16
  @Option(help: "Datagrams per second; 0 sends as fast as possible.") var rate = 50_000.0
  @OptionGroup var options: VerificationOptions
  @OptionGroup var placement: Placement

  func validate() throws {
    if rate < 0 { throw ValidationError("--rate must be at least 0") }
  }

  struct Figures: Encodable {
    var sent: UInt64
    var seconds: Double
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let socket = try Socket.connected(.datagram, to: try SocketAddress(address, port: port))
    let datagram = options.datagram
    let batch = MessageBatch(bytesEach: options.longest)
    let pace = Pace(rate: rate)
    var sent: UInt64 = 0
    while sent < options.count, !StopSignal.isRequested {
      // Whole batches, however slow: a switch is to find runs that it may coalesce.
      if pace.isAhead(at: MonotonicClock.now(), sent: sent) {
        Pace.pause()
        continue
      }
      let count = Int(min(UInt64(MessageBatch.capacity), options.count - sent))
      for index in 0..<count {
        let room = batch.datagram(index, count: options.longest)
        batch.setSendCount(index, datagram.write(sent + UInt64(index), into: room))
      }
      sent += UInt64(try batch.sendAll(on: socket.descriptor, count: count))
    }
    try report(Figures(sent: sent, seconds: MonotonicClock.seconds(MonotonicClock.now() - pace.start)))
  }
}
