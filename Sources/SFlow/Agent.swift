import Wire

/// An sFlow agent: numbers samples, and puts them into datagrams. Used by one thread; sends nothing itself.
public struct Agent {
  /// Bytes of a datagram's payload: as much as passes by every path, unless a sample alone is longer (sFlow version 5, 4.1: short of
  /// the MTU).
  public static let datagramBytesMax = 1400
  private static let version: UInt32 = 5

  /// By which collectors know this agent.
  public let address: IPAddress
  private var datagrams: UInt32 = 0
  /// The last number of each source's flow samples and counter samples.
  private var flowSequences: [UInt32: UInt32] = [:]
  private var counterSequences: [UInt32: UInt32] = [:]
  /// Encoded samples, not yet sent.
  private var waiting: [[UInt8]] = []

  public init(address: IPAddress) { self.address = address }

  public mutating func add(_ sample: FlowSample) {
    flowSequences[sample.source, default: 0] &+= 1
    add(FlowSample.format, sample.encoded(sequence: flowSequences[sample.source]!))
  }

  public mutating func add(_ sample: CounterSample) {
    counterSequences[sample.source, default: 0] &+= 1
    add(CounterSample.format, sample.encoded(sequence: counterSequences[sample.source]!))
  }

  /// Forgets all other sources: they do not come back.
  public mutating func keep(sources: Set<UInt32>) {
    flowSequences = flowSequences.filter { sources.contains($0.key) }
    counterSequences = counterSequences.filter { sources.contains($0.key) }
  }

  /// All that was added since the last time, in datagrams.
  /// - Parameter uptime: milliseconds since the agent began; wraps.
  public mutating func takeDatagrams(uptime: UInt32) -> [[UInt8]] {
    defer { waiting = [] }
    var datagrams: [[UInt8]] = []
    var rest = waiting[...]
    let headerBytes = 24 + address.bytes.count
    while !rest.isEmpty {
      var count = 1
      var size = headerBytes + rest.first!.count
      for sample in rest.dropFirst() {
        size += sample.count
        if size > Self.datagramBytesMax { break }
        count += 1
      }
      datagrams.append(datagram(rest.prefix(count), uptime: uptime))
      rest = rest.dropFirst(count)
    }
    return datagrams
  }

  /// A `sample_record`.
  private mutating func add(_ format: UInt32, _ sample: [UInt8]) {
    var record = XDRWriter()
    record.write(format)
    record.write(opaque: sample)
    waiting.append(record.bytes)
  }

  /// A `sample_datagram_v5`.
  private mutating func datagram(_ samples: ArraySlice<[UInt8]>, uptime: UInt32) -> [UInt8] {
    datagrams &+= 1
    var writer = XDRWriter()
    writer.write(Self.version)
    writer.write(UInt32(address.isIPv6 ? 2 : 1))
    writer.write(plain: address.bytes)
    // There is one agent at the address.
    let subAgent: UInt32 = 0
    for value in [subAgent, datagrams, uptime, UInt32(samples.count)] { writer.write(value) }
    for sample in samples { writer.write(plain: sample) }
    return writer.bytes
  }
}
