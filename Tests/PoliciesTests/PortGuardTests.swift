import Datapath
import Policies
import Testing
import Wire

@Suite("Port guard")
struct PortGuardTests {
  /// The gateway at 0; `a` is the station of the golden frames, at 1; `b` at 2; `lan` is an interface, at 3.
  static func bed(_ parameters: [String: String] = [:]) throws -> PolicyBed {
    let ports: [PolicyPort] = [
      PolicyPort(index: 0, kind: .gateway, names: ["gateway"], mac: MACAddress("02:00:00:00:00:01")!),
      PolicyPort(
        index: 1, kind: .endpoint, names: ["a"], mac: Golden.station,
        addresses: [IPAddress("10.9.0.1")!, IPAddress("2001:db8::a")!]),
      PolicyPort(
        index: 2, kind: .endpoint, names: ["b"], mac: Golden.other,
        addresses: [IPAddress("10.9.0.2")!, IPAddress("2001:db8::b")!]),
      PolicyPort(index: 4, kind: .endpoint, names: ["c", "gateway"], mac: MACAddress("02:00:00:00:00:0c")!),
      PolicyPort(index: 3, kind: .interface, names: ["lan"]),
    ]
    return try PolicyBed("port-guard", ports, parameters)
  }

  private static let honest: [(String, [UInt8])] = [
    ("IPv4", Golden.udpOwn), ("IPv6", Golden.udp6Own), ("ARP", Golden.arpOwn), ("an ARP probe", Golden.arpProbe),
    ("a probe for a link-local address", Golden.duplicateAddressProbe), ("a solicitation", Golden.solicitation),
    ("an advertisement", Golden.advertisementOwn), ("a router solicitation", Golden.routerSolicitation),
    ("a DHCP discovery", Golden.dhcpDiscover), ("a DHCPv6 solicitation", Golden.dhcpv6Solicit),
    ("IGMP", Golden.igmpv3Join), ("MLD", Golden.mldv2Join), ("MLD before there is an address", Golden.mldv2Unspecified),
    ("no IP at all", frame(to: broadcast, from: Golden.station.bits)),
    ("a tag", Golden.customerTagged), ("two tags", Golden.serviceTagged),
  ]

  @Test("what an endpoint says of itself passes", arguments: honest)
  func passes(name: String, bytes: [UInt8]) throws {
    let bed = try Self.bed()
    #expect(!bed.send(bytes, from: 1).isEmpty, "\(bed.ask(bytes, from: 1).steps)")
    #expect(bed.drops(1, .portGuard) == 0 && bed.isConserved)
  }

  private static let spoofed: [(String, [UInt8], String)] = [
    ("another's MAC address", frame(to: broadcast, from: Golden.other.bits), "mac"),
    ("another's IPv4 address", Golden.udpOfAnother, "ip"), ("another's IPv6 address", Golden.udp6OfAnother, "ip"),
    ("behind a tag", Golden.taggedOfAnother, "ip"), ("0.0.0.0", Golden.udpUnspecified, "ip"),
    ("the gateway's address in ARP", Golden.arpOfAnother, "arp"), ("its own at another MAC", Golden.arpOtherMAC, "arp"),
    ("an advertisement of another's", Golden.advertisementOfAnother, "nd"),
    ("an advertisement of its own at another MAC", Golden.advertisementOtherMAC, "nd"),
    ("two link-layer addresses, of which the first is another's", Golden.advertisementTwoMACs, "nd"),
    ("a probe for another's address", Golden.probeForAnother, "nd"),
    ("a DHCP offer", Golden.dhcpOffer, "dhcp"), ("a fragment of one", Golden.dhcpOfferFragment, "dhcp"),
    ("a discovery for another", Golden.dhcpDiscoverForAnother, "dhcp"),
    ("a DHCPv6 advertisement", Golden.dhcpv6Advertise, "dhcp"),
    ("a router advertisement", Golden.routerAdvertisement, "router"), ("a redirect", Golden.redirect, "router"),
    ("ICMPv6 that begins in a later fragment", Golden.fragmentedAdvertisement, "malformed"),
    ("three tags", Golden.threeTags, "malformed"), ("half an ARP packet", Array(Golden.arpOwn.prefix(30)), "malformed"),
  ]

  @Test("what it says of others is dropped, counted by what it was, and explained", arguments: spoofed)
  func stopped(name: String, bytes: [UInt8], counter: String) throws {
    let bed = try Self.bed()
    let asked = bed.ask(bytes, from: 1)
    #expect(asked.verdict == .drop(.portGuard) && asked.steps.count == 1 && bed.counter("\(counter)_stopped") == 0)
    #expect(bed.send(bytes, from: 1) == [])
    #expect(bed.drops(1, .portGuard) == 1 && bed.counter("\(counter)_stopped") == 1)
    #expect(bed.engine.withTable(0) { $0.count } == 0, "nothing is learned from it")
    #expect(bed.isConserved)
  }

  @Test(
    "a trusted port may say anything; an interface port may not answer for servers and routers, and may have any address"
  )
  func trust() throws {
    let bed = try Self.bed()
    for (_, bytes, _) in Self.spoofed { _ = bed.send(bytes, from: 0) }
    #expect(bed.drops(0, .portGuard) == 0)
    for bytes in [Golden.udpOfAnother, Golden.arpOfAnother, Golden.probeForAnother] { _ = bed.send(bytes, from: 3) }
    #expect(bed.drops(3, .portGuard) == 0)
    #expect(bed.send(Golden.dhcpOffer, from: 4) == [], "an endpoint's alias makes no gateway of it")
    for bytes in [Golden.dhcpOffer, Golden.dhcpv6Advertise, Golden.routerAdvertisement, Golden.dhcpOfferFragment] {
      #expect(bed.send(bytes, from: 3) == [])
    }
    let trusting = try Self.bed(["trusted": "lan,a"])
    _ = trusting.process([(3, Golden.dhcpOffer), (1, Golden.arpOfAnother)])
    #expect(trusting.drops(3, .portGuard) == 0 && trusting.drops(1, .portGuard) == 0)
    #expect(trusting.send(Golden.dhcpOffer, from: 0) == [], "the gateway only unless others are named")
  }

  @Test(
    "addresses can be allowed beside those that are known, and link-local ones that are not made of the MAC address")
  func allowed() throws {
    let bed = try Self.bed(["allow.a": "10.9.0.3,2001:db8::c"])
    #expect(!bed.send(Golden.udpOfAnother, from: 1).isEmpty && !bed.send(Golden.udp6OfAnother, from: 1).isEmpty)
    var bytes = Golden.udp6Own
    bytes.replaceSubrange(22..<38, with: IPAddress("fe80::1234")!.bytes)
    #expect(bed.send(bytes, from: 1) == [])
    #expect(try !Self.bed(["link-local": "any"]).send(bytes, from: 1).isEmpty)
    bytes.replaceSubrange(22..<38, with: IPAddress("fe80::ff:fe00:a")!.bytes)
    #expect(!bed.send(bytes, from: 1).isEmpty)
  }
}
