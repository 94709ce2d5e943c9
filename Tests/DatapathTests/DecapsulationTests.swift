import Testing
import Wire

@testable import Datapath

@Suite struct DecapsulationTests {
  static let headerLength = VirtioNetTunnelHeader.length

  static func golden(_ name: String, _ underlay: GoldenTunnel.Underlay) -> [UInt8] {
    let golden = GoldenTunnel.all.first { $0.name == name }!
    return golden.outer[underlay.rawValue] + golden.frame.dropFirst(VirtioNetHeader.length)
  }

  /// The same frame as it is on a wire: the outer checksum whole, and nothing left to do.
  static func onWire(_ underlay: GoldenTunnel.Underlay) -> [UInt8] {
    let message = golden("UDP, IPv4, complete checksum", underlay)
    var frame = Array(message.dropFirst(headerLength))
    let transport = underlay.rawValue < 2 ? 34 : 54
    if message[0] == 1 {
      let checksum = ~UInt16(IPPacket.sum(Array(frame[transport...])))
      (frame[transport + 6], frame[transport + 7]) = (UInt8(checksum >> 8), UInt8(truncatingIfNeeded: checksum))
    }
    return [UInt8](repeating: 0, count: headerLength) + frame
  }

  @Test(arguments: GoldenTunnel.all, GoldenTunnel.Underlay.allCases)
  func `what the kernel sent comes out as it went in`(golden: GoldenTunnel, underlay: GoldenTunnel.Underlay) throws {
    let buffer = TunnelBuffer(golden.outer[underlay.rawValue] + golden.frame.dropFirst(VirtioNetHeader.length))
    let ingress = TunnelIngress(takesIPv6WithoutChecksum: true)
    guard case .frame(let result) = ingress.decapsulate(buffer.frame) else {
      Issue.record("dropped")
      return
    }
    var (inner, sent) = (TunnelBuffer.bytes(result.frame), golden.frame)
    // How much of it are headers is a hint, and the kernel's own is larger than it need be.
    for index in 2..<4 { (inner[index], sent[index]) = (0, 0) }
    #expect(inner == sent && buffer.holds(result.frame) && buffer.isIntactBelow)
    let isIPv4 = underlay.rawValue < 2
    #expect(result.vni == GoldenTunnel.vni)
    #expect(result.source == (isIPv4 ? GoldenTunnel.source.v4 : GoldenTunnel.source.v6).mapped)
    #expect(result.destination == (isIPv4 ? GoldenTunnel.destination.v4 : GoldenTunnel.destination.v6).mapped)
  }

  @Test func `over IPv6 a checksum must be there, unless told otherwise`() {
    let message = Self.golden("UDP, IPv4, complete checksum", .ipv6Unsummed)
    #expect(dropReason(message) == .vxlanChecksum)
    #expect(decapsulated(message) != nil)
    #expect(dropReason(Self.golden("UDP, IPv4, complete checksum", .ipv4)) == nil)
  }

  @Test(arguments: [GoldenTunnel.Underlay.ipv4Summed, .ipv6])
  func `a checksum that nobody has looked at is summed`(underlay: GoldenTunnel.Underlay) throws {
    let message = Self.onWire(underlay)
    let sent = try #require(GoldenTunnel.all.first { $0.name == "UDP, IPv4, complete checksum" }).frame
    #expect(decapsulated(message) == sent)
    let transport = Self.headerLength + (underlay == .ipv6 ? 54 : 34)
    // Each bit of the source port, VXLAN's reserved bits, and all of the inner frame.
    for offset in [transport, transport + 1, transport + 9] + Array(transport + 16..<message.count) {
      var wrong = message
      wrong[offset] ^= 0x10
      #expect(dropReason(wrong) == .vxlanChecksum, "byte \(offset)")
      wrong[0] = VirtioNetHeader.Flags.dataValid.rawValue
      #expect(dropReason(wrong) == nil, "the kernel has looked at it")
    }
  }

  @Test func `frames that are not for the tunnel`() {
    let message = Self.onWire(.ipv4)
    func reason(_ offset: Int, _ value: UInt8, header: Bool = false) -> DropReason? {
      var changed = message
      changed[Self.headerLength + offset] = value
      if header {
        (changed[Self.headerLength + 24], changed[Self.headerLength + 25]) = (0, 0)
        let sum = ~UInt16(IPPacket.sum(Array(changed[Self.headerLength + 14..<Self.headerLength + 34])))
        (changed[Self.headerLength + 24], changed[Self.headerLength + 25]) = (
          UInt8(sum >> 8), UInt8(truncatingIfNeeded: sum)
        )
      }
      return dropReason(changed)
    }
    #expect(reason(12, 0x88) == .notVXLAN)
    #expect(reason(23, 6, header: true) == .notVXLAN)
    #expect(reason(37, 0xB6) == .notVXLAN)
    #expect(reason(23, 6) == .vxlanMalformed, "a wrong header checksum")
    #expect(reason(14, 0x44, header: true) == .vxlanMalformed, "too short an IP header")
    #expect(reason(17, 0xFF, header: true) == .vxlanMalformed, "a length beyond the frame")
    #expect(reason(20, 0x20, header: true) == .vxlanFragment)
    #expect(reason(21, 1, header: true) == .vxlanFragment)
    #expect(reason(39, 0xFF) == .vxlanMalformed, "a UDP length beyond the packet")
    #expect(reason(39, 29) == .vxlanMalformed, "an inner frame of 13 bytes")
    #expect(reason(39, 30) == nil)
    #expect(reason(42, 0xF7) == .vxlanMalformed, "no I flag")
    #expect(reason(42, 0xFF) == nil, "reserved bits")
    #expect(reason(49, 0xFF) == nil, "reserved bits")
    #expect(dropReason(message, TunnelIngress(port: 8472)) == .notVXLAN)
  }

  @Test func `frames that are not for the tunnel, over IPv6`() {
    let message = Self.golden("UDP, IPv4, complete checksum", .ipv6)
    func reason(_ offset: Int, _ bytes: [UInt8]) -> DropReason? {
      var changed = message
      let start = Self.headerLength + offset
      changed.replaceSubrange(start..<start + bytes.count, with: bytes)
      return dropReason(changed)
    }
    #expect(reason(0, []) == nil)
    #expect(reason(14, [0x50]) == .vxlanMalformed)
    #expect(reason(18, [0xFF]) == .vxlanMalformed)
    #expect(reason(20, [6]) == .notVXLAN)
    #expect(reason(20, [44]) == .vxlanFragment)
    #expect(reason(22, [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]) == .vxlanMalformed, "an address of IPv4")
  }

  @Test func `IPv4 options and IPv6 extension headers are passed over`() {
    var v4 = Self.onWire(.ipv4)
    let (start, header) = (Self.headerLength, Self.headerLength + 14)
    v4.insert(contentsOf: [1, 1, 1, 0], at: start + 34)
    v4[header] = 0x46
    v4[header + 3] += 4
    (v4[header + 10], v4[header + 11]) = (0, 0)
    let sum = ~UInt16(IPPacket.sum(Array(v4[header..<header + 24])))
    (v4[header + 10], v4[header + 11]) = (UInt8(sum >> 8), UInt8(truncatingIfNeeded: sum))
    #expect(decapsulated(v4) == decapsulated(Self.onWire(.ipv4)))
    var v6 = Self.onWire(.ipv6)
    v6.insert(contentsOf: [17, 0, 1, 4, 0, 0, 0, 0], at: start + 54)
    v6[header + 5] += 8
    v6[header + 6] = 60
    #expect(decapsulated(v6) == decapsulated(Self.onWire(.ipv6)) && decapsulated(v6) != nil)
  }

  @Test(arguments: GoldenTunnel.Underlay.allCases)
  func `a frame that ends anywhere is dropped, not read beyond`(underlay: GoldenTunnel.Underlay) {
    for message in [Self.onWire(underlay), Self.golden("TCP, IPv4, segmented", underlay)] {
      for length in Self.headerLength..<message.count { #expect(dropReason(Array(message.prefix(length))) != nil) }
    }
  }

  @Test(arguments: [("UDP, IPv4, complete checksum", 14), ("TCP, IPv6, segmented", 14)])
  func `congestion of the outer packet is the inner one's`(name: String, offset: Int) throws {
    typealias Field = ExplicitCongestionNotification
    for (inner, outer) in (0..<16).map({ (UInt8($0 & 3), UInt8($0 >> 2)) }) {
      var message = Self.golden(name, .ipv6)
      message[Self.headerLength + 15] = message[Self.headerLength + 15] & 0xCF | outer << 4
      let header = Self.headerLength + 70 + offset
      let isIPv4 = message[header] == 0x45
      message.withUnsafeMutableBytes {
        let field = Field(rawValue: inner)
        isIPv4
          ? field.store(toIPv4Header: $0.baseAddress! + header) : field.store(toIPv6Header: $0.baseAddress! + header)
      }
      let expected = Field(rawValue: inner).leavingTunnel(outer: Field(rawValue: outer))
      guard let expected else {
        #expect(dropReason(message) == .ecnIllegal)
        continue
      }
      let result = try #require(decapsulated(message))
      let packet = Array(result.dropFirst(VirtioNetHeader.length + offset))
      #expect((isIPv4 ? packet[1] & 3 : packet[1] >> 4 & 3) == expected.rawValue)
      if isIPv4 { #expect(IPPacket.sum(Array(packet.prefix(20))) == 0xFFFF) }
    }
  }

  @Test func `what is not IP knows no congestion`() {
    var message = Self.golden("ARP", .ipv6)
    message[Self.headerLength + 15] |= 0x30
    #expect(decapsulated(message) == GoldenTunnel.all.first { $0.name == "ARP" }!.frame)
  }

  @Test func `a virtio-net header that lies drops the frame`() {
    let message = Self.golden("TCP, IPv4, segmented", .ipv4)
    func dropped(_ offset: Int, _ bytes: [UInt8]) -> Bool {
      var changed = message
      changed.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      return dropReason(changed) == .vxlanMalformed
    }
    #expect(!dropped(0, [1]))
    #expect(dropped(0, [0]), "segmented without a partial checksum")
    #expect(dropped(1, [0x24]), "TCP over IPv6 that is IPv4")
    #expect(dropped(1, [0x23]), "IP fragments")
    #expect(dropped(4, [0, 0]), "segments of no byte")
    #expect(dropped(6, [83, 0]) && dropped(6, [85, 0]) && dropped(6, [34, 0]), "the checksum begins elsewhere")
    #expect(dropped(6, [0xFF, 0xFF]) && dropped(8, [0xFF, 0xFF]), "beyond the frame")
    #expect(!dropped(2, [0xFF, 0xFF]) && !dropped(2, [0, 0]), "a hint may be anything")
  }
}
