import Support
import Tables
import Testing
import Wire

@testable import Datapath

/// What the switch makes of a frame on its way into the tunnel is what the kernel makes of it.
@Suite struct EncapsulationTests {
  static let headerLength = VirtioNetTunnelHeader.length

  static func encapsulated(_ message: [UInt8], _ remote: TunnelRemote) -> [UInt8]? {
    let buffer = TunnelBuffer(message)
    guard let result = remote.encapsulate(buffer.frame) else { return nil }
    #expect(buffer.holds(result) && buffer.isIntactBelow)
    return TunnelBuffer.bytes(result)
  }

  /// Without what may differ: the hint of the headers' length, MAC addresses, identification and source port, and what they
  /// add to checksums.
  private static func comparable(_ message: [UInt8]) -> [UInt8] {
    var bytes = message
    let isIPv4 = bytes[headerLength + 12] == 0x08
    let transport = headerLength + (isIPv4 ? 34 : 54)
    func clear(_ range: Range<Int>) { for index in range { bytes[index] = 0 } }
    clear(2..<4)
    clear(headerLength..<headerLength + 12)
    if isIPv4 {
      #expect(IPPacket.sum(Array(bytes[headerLength + 14..<transport])) == 0xFFFF, "header checksum")
      clear(headerLength + 18..<headerLength + 20)
      clear(headerLength + 24..<headerLength + 26)
    }
    let number = UDPCoalescingTests.number
    let isComplete = bytes[1] == 0 && number(message, 6) >> 8 != transport - headerLength
    let checksum = UInt16(number(bytes, transport + 6))
    if isComplete && checksum != 0 {
      let without = InternetChecksum.updated(checksum, from: UInt16(number(bytes, transport)), to: 0)
      (bytes[transport + 6], bytes[transport + 7]) = (UInt8(without >> 8), UInt8(truncatingIfNeeded: without))
    }
    clear(transport..<transport + 2)
    return bytes
  }

  @Test(arguments: GoldenTunnel.all, GoldenTunnel.Underlay.allCases)
  func `as the kernel does it`(golden: GoldenTunnel, underlay: GoldenTunnel.Underlay) throws {
    let ours = try #require(Self.encapsulated(golden.frame, .golden(underlay)))
    let inner = Array(golden.frame.dropFirst(VirtioNetHeader.length))
    #expect(Self.comparable(ours) == Self.comparable(golden.outer[underlay.rawValue] + inner))
    #expect(ours.suffix(inner.count) == inner)
  }

  @Test(arguments: GoldenTunnel.Underlay.allCases)
  func `the source port is a dynamic one`(underlay: GoldenTunnel.Underlay) throws {
    let offset = Self.headerLength + (underlay.rawValue < 2 ? 34 : 54)
    for golden in GoldenTunnel.all {
      let bytes = try #require(Self.encapsulated(golden.frame, .golden(underlay)))
      #expect(UDPCoalescingTests.number(bytes, offset) >= 49_152)
    }
  }

  private static func sourcePort(_ message: [UInt8], seed: UInt64 = 7) -> Int {
    encapsulated(message, .golden(.ipv4, seed: seed)).map { UDPCoalescingTests.number($0, headerLength + 34) } ?? 0
  }

  @Test(arguments: [false, true]) func `flows keep their port and are spread over all`(v6: Bool) {
    func frame(_ port: Int, _ payload: [UInt8] = [1]) -> [UInt8] {
      UDPCoalescingTests.datagram(v6: v6, payload: payload, sourcePort: UInt16(port))
    }
    #expect(Self.sourcePort(frame(1)) == Self.sourcePort(frame(1, [2, 3, 4])))
    #expect(Self.sourcePort(frame(1)) != Self.sourcePort(frame(1), seed: 8))
    let ports = (0..<4096).map { Self.sourcePort(frame($0)) }
    // 4,096 balls in 16,384 bins fill 3,624 of them on average; the deviation is under 20.
    #expect(Set(ports).count > 3500)
    #expect(Set(ports.map { ($0 - 49_152) / 1024 }).count == 16)
  }

  @Test func `all fragments of a packet have one port`() {
    var first = IPPacket(
      from: "10.0.0.1", to: "10.0.0.2", protocol: 17, payload: [0, 1, 0, 2, 0, 40, 0, 0], flags: 0x2000
    ).bytes
    let later = IPPacket(
      from: "10.0.0.1", to: "10.0.0.2", protocol: 17, payload: [9, 9, 9, 9, 9, 9, 9, 9], flags: 0x0001
    ).bytes
    let none = [UInt8](repeating: 0, count: VirtioNetHeader.length)
    #expect(Self.sourcePort(none + first) == Self.sourcePort(none + later))
    first[20] = 0
    #expect(Self.sourcePort(none + first) != Self.sourcePort(none + later))
  }

  @Test func `time to live and DSCP of the outer header`() throws {
    // TTL 63, DSCP 46, ECT(1).
    let tcp = try #require(GoldenTunnel.all.first { $0.name == "TCP, IPv4, partial checksum" }).frame
    let arp = try #require(GoldenTunnel.all.first { $0.name == "ARP" }).frame
    func outer(_ frame: [UInt8], _ remote: TunnelRemote) throws -> (hops: UInt8, trafficClass: UInt8) {
      let bytes = Array(try #require(Self.encapsulated(frame, remote)).dropFirst(Self.headerLength + 14))
      return remote.isIPv6 ? (bytes[7], bytes[0] << 4 | bytes[1] >> 4) : (bytes[8], bytes[1])
    }
    for underlay in [GoldenTunnel.Underlay.ipv4, .ipv6] {
      #expect(try outer(tcp, .golden(underlay)) == (64, 0x01))
      #expect(try outer(tcp, .golden(underlay, timeToLive: 0)) == (63, 0x01))
      #expect(try outer(tcp, .golden(underlay, timeToLive: 9, trafficClass: .inherited)) == (9, 0xB9))
      #expect(try outer(tcp, .golden(underlay, trafficClass: .fixed(0x2B))) == (64, 0x29))
      #expect(try outer(arp, .golden(underlay, timeToLive: 0, trafficClass: .inherited)) == (64, 0))
      var marked = tcp
      marked[10 + 15] |= 3
      #expect(try outer(marked, .golden(underlay)) == (64, 0x03))
    }
  }

  @Test func `the longest frame, and one byte more`() {
    for (underlay, longest) in [(GoldenTunnel.Underlay.ipv4, 65_499), (.ipv6, 65_519)] {
      let remote = TunnelRemote.golden(underlay)
      #expect(remote.frameLengthMax == longest)
      let message = [UInt8](repeating: 0, count: VirtioNetHeader.length + longest)
      #expect(Self.encapsulated(message, remote) != nil)
      #expect(Self.encapsulated(message + [0], remote) == nil)
    }
    #expect(Self.encapsulated([UInt8](repeating: 0, count: 10 + 13), .golden(.ipv4)) == nil)
  }

  @Test func `a header that lies is refused`() throws {
    let frame = try #require(GoldenTunnel.all.first { $0.name == "TCP, IPv4, segmented" }).frame
    func refused(_ offset: Int, _ bytes: [UInt8]) -> Bool {
      var changed = frame
      changed.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      return Self.encapsulated(changed, .golden(.ipv6)) == nil
    }
    #expect(!refused(0, [1]))
    #expect(refused(0, [0]), "segmented without a partial checksum")
    #expect(refused(1, [4]), "TCP over IPv6 that is IPv4")
    #expect(refused(1, [5]), "UDP that has TCP's checksum offset")
    #expect(refused(1, [3]), "to be cut into IP fragments")
    #expect(refused(1, [0x21]), "in a tunnel already")
    #expect(refused(4, [0, 0]), "segments of no byte")
    #expect(refused(4, [0xFF, 0xFF]), "GSO_BY_FRAGS")
    #expect(refused(6, [35]), "a checksum that begins within TCP")
    #expect(refused(6, [0xF0, 0xFF]), "beyond the frame")
    #expect(refused(8, [0xF0, 0xFF]), "a field beyond the frame")
    #expect(refused(10 + 12, [0x08, 0x06]), "ARP")
    #expect(!refused(1, [0]), "not segmented")
    #expect(refused(1, [0, 0, 0, 0, 0, 34, 0, 64]), "a field beyond the frame")
    #expect(refused(1, [0, 0, 0, 0, 0, 33, 0, 16]), "a checksum within the IP header")
  }

  /// The kernel takes what is not longer than one segment for a frame that is not segmented: nobody completes its checksum outside.
  @Test(
    arguments: ["TCP, IPv4, partial checksum", "UDP, IPv6, partial checksum"], GoldenTunnel.Underlay.allCases)
  func `one segment is none`(name: String, underlay: GoldenTunnel.Underlay) throws {
    let golden = try #require(GoldenTunnel.all.first { $0.name == name })
    let inner = Array(golden.frame.dropFirst(VirtioNetHeader.length))
    let isTCP = name.hasPrefix("TCP")
    let payload = inner.count - (isTCP ? 54 : 62)
    var frame = golden.frame
    frame[1] = isTCP ? 1 : 5
    for size in [payload, payload + 1, 0xFFFE] {
      (frame[4], frame[5]) = (UInt8(size & 0xFF), UInt8(size >> 8))
      let ours = try #require(Self.encapsulated(frame, .golden(underlay)))
      #expect(Self.comparable(ours) == Self.comparable(golden.outer[underlay.rawValue] + inner))
    }
    (frame[4], frame[5]) = (UInt8(payload - 1), 0)
    let cut = try #require(Self.encapsulated(frame, .golden(underlay)))
    #expect(cut[1] != 0 && cut[4] == UInt8(payload - 1))
  }

  @Test func `both addresses are of one family, and the VNI has 24 bits`() {
    let hash = KeyedHash(seed: 1)
    func remote(_ local: String, _ remote: String, _ vni: UInt32) -> TunnelRemote? {
      TunnelRemote(local: IPAddress(local)!, remote: IPAddress(remote)!, vni: vni, hash: hash)
    }
    #expect(remote("10.0.0.1", "fd00::1", 1) == nil)
    #expect(remote("10.0.0.1", "10.0.0.2", 0x100_0000) == nil)
    #expect(remote("10.0.0.1", "10.0.0.2", 0xFF_FFFF)?.sumsDatagrams == false)
    #expect(remote("fd00::1", "fd00::2", 0)?.sumsDatagrams == true)
  }
}
