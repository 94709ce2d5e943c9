import ArgumentParser
import Glibc

/// Sends datagrams that `verify-receive` can check.
struct VerifySend: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send datagrams of random size that carry a sequence number and a hash.")

  private static let pauseMicroseconds: UInt32 = 100

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
    let start = MonotonicClock.now()
    var sent: UInt64 = 0
    while sent < options.count, !StopSignal.isRequested {
      if rate > 0, Double(sent) > MonotonicClock.seconds(MonotonicClock.now() - start) * rate {
        usleep(Self.pauseMicroseconds)
        continue
      }
      let count = Int(min(UInt64(MessageBatch.capacity), options.count - sent))
      for index in 0..<count {
        let room = batch.datagram(index, count: options.longest)
        batch.setSendCount(index, datagram.write(sent + UInt64(index), into: room))
      }
      try send(batch, count: count, on: socket)
      sent += UInt64(count)
    }
    try report(Figures(sent: sent, seconds: MonotonicClock.seconds(MonotonicClock.now() - start)))
  }

  /// Sends all of them: one that the kernel refuses for want of room is tried again, so that it cannot count as lost.
  private func send(_ batch: borrowing MessageBatch, count: Int, on socket: borrowing Socket) throws {
    var done = 0
    while done < count, !StopSignal.isRequested {
      let sent = batch.send(on: socket.descriptor, from: done, count: count - done)
      if sent > 0 {
        done += sent
      } else if [ENOBUFS, EAGAIN].contains(errno) {
        usleep(Self.pauseMicroseconds)
      } else if errno != EINTR {
        throw SystemCallError("sendmmsg")
      }
    }
  }
}
