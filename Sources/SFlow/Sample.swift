// The structures of sFlow version 5 (https://sflow.org/sflow_version_5.txt, section 5), of enterprise 0.

/// A frame that was picked: `flow_sample` (format 1) with a `sampled_header` (format 1).
public struct FlowSample: Sendable, Equatable {
  /// The port it came in by: an ifIndex, of which sFlow takes 24 bits here.
  public var source: UInt32
  /// One frame in so many is picked.
  public var samplingRate: UInt32
  /// Frames of the source that could have been picked.
  public var samplePool: UInt32
  /// Samples that were lost for want of room, since the agent began.
  public var drops: UInt32
  /// Bytes of the frame from the Ethernet header on, without the frame check sequence.
  public var length: Int
  /// The first bytes of the frame.
  public var header: [UInt8]

  public init(
    source: UInt32, samplingRate: UInt32, samplePool: UInt32, drops: UInt32, length: Int, header: [UInt8]
  ) {
    (self.source, self.samplingRate, self.samplePool) = (source, samplingRate, samplePool)
    (self.drops, self.length, self.header) = (drops, length, header)
  }

  static let format: UInt32 = 1
  private static let sampledHeaderFormat: UInt32 = 1
  /// ETHERNET-ISO88023 of `header_protocol`.
  private static let ethernet: UInt32 = 1
  /// Bytes of the frame check sequence: `frame_length` has them, the header has not, and `stripped` says so.
  private static let checkSequenceBytes: UInt32 = 4
  /// Of an interface that is not known: a frame is picked before it is decided where it goes.
  private static let unknownInterface: UInt32 = 0

  func encoded(sequence: UInt32) -> [UInt8] {
    var record = XDRWriter()
    record.write(Self.ethernet)
    record.write(UInt32(clamping: length) &+ Self.checkSequenceBytes)
    record.write(Self.checkSequenceBytes)
    record.write(opaque: header)
    var sample = XDRWriter()
    for value in [sequence, source, samplingRate, samplePool, drops, source, Self.unknownInterface] {
      sample.write(value)
    }
    sample.write(UInt32(1))
    sample.write(Self.sampledHeaderFormat)
    sample.write(opaque: record.bytes)
    return sample.bytes
  }
}

/// What a port has counted: `counters_sample` (format 2) with `if_counters` (format 1) and `port_name` (format 1005, of
/// https://sflow.org/sflow_openflow.txt).
public struct CounterSample: Sendable, Equatable {
  /// The port: an ifIndex, of which sFlow takes 24 bits here.
  public var source: UInt32
  /// At most 255 bytes are sent.
  public var name: String
  /// Without the frame check sequence, as the port counts them.
  public var inBytes: UInt64
  public var inFrames: UInt64
  public var inDiscards: UInt64
  public var outBytes: UInt64
  public var outFrames: UInt64
  public var outDiscards: UInt64

  public init(
    source: UInt32, name: String, inBytes: UInt64, inFrames: UInt64, inDiscards: UInt64, outBytes: UInt64,
    outFrames: UInt64, outDiscards: UInt64
  ) {
    (self.source, self.name) = (source, name)
    (self.inBytes, self.inFrames, self.inDiscards) = (inBytes, inFrames, inDiscards)
    (self.outBytes, self.outFrames, self.outDiscards) = (outBytes, outFrames, outDiscards)
  }

  static let format: UInt32 = 2
  private static let interfaceCountersFormat: UInt32 = 1
  private static let portNameFormat: UInt32 = 1005
  private static let nameBytesMax = 255
  /// ethernetCsmacd (RFC 2863, IANAifType).
  private static let ethernet: UInt32 = 6
  /// full-duplex of `ifDirection`.
  private static let fullDuplex: UInt32 = 1
  /// ifAdminStatus and ifOperStatus are up.
  private static let up: UInt32 = 0b11
  /// Of a counter that is not kept.
  private static let unknown = UInt32.max

  /// Counters of 32 bits wrap.
  func encoded(sequence: UInt32) -> [UInt8] {
    func low(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value) }
    var counters = XDRWriter()
    counters.write(source)
    counters.write(Self.ethernet)
    // ifSpeed: as fast as it goes.
    counters.write(UInt64(0))
    counters.write(Self.fullDuplex)
    counters.write(Self.up)
    counters.write(inBytes)
    // Of all destinations: the switch does not count multicast and broadcast by themselves. Then discards, errors, unknown protocols.
    for value in [low(inFrames), Self.unknown, Self.unknown, low(inDiscards), Self.unknown, Self.unknown] {
      counters.write(value)
    }
    counters.write(outBytes)
    // The same, without unknown protocols.
    for value in [low(outFrames), Self.unknown, Self.unknown, low(outDiscards), Self.unknown] { counters.write(value) }
    // ifPromiscuousMode: true.
    counters.write(UInt32(1))
    var name = XDRWriter()
    name.write(opaque: Array(self.name.utf8.prefix(Self.nameBytesMax)))
    var sample = XDRWriter()
    sample.write(sequence)
    sample.write(source)
    sample.write(UInt32(2))
    for (format, record) in [(Self.interfaceCountersFormat, counters), (Self.portNameFormat, name)] {
      sample.write(format)
      sample.write(opaque: record.bytes)
    }
    return sample.bytes
  }
}
