import Testing
import Wire

@Suite struct AddressAnnouncementTests {
  private let mac = MACAddress("02:00:00:00:00:0a")!

  @Test func gratuitousARPIsTheKernels() {
    #expect(AddressAnnouncement.frame(for: IPAddress("10.0.0.1")!, at: mac) == GoldenFrames.arpAnnouncement)
  }

  @Test func gratuitousReplyNamesTheSenderAsTarget() {
    let frame = AddressAnnouncement.gratuitousARP(for: IPv4Address("10.0.0.1")!, at: mac, operation: .reply)
    let view = ARPView(frame.span.bytes.extracting(droppingFirst: 14))!
    #expect(view.operation == .reply)
    #expect(view.senderMAC == mac && view.targetMAC == mac)
    #expect(view.senderAddress == view.targetAddress)
    #expect(EthernetView(frame.span.bytes)!.destination == .broadcast)
  }

  @Test func neighbourAdvertisementIsTheKernels() {
    #expect(AddressAnnouncement.frame(for: IPAddress("fd00::1")!, at: mac) == GoldenFrames.neighbourAnnouncement)
  }

  @Test func routerSaysSo() {
    let frame = AddressAnnouncement.neighbourAdvertisement(for: IPv6Address("fd00::1")!, at: mac, isRouter: true)
    let packet = IPv6View(frame.span.bytes.extracting(droppingFirst: 14))!
    let view = NeighbourDiscoveryView(ICMPv6View(packet.payload)!)!
    #expect(view.isRouter && view.isOverride && !view.isSolicited)
    var checksum = InternetChecksum(
      source: packet.source, destination: packet.destination, protocol: .icmpv6, length: packet.payload.byteCount)
    checksum.add(packet.payload)
    #expect(checksum.value == 0)
  }
}
