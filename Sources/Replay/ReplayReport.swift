import Datapath
import Wire

/// What a replay found; as JSON, with the words of docs/replay.md. The same inputs give the same report.
public struct ReplayReport: Encodable, Equatable, Sendable {
  /// Frames replayed, and their bytes as far as there were any.
  public internal(set) var frames: UInt64 = 0
  public internal(set) var bytes: UInt64 = 0
  public internal(set) var source: SourceReport
  /// The one, or the two, in the order of the command line.
  public internal(set) var policies: [PolicyReport] = []
  /// nil: there is one policy.
  public internal(set) var differences: DifferenceReport?
}

public struct SourceReport: Encodable, Equatable, Sendable {
  /// The capture's path, or the model's name.
  public internal(set) var name: String
  public internal(set) var isModel: Bool
  /// Of the first frame since 1970; 0 of a model.
  public internal(set) var start: UInt64 = 0
  /// From the first frame to the last.
  public internal(set) var duration: UInt64 = 0
  /// Frames of which the capture has not all bytes.
  public internal(set) var cut = 0
  /// Frames whose time is before that of an earlier one; they are replayed at that one's.
  public internal(set) var disordered = 0
  /// Frames that went out at their interface, which were passed over.
  public internal(set) var outbound = 0
  /// Why the capture was not read to its end.
  public internal(set) var error: String?

  enum CodingKeys: String, CodingKey {
    case name, cut, disordered, outbound, error
    case isModel = "model"
    case start = "start_ns"
    case duration = "duration_ns"
  }
}

/// What one policy did.
public struct PolicyReport: Encodable, Equatable, Sendable {
  public internal(set) var name: String
  /// Of all frames: to one port, to several, to none.
  public internal(set) var forwarded: UInt64 = 0
  public internal(set) var flooded: UInt64 = 0
  public internal(set) var dropped: UInt64 = 0
  /// `dropped`, by `DropReason.name`.
  public internal(set) var reasons: [String: UInt64] = [:]
  /// Frames that left, copies each for itself.
  public internal(set) var copies: UInt64 = 0
  /// What the policy counts itself.
  public internal(set) var counters: [CounterReport] = []
  public internal(set) var ports: [PortReport]
  /// At the end, by address.
  public internal(set) var macTable: [MACEntryReport] = []
  /// Forwarded, flooded and dropped in each of `Replay.binCount` equal stretches of the duration.
  public internal(set) var timeline: [[UInt64]]
  /// As the engine counts, for who checks that none is lost: frames + floodedCopies = copies + engineDrops.
  var floodedCopies: UInt64 = 0
  var engineDrops: UInt64 = 0

  enum CodingKeys: String, CodingKey {
    case name, forwarded, flooded, dropped, reasons, copies, counters, ports, timeline
    case macTable = "mac_table"
  }

  init(name: String, ports: [String]) {
    self.name = name
    self.ports = ports.map { PortReport(name: $0) }
    timeline = [[UInt64]](repeating: [0, 0, 0], count: Replay.binCount)
  }

  mutating func count(_ treatment: Treatment, bin: Int) {
    switch treatment {
    case .forwarded:
      forwarded += 1
      timeline[bin][0] += 1
    case .flooded:
      flooded += 1
      timeline[bin][1] += 1
    case .dropped(let reason):
      dropped += 1
      timeline[bin][2] += 1
      reasons[reason.name, default: 0] += 1
    }
  }
}

public struct CounterReport: Encodable, Equatable, Sendable {
  public internal(set) var name: String
  public internal(set) var value: UInt64
}

public struct PortReport: Encodable, Equatable, Sendable {
  public internal(set) var name: String
  /// Receive: what came from the port.
  public internal(set) var rxFrames: UInt64 = 0
  public internal(set) var rxBytes: UInt64 = 0
  public internal(set) var txFrames: UInt64 = 0
  public internal(set) var txBytes: UInt64 = 0

  enum CodingKeys: String, CodingKey {
    case name
    case rxFrames = "rx_frames"
    case rxBytes = "rx_bytes"
    case txFrames = "tx_frames"
    case txBytes = "tx_bytes"
  }
}

public struct MACEntryReport: Encodable, Equatable, Sendable {
  public internal(set) var mac: String
  public internal(set) var port: String
  /// Seconds since the address was seen.
  public internal(set) var age: Int
  public internal(set) var isStatic: Bool
  let address: MACAddress

  enum CodingKeys: String, CodingKey {
    case mac, port
    case age = "age_s"
    case isStatic = "static"
  }

  init(mac: MACAddress, port: String, age: Int, isStatic: Bool) {
    (address, self.mac, self.port, self.age, self.isStatic) = (mac, mac.description, port, age, isStatic)
  }
}

public struct DifferenceReport: Encodable, Equatable, Sendable {
  /// Frames of which not the same left by the same ports, or that were dropped for different reasons.
  public internal(set) var count: UInt64 = 0
  /// The first of them.
  public internal(set) var first: [Difference] = []
}

public struct Difference: Encodable, Equatable, Sendable {
  /// The frame's place in what was replayed, from 1; wireshark counts so too, unless frames were passed over.
  public internal(set) var number: UInt64
  /// Since the first frame, as the capture has it.
  public internal(set) var time: Int64
  public internal(set) var port: String
  /// In words: addresses, protocol, length.
  public internal(set) var frame: String
  /// What the policies did with it, in words.
  public internal(set) var treatments: [String]

  enum CodingKeys: String, CodingKey {
    case number, port, frame, treatments
    case time = "time_ns"
  }
}
