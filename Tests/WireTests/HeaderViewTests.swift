import Testing
import Wire

/// Each field of each header, read from frames of the Linux kernel; what they should be is what tcpdump says of them.
@Suite struct HeaderViewTests {
  @Test func ethernet() throws {
    let bytes = GoldenFrames.udp4
    let view = EthernetView(bytes.span.bytes)!
    #expect(view.destination == MACAddress("02:00:00:00:00:0b"))
    #expect(view.source == MACAddress("02:00:00:00:00:1a"))
    #expect(view.etherType == .ipv4)
    let payload = EthernetPayload(view)!
    #expect(payload.etherType == .ipv4 && payload.offset == 14 && payload.bytes.byteCount == 34)
    #expect(payload.outerTag == nil && payload.innerTag == nil)
  }

  @Test func oneTag() {
    let bytes = GoldenFrames.vlan
    let view = EthernetView(bytes.span.bytes)!
    #expect(view.etherType == .vlan)
    let payload = EthernetPayload(view)!
    #expect(payload.etherType == .ipv4 && payload.offset == 18 && payload.innerTag == nil)
    let tag = payload.outerTag!
    #expect(tag.type == .vlan && tag.identifier == 100 && tag.priority == 5 && tag.isDropEligible)
    #expect(isPresent(IPv4View(payload.bytes)) == true)
  }

  @Test func twoTags() {
    let bytes = GoldenFrames.doubleVLAN
    let payload = EthernetPayload(EthernetView(bytes.span.bytes)!)!
    #expect(payload.etherType == .ipv4 && payload.offset == 22)
    let (outer, inner) = (payload.outerTag!, payload.innerTag!)
    #expect(outer.type == .serviceVLAN && outer.identifier == 200 && outer.priority == 0 && !outer.isDropEligible)
    #expect(inner.type == .vlan && inner.identifier == 300 && inner.priority == 3 && inner.isDropEligible)
    #expect(isPresent(IPv4View(payload.bytes)) == true)
  }

  @Test func thirdTagIsPayload() {
    let bytes = GoldenFrames.doubleVLAN[..<18] + [0x81, 0x00] + GoldenFrames.doubleVLAN[16...]
    let payload = EthernetPayload(EthernetView(Array(bytes).span.bytes)!)!
    #expect(payload.etherType == .vlan && payload.offset == 22)
  }

  @Test func arp() {
    let bytes = GoldenFrames.arpReply
    let view = ARPView(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(view.operation == .reply)
    #expect(view.senderMAC == MACAddress("02:00:00:00:00:0b") && view.senderAddress == IPv4Address("10.0.0.2"))
    #expect(view.targetMAC == MACAddress("02:00:00:00:00:1a") && view.targetAddress == IPv4Address("10.0.0.1"))
  }

  @Test(arguments: [(14, 0x06), (16, 0x86), (18, 0x08), (19, 0x10)] as [(Int, UInt8)])
  func arpForOtherAddressesIsRefused(offset: Int, value: UInt8) {
    var bytes = GoldenFrames.arpReply
    bytes[offset] = value
    #expect(isPresent(ARPView(bytes.span.bytes.extracting(droppingFirst: 14))) == false)
  }

  @Test func udpOverIPv4() {
    // Ethernet padding behind the packet is no part of it.
    let bytes = GoldenFrames.udp4 + [0xAA, 0xAA]
    let packet = IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(packet.headerLength == 20 && packet.totalLength == 34 && packet.trafficClass == 0)
    #expect(packet.identification == 45023 && packet.timeToLive == 64 && packet.protocol == .udp)
    #expect(packet.dontFragment && !packet.moreFragments && packet.payloadPosition == 0 && !packet.isFragment)
    #expect(packet.checksum == 0x76E9 && packet.isChecksumValid)
    #expect(packet.source == IPv4Address("10.0.0.1") && packet.destination == IPv4Address("10.0.0.2"))
    let datagram = UDPView(packet.payload)!
    #expect(datagram.sourcePort == 43389 && datagram.destinationPort == 5000 && datagram.checksum == 0xEAED)
    #expect(array(datagram.payload) == Array("hello\n".utf8))
  }

  @Test func ipv4Fragments() {
    var bytes = GoldenFrames.udp4
    (bytes[20], bytes[21]) = (0x20, 0xB9)  // more fragments, 185 * 8
    let packet = IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(!packet.dontFragment && packet.moreFragments && packet.payloadPosition == 1480 && packet.isFragment)
    #expect(packet.isChecksumValid == false)
  }

  @Test(
    arguments: [
      (14, 0x65, "version 6"), (14, 0x44, "header of 16 bytes"), (14, 0x4F, "options beyond the packet"),
      (17, 0x23, "longer than the frame"), (17, 0x13, "shorter than its header"),
    ] as [(Int, UInt8, String)])
  func malformedIPv4IsRefused(offset: Int, value: UInt8, why: String) {
    var bytes = GoldenFrames.udp4
    bytes[offset] = value
    #expect(isPresent(IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))) == false, "\(why)")
  }

  @Test func tcpOverIPv4() {
    let bytes = GoldenFrames.tcp4
    let packet = IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(packet.protocol == .tcp)
    let segment = TCPView(packet.payload)!
    #expect(segment.sourcePort == 52714 && segment.destinationPort == 81)
    #expect(segment.sequenceNumber == 312_365_649 && segment.acknowledgmentNumber == 0)
    #expect(segment.flags == .syn && segment.window == 64240 && segment.checksum == 0x0EBA)
    #expect(segment.headerLength == 40 && segment.payload.byteCount == 0)
    // mss 1460
    #expect(Array(array(segment.options).prefix(4)) == [2, 4, 0x05, 0xB4])
  }

  @Test func tcpReset() {
    let bytes = GoldenFrames.tcp4Reset
    let segment = TCPView(IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))!.payload)!
    #expect(segment.flags == [.rst, .ack] && segment.acknowledgmentNumber == 312_365_650)
    #expect(segment.options.byteCount == 0)
  }

  @Test(arguments: [0x40, 0xB0] as [UInt8])
  func tcpWithBadDataOffsetIsRefused(value: UInt8) {
    var bytes = GoldenFrames.tcp4
    bytes[46] = value
    #expect(isPresent(TCPView(IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))!.payload)) == false)
  }

  @Test(arguments: [0x07, 0x0F] as [UInt8])
  func udpWithBadLengthIsRefused(value: UInt8) {
    var bytes = GoldenFrames.udp4
    bytes[39] = value
    #expect(isPresent(UDPView(IPv4View(bytes.span.bytes.extracting(droppingFirst: 14))!.payload)) == false)
  }

  @Test func tcpOverIPv6() {
    let bytes = GoldenFrames.tcp6
    let packet = IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(packet.flowLabel == 0x47A6D && packet.trafficClass == 0 && packet.nextHeader == .tcp)
    #expect(packet.hopLimit == 64)
    #expect(packet.source == IPv6Address("fd00::1") && packet.destination == IPv6Address("fd00::2"))
    let upper = IPv6UpperLayer(packet)!
    #expect(upper.protocol == .tcp && upper.offset == 40 && !upper.isFragment && upper.fragmentPosition == 0)
    let segment = TCPView(upper.bytes)!
    #expect(segment.sourcePort == 43714 && segment.destinationPort == 82 && segment.sequenceNumber == 2_825_007_752)
  }

  @Test func ipv6Options() {
    let bytes = GoldenFrames.udp6WithOptions
    let packet = IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(packet.nextHeader == .hopByHopOptions)
    let upper = IPv6UpperLayer(packet)!
    #expect(upper.protocol == .udp && upper.offset == 56)
    let datagram = UDPView(upper.bytes)!
    #expect(datagram.sourcePort == 56022 && datagram.destinationPort == 5003)
    #expect(array(datagram.payload) == Array("hey".utf8))
  }

  @Test func ipv6Fragment() {
    let bytes = GoldenFrames.fragment6
    let upper = IPv6UpperLayer(IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!)!
    #expect(upper.protocol == .udp && upper.isFragment && upper.fragmentPosition == 1448)
    #expect(array(upper.bytes) == [UInt8](repeating: 0x7A, count: 60))
  }

  /// The data of a fragment is no header, even where the next header field says so.
  @Test func dataOfAFragmentIsNotWalked() {
    var bytes = GoldenFrames.fragment6
    bytes[54] = IPProtocol.destinationOptions.rawValue
    let upper = IPv6UpperLayer(IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!)!
    #expect(upper.protocol == .destinationOptions && upper.offset == 48)
  }

  /// RFC 4302, 2.2: the length counts words of four bytes, less two.
  @Test func authenticationHeader() {
    let header: [UInt8] = [17, 4, 0, 0] + [UInt8](repeating: 9, count: 20)
    let bytes = ipv6(next: .authentication, payload: header + [1, 2, 3])
    let upper = IPv6UpperLayer(IPv6View(bytes.span.bytes)!)!
    #expect(upper.protocol == .udp && upper.offset == 64 && array(upper.bytes) == [1, 2, 3])
  }

  @Test func endlessExtensionHeadersAreRefused() {
    let options: [UInt8] = [60, 0, 1, 4, 0, 0, 0, 0]
    let most = IPv6UpperLayer.extensionHeaderCountMax
    let last: [UInt8] = [59, 0, 1, 4, 0, 0, 0, 0]
    let atLimit = ipv6(
      next: .destinationOptions, payload: Array(repeatElement(options, count: most - 1).joined()) + last)
    let upper = IPv6UpperLayer(IPv6View(atLimit.span.bytes)!)!
    #expect(upper.protocol == .noNextHeader)
    let beyond = ipv6(next: .destinationOptions, payload: Array(repeatElement(options, count: most).joined()) + last)
    #expect(isPresent(IPv6UpperLayer(IPv6View(beyond.span.bytes)!)) == false)
  }

  @Test func neighbourSolicitation() {
    let bytes = GoldenFrames.neighbourSolicitation
    let packet = IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!
    #expect(packet.destination == IPv6Address("fd00::2")!.solicitedNode)
    #expect(EthernetView(bytes.span.bytes)!.destination == packet.destination.multicastMAC)
    let view = NeighbourDiscoveryView(ICMPv6View(packet.payload)!)!
    #expect(!view.isAdvertisement && view.target == IPv6Address("fd00::2"))
    #expect(view.linkLayerAddress == MACAddress("02:00:00:00:00:1a"))
  }

  @Test func neighbourAdvertisement() {
    let bytes = GoldenFrames.neighbourAdvertisement
    let message = ICMPv6View(IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!.payload)!
    #expect(message.type == .neighbourAdvertisement && message.code == 0 && message.checksum == 0x1C91)
    let view = NeighbourDiscoveryView(message)!
    #expect(view.isAdvertisement && view.target == IPv6Address("fd00::2"))
    #expect(!view.isRouter && view.isSolicited && view.isOverride)
    #expect(view.linkLayerAddress == MACAddress("02:00:00:00:00:0b"))
  }

  /// RFC 4861, 7.1: an option of length 0 makes the message void; so does one that ends behind the message.
  @Test(arguments: [0, 2] as [UInt8])
  func neighbourMessageWithBadOptionIsRefused(length: UInt8) {
    var bytes = GoldenFrames.neighbourAdvertisement
    bytes[79] = length
    let message = ICMPv6View(IPv6View(bytes.span.bytes.extracting(droppingFirst: 14))!.payload)!
    #expect(isPresent(NeighbourDiscoveryView(message)) == false)
  }

  private func ipv6(next: IPProtocol, payload: [UInt8]) -> [UInt8] {
    [0x60, 0, 0, 0, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), next.rawValue, 64]
      + [UInt8](repeating: 1, count: 32) + payload
  }

  /// `#expect` cannot hold a value that must not escape.
  private func isPresent<View: ~Escapable>(_ view: borrowing View?) -> Bool { view != nil }

  private func array(_ span: RawSpan) -> [UInt8] {
    (0..<span.byteCount).map { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
  }
}
