import Support
import Testing
import Wire

@testable import SFlow

@Suite("sFlow datagrams")
struct AgentTests {
  private static let flow = FlowSample(
    source: 7, samplingRate: 400, samplePool: 1234, drops: 2, length: 75,
    header: hexadecimal(
      "02000000000b02000000000a08004500003d12344000401100000a0900020a0900039c401b59002900006d6172746c"))
  private static let counters = CounterSample(
    source: 9, name: "lab/web/eth0x", inBytes: 5_000_000_000, inFrames: 4_000_000, inDiscards: 11, outBytes: 77,
    outFrames: 3, outDiscards: 5)

  /// Bytes of pairs of hexadecimal digits; white space between them is left out.
  private static func hexadecimal(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  /// Written by hand from the specification. What `tshark -V` (4.0) reads in it:
  ///
  ///     Agent address: 192.0.2.1, Sub-agent ID: 0, Sequence number: 1, SysUptime: 1 minute (60000ms), NumSamples: 2
  ///     Flow sample, seq 1: Source ID class 0, index 7; Sampling rate: 1 out of 400 packets;
  ///       Sample pool: 1234 total packets; Dropped packets: 2; Input interface: 7; Output interface: 0x00000000
  ///       Raw packet header: Header protocol: Ethernet (1), Frame Length: 79, Payload stripped: 4,
  ///         Sampled header length: 47, Ethernet II, Src: 02:00:00:00:00:0a, Dst: 02:00:00:00:00:0b;
  ///         IPv4, Src: 10.9.0.2, Dst: 10.9.0.3; UDP 40000 to 7001
  ///     Counters sample, seq 1: Source ID type 0, index 9; Counters records: 2
  ///       Generic interface counters: Interface index: 9, Interface Type: 6, Interface Speed: 0, Full-Duplex,
  ///         IfAdminStatus: Up, IfOperStatus: Up, Input Octets: 5000000000, Input Packets: 4000000,
  ///         Input Discarded Packets: 11, Output Octets: 77, Output Packets: 3, Output Discarded Packets: 5,
  ///         Promiscuous Mode: 1, all others 4294967295
  ///       Unknown sample format: Format 1005, Flow data length (byte): 20
  private static let datagram = hexadecimal(
    """
    0000000500000001c000020100000000000000010000ea60000000020000000100000068000000010000000700000190
    000004d2000000020000000700000000000000010000000100000040000000010000004f000000040000002f02000000
    000b02000000000a08004500003d12344000401100000a0900020a0900039c401b59002900006d6172746c0000000002
    000000880000000100000009000000020000000100000058000000090000000600000000000000000000000100000003
    000000012a05f200003d0900ffffffffffffffff0000000bffffffffffffffff000000000000004d00000003ffffffff
    ffffffff00000005ffffffff00000001000003ed000000140000000d6c61622f7765622f6574683078000000
    """)

  @Test("a flow sample and a counter sample are as the specification has them, byte for byte")
  func golden() {
    var agent = Agent(address: IPAddress("192.0.2.1")!)
    agent.add(Self.flow)
    agent.add(Self.counters)
    #expect(agent.takeDatagrams(uptime: 60_000) == [Self.datagram])
    #expect(agent.takeDatagrams(uptime: 60_100).isEmpty)
  }

  /// tshark: Agent address type: IPv6 (2), Agent address: 2001:db8::1, Sequence number: 1, SysUptime: 0 seconds (1ms),
  /// NumSamples: 1.
  @Test("an agent may have an IPv6 address")
  func ipv6() {
    var agent = Agent(address: IPAddress("2001:db8::1")!)
    agent.add(Self.flow)
    let head = Self.hexadecimal(
      "00000005 00000002 20010db8000000000000000000000001 00000000 00000001 00000001 00000001")
    #expect(agent.takeDatagrams(uptime: 1).map { Array($0.prefix(head.count)) } == [head])
  }

  private func word(_ bytes: [UInt8], _ index: Int) -> Int {
    bytes[4 * index..<4 * index + 4].reduce(0) { $0 << 8 | Int($1) }
  }

  @Test("datagrams are no longer than the limit, hold all samples in order, and are numbered, as samples are by source")
  func manySamples() {
    var agent = Agent(address: IPAddress("192.0.2.1")!)
    var flow = Self.flow
    flow.header = Array(repeating: 0xAA, count: 128)
    for number in 0..<100 {
      flow.source = UInt32(number % 2)
      agent.add(flow)
    }
    let datagrams = agent.takeDatagrams(uptime: 5)
    #expect(datagrams.allSatisfy { $0.count <= Agent.datagramBytesMax })
    #expect(datagrams.map { word($0, 4) } == Array(1...datagrams.count))
    #expect(datagrams.reduce(0) { $0 + word($1, 6) } == 100)
    // With its head a sample is 8 + 32 + 8 + 16 + 128 = 192 bytes long; 28 + 7 * 192 = 1372.
    #expect(datagrams.allSatisfy { $0 == datagrams.last || word($0, 6) == 7 })
    let sequences = datagrams.flatMap { datagram in
      (0..<word(datagram, 6)).map { word(datagram, 7 + $0 * 48 + 2) }
    }
    #expect(sequences == (0..<100).map { $0 / 2 + 1 })
  }

  @Test("a sample longer than a datagram goes alone; sources that are gone begin anew")
  func edges() {
    var agent = Agent(address: IPAddress("192.0.2.1")!)
    var long = Self.flow
    long.header = Array(repeating: 1, count: 2000)
    agent.add(Self.flow)
    agent.add(long)
    agent.add(Self.flow)
    #expect(agent.takeDatagrams(uptime: 0).map { word($0, 6) } == [1, 1, 1])
    agent.keep(sources: [])
    agent.add(Self.flow)
    #expect(agent.takeDatagrams(uptime: 0).map { word($0, 9) } == [1])
  }
}
