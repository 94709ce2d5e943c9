/// What a bench found, as `--json` prints it.
struct BenchFigures: Encodable, Equatable {
  struct Stream: Encodable, Equatable {
    var streams: Int
    /// Bits of payload that the receiving program got a second.
    var bitsPerSecond: UInt64

    enum CodingKeys: String, CodingKey {
      case streams
      case bitsPerSecond = "bits_per_second"
    }
  }

  /// A flood as fast as the sender can, to a receiver that sleeps while there is nothing.
  struct Datagrams: Encodable, Equatable {
    /// Bytes in each.
    var payload: Int
    var sentPerSecond: UInt64
    var receivedPerSecond: UInt64

    enum CodingKeys: String, CodingKey {
      case payload
      case sentPerSecond = "sent_per_second"
      case receivedPerSecond = "received_per_second"
    }
  }

  /// TCP, one request at a time; times in microseconds, there and back.
  struct RoundTrip: Encodable, Equatable {
    /// Bytes of each request and each reply.
    var payload: Int
    var count: UInt64
    var p50: Double
    var p99: Double
    var p999: Double

    enum CodingKeys: String, CodingKey {
      case payload, count
      case p50 = "p50_us"
      case p99 = "p99_us"
      case p999 = "p999_us"
    }
  }

  var network: String
  /// Of each measurement.
  var seconds: Double
  var congestionControl: String
  var tcp: [Stream] = []
  var udp: Datagrams
  var roundTrip: RoundTrip

  enum CodingKeys: String, CodingKey {
    case network, seconds
    case congestionControl = "congestion_control"
    case tcp, udp
    case roundTrip = "round_trip"
  }
}

extension Table {
  init(_ figures: BenchFigures) {
    let (udp, roundTrip) = (figures.udp, figures.roundTrip)
    rows = [["MEASUREMENT", "RESULT", "UNIT"]]
    for stream in figures.tcp {
      let plural = stream.streams == 1 ? "" : "s"
      rows.append(["TCP, \(stream.streams) stream\(plural)", Self.decimal(stream.bitsPerSecond, of: 1e9), "Gbit/s"])
    }
    rows += [
      ["UDP, \(udp.payload) bytes, sent", Self.decimal(udp.sentPerSecond, of: 1e3), "k/s"],
      ["UDP, \(udp.payload) bytes, received", Self.decimal(udp.receivedPerSecond, of: 1e3), "k/s"],
      ["request/response, p50", String(roundTrip.p50), "us"],
      ["request/response, p99", String(roundTrip.p99), "us"],
      ["request/response, p99.9", String(roundTrip.p999), "us"],
    ]
  }

  /// With one digit after the point.
  private static func decimal(_ value: UInt64, of unit: Double) -> String {
    String((Double(value) / unit * 10).rounded() / 10)
  }
}
