import ArgumentParser
import Glibc

/// Sends UDP datagrams as fast as the kernel takes them, or at a rate.
struct Flood: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Send UDP datagrams to a sink.")

  /// Room for some batches, so that the sender waits for the device and not for its own socket.
  private static let sendBufferBytes: Int32 = 4 << 20
  private static let flowLimit = 1024
  private static let payloadLimit = 65_507

  @Argument(help: "IPv4 or IPv6 address.") var address: String
  @Argument var port: UInt16
  @Option(help: "Bytes of payload in each datagram; 18 make a 60-byte frame over IPv4.") var payload = 18
  @Option(help: "How long to send.") var seconds = 3.0
  @Option(help: "Datagrams per second in all; 0 sends as fast as possible.") var rate = 0.0
  @Option(help: "Source ports to send from, in turn, one batch each.") var flows = 1
  @OptionGroup var placement: Placement

  func validate() throws {
    guard (1...Self.payloadLimit).contains(payload) else {
      throw ValidationError("--payload must be 1 to \(Self.payloadLimit)")
    }
    guard (1...Self.flowLimit).contains(flows) else { throw ValidationError("--flows must be 1 to \(Self.flowLimit)") }
    guard seconds > 0, rate >= 0 else { throw ValidationError("--seconds must be above 0, --rate at least 0") }
  }

  struct Figures: Encodable {
    var sent: UInt64 = 0
    var refused: UInt64 = 0
    var seconds = 0.0
    var payload = 0
    var datagramsPerSecond = 0.0
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let target = try SocketAddress(address, port: port)
    let sockets = try (0..<flows).map { _ in try FlowSocket(to: target, sendBufferBytes: Self.sendBufferBytes) }
    let batch = MessageBatch(bytesEach: payload)

    var figures = Figures(payload: payload)
    var turn = 0
    let pace = Pace(rate: rate)
    let end = pace.start + MonotonicClock.nanoseconds(seconds)
    var now = pace.start
    while now < end, !StopSignal.isRequested {
      let count = pace.due(at: now, sent: figures.sent)
      if count == 0 {
        Pace.pause()
      } else {
        let sent = batch.send(on: sockets[turn].descriptor, count: count)
        turn = turn + 1 == flows ? 0 : turn + 1
        if sent > 0 {
          figures.sent += UInt64(sent)
        } else if [ENOBUFS, EAGAIN, ECONNREFUSED, EINTR].contains(errno) {
          figures.refused += 1
        } else {
          throw SystemCallError("sendmmsg")
        }
      }
      now = MonotonicClock.now()
    }
    figures.seconds = MonotonicClock.seconds(now - pace.start)
    figures.datagramsPerSecond = Double(figures.sent) / figures.seconds
    try report(figures)
  }
}

/// One source port. A class, because an array cannot hold a `Socket` that is not copyable.
private final class FlowSocket {
  private let socket: Socket
  var descriptor: Int32 { socket.descriptor }

  init(to address: SocketAddress, sendBufferBytes: Int32) throws {
    socket = try Socket.connected(.datagram, to: address)
    try socket.set(SOL_SOCKET, SO_SNDBUF, sendBufferBytes, "SO_SNDBUF")
  }
}
