import ArgumentParser
import Glibc

/// Sends UDP datagrams from many addresses and ports that nobody here has, so that a translator on the way makes a session for
/// each.
struct Sessions: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send UDP datagrams from many sources, a session each for a translator on the way.",
    discussion: """
      Once from each of --count sources, or round and round for --seconds, in an order that is scattered over all of \
      them. Sources are the addresses from --first-source on, each with \(SessionDatagram.portsEach) ports. Needs \
      CAP_NET_RAW, and a route for replies.
      """)

  private static let countLimit = 1 << 24
  private static let payloadLimit = 1472
  private static let sendBufferBytes: Int32 = 4 << 20

  @Argument(help: "IPv4 address.") var address: String
  @Argument var port: UInt16
  @Option(help: "How many sources.") var count = 1_000_000
  @Option(help: "IPv4 address of the first source.") var firstSource = "198.18.0.1"
  @Option(help: "Bytes of payload in each datagram.") var payload = 18
  @Option(help: "How long to go on; 0 sends one datagram from each source.") var seconds = 0.0
  @Option(help: "Datagrams per second; 0 sends as fast as possible.") var rate = 0.0
  @OptionGroup var placement: Placement

  func validate() throws {
    guard (1...Self.countLimit).contains(count) else {
      throw ValidationError("--count must be 1 to \(Self.countLimit)")
    }
    guard (0...Self.payloadLimit).contains(payload) else {
      throw ValidationError("--payload must be 0 to \(Self.payloadLimit)")
    }
    guard seconds >= 0, rate >= 0 else { throw ValidationError("--seconds and --rate must be at least 0") }
  }

  struct Figures: Encodable {
    var sources: Int
    var sent: UInt64
    var seconds: Double
    var datagramsPerSecond: Double
  }

  func run() throws {
    try placement.apply()
    StopSignal.install()
    let target = try SocketAddress(address, port: port)
    let datagram = SessionDatagram(
      destination: try Self.number(address), port: port, firstSource: try Self.number(firstSource), payload: payload)
    // IPPROTO_RAW implies IP_HDRINCL (raw(7)).
    let descriptor = socket(AF_INET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), Int32(IPPROTO_RAW))
    guard descriptor >= 0 else { throw SystemCallError("a raw socket, which needs CAP_NET_RAW") }
    let socket = Socket(owning: descriptor)
    try socket.set(SOL_SOCKET, SO_SNDBUF, Self.sendBufferBytes, "SO_SNDBUF")
    try socket.connect(to: target)

    let batch = MessageBatch(bytesEach: datagram.count)
    let pace = Pace(rate: rate)
    let end = pace.start + MonotonicClock.nanoseconds(seconds)
    var sent: UInt64 = 0
    var now = pace.start
    while seconds > 0 ? now < end : sent < UInt64(count), !StopSignal.isRequested {
      var due = pace.due(at: now, sent: sent)
      if seconds == 0 { due = min(due, count - Int(sent)) }
      if due == 0 {
        Pace.pause()
      } else {
        for index in 0..<due {
          let source = SessionDatagram.scattered(sent + UInt64(index), among: count)
          datagram.write(source: source, into: batch.datagram(index, count: datagram.count))
        }
        sent += UInt64(try batch.sendAll(on: socket.descriptor, count: due))
      }
      now = MonotonicClock.now()
    }
    let elapsed = MonotonicClock.seconds(now - pace.start)
    try report(Figures(sources: count, sent: sent, seconds: elapsed, datagramsPerSecond: Double(sent) / elapsed))
  }

  /// The address in host order.
  private static func number(_ address: String) throws -> UInt32 {
    var found = in_addr()
    guard inet_pton(AF_INET, address, &found) == 1 else { throw ValidationError("'\(address)' is not an IPv4 address") }
    return UInt32(bigEndian: found.s_addr)
  }
}
