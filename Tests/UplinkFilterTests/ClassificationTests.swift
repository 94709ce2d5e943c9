import Glibc
import Testing
import UplinkFilter
import Wire

@testable import Tables

/// A golden frame that is Martlet's by one bit.
struct Claimed: Sendable, CustomTestStringConvertible {
  let name: String
  let frame: Frame
  let slot: Int
  let plane: PortClaims.Plane
  let port: UInt16
  var verdict = Verdict.ours
  /// How much of the frame tells whose it is: to the end of the ports, or of the header of an echo.
  let needed: Int

  var testDescription: String { name }

  static let all: [Claimed] = [
    Claimed(name: "UDP", frame: GoldenFrames.udp, slot: externalSlot, plane: .udp, port: 5353, needed: 38),
    Claimed(name: "TCP", frame: GoldenFrames.tcp, slot: externalSlot, plane: .tcp, port: 8080, needed: 38),
    Claimed(
      name: "IP options", frame: GoldenFrames.udpWithOptions, slot: externalSlot, plane: .udp, port: 5353, needed: 78),
    Claimed(
      name: "first fragment", frame: GoldenFrames.firstFragment, slot: externalSlot, plane: .udp, port: 5353, needed: 38
    ),
    Claimed(
      name: "echo reply", frame: GoldenFrames.echoReply, slot: externalSlot, plane: .query, port: 0x1234,
      verdict: .both,
      needed: 42),
    Claimed(
      name: "unreachable, UDP", frame: GoldenFrames.unreachable, slot: externalSlot, plane: .udp, port: 41000,
      needed: 70),
    Claimed(
      name: "exceeded, TCP", frame: GoldenFrames.exceededTCP, slot: externalSlot, plane: .tcp, port: 42000, needed: 70),
    Claimed(
      name: "exceeded, echo", frame: GoldenFrames.exceededEcho, slot: externalSlot, plane: .query, port: 0x5678,
      needed: 70),
    Claimed(name: "UDP over IPv6", frame: GoldenFrames.udp6, slot: externalSlot6, plane: .udp, port: 5353, needed: 58),
    Claimed(name: "TCP over IPv6", frame: GoldenFrames.tcp6, slot: externalSlot6, plane: .tcp, port: 8080, needed: 58),
    Claimed(
      name: "extension headers", frame: GoldenFrames.udp6WithExtensions, slot: externalSlot6, plane: .udp, port: 5353,
      needed: 82),
    Claimed(
      name: "routing header", frame: GoldenFrames.udp6WithExtensions.with(43, at: 54), slot: externalSlot6, plane: .udp,
      port: 5353, needed: 82),
    Claimed(
      name: "first fragment, IPv6", frame: GoldenFrames.firstFragment6, slot: externalSlot6, plane: .udp, port: 5353,
      needed: 66),
    Claimed(
      name: "echo reply, IPv6", frame: GoldenFrames.echoReply6, slot: externalSlot6, plane: .query, port: 0x1234,
      verdict: .both, needed: 62),
    Claimed(
      name: "unreachable, UDP, IPv6", frame: GoldenFrames.unreachable6, slot: externalSlot6, plane: .udp, port: 41000,
      needed: 110),
    Claimed(
      name: "prohibited, TCP, IPv6", frame: GoldenFrames.prohibitedTCP6, slot: externalSlot6, plane: .tcp, port: 42000,
      needed: 110),
    Claimed(
      name: "prohibited, echo, IPv6", frame: GoldenFrames.prohibitedEcho6, slot: externalSlot6, plane: .query,
      port: 0x5678,
      needed: 110),
  ]
}

extension PortClaims {
  /// Sets every bit.
  func setAll() { memset(memory, 0xFF, Self.byteCount) }
}

/// Frames that are the host's whatever is claimed.
private let hostFrames: [Frame] = [
  GoldenFrames.echoRequest, GoldenFrames.arpRequest, GoldenFrames.arpReply, GoldenFrames.neighbourSolicitation,
  GoldenFrames.neighbourAdvertisement,
  // Source quench and redirect; packet too big's neighbours; an echo reply that is quoted.
  GoldenFrames.unreachable.with(4, at: 34), GoldenFrames.unreachable.with(5, at: 34),
  GoldenFrames.unreachable6.with(0, at: 54), GoldenFrames.unreachable6.with(5, at: 54),
  GoldenFrames.exceededEcho.with(0, at: 62), GoldenFrames.prohibitedEcho6.with(129, at: 102),
  // An error that quotes another's packet, one that quotes a later fragment, a protocol without ports.
  GoldenFrames.unreachable.with(77, at: 57), GoldenFrames.unreachable6.with(77, at: 85),
  GoldenFrames.unreachable.with(0, 1, at: 48), GoldenFrames.udp.with(47, at: 23), GoldenFrames.udp6.with(47, at: 20),
  // ICMPv6 in IPv4 and the reverse.
  GoldenFrames.unreachable.with(58, at: 23), GoldenFrames.unreachable6.with(1, at: 20),
  // Another's address; a tag in the frame; an authentication header.
  GoldenFrames.udp.with(9, at: 33), GoldenFrames.udp6.with(9, at: 53), GoldenFrames.udp.with(0x81, 0, at: 12),
  GoldenFrames.udp6.with(51, at: 20),
]

@Suite(.enabled(if: geteuid() == 0, "loads BPF programs, which needs root"))
struct ClassificationTests {
  static let laterFragments = [
    GoldenFrames.middleFragment, GoldenFrames.lastFragment, GoldenFrames.lastFragment6,
  ]

  @Test func allIsTheHostsAtFirst() throws {
    let filter = try UplinkFilter()
    filter.claims.setAll()
    for frame in Claimed.all.map(\.frame) + hostFrames + Self.laterFragments {
      #expect(try filter.verdict(frame) == .host, "\(frame)")
    }
  }

  @Test func addressWithoutClaimsIsTheHosts() throws {
    let filter = try makeFilter()
    for frame in Claimed.all.map(\.frame) + hostFrames { #expect(try filter.verdict(frame) == .host, "\(frame)") }
    for frame in Self.laterFragments { #expect(try filter.verdict(frame) == .both, "\(frame)") }
  }

  @Test(arguments: Claimed.all)
  func oneBitDecides(_ claimed: Claimed) throws {
    let filter = try makeFilter()
    filter.claims.set(slot: claimed.slot, plane: claimed.plane, port: claimed.port)
    #expect(try filter.verdict(claimed.frame) == claimed.verdict)
    #expect(try filter.verdict(claimed.frame, for: .asItStands) == .host)
    filter.claims.setAll()
    #expect(try filter.verdict(claimed.frame) == claimed.verdict)
    filter.claims.clear(slot: claimed.slot, plane: claimed.plane, port: claimed.port)
    #expect(try filter.verdict(claimed.frame) == .host)
  }

  @Test(arguments: hostFrames)
  func isTheHostsWhateverIsClaimed(_ frame: Frame) throws {
    let filter = try makeFilter()
    filter.claims.setAll()
    #expect(try filter.verdict(frame) == .host)
  }

  @Test func errorsOfAllKindsAreTaken() throws {
    let filter = try makeFilter()
    filter.claims.setAll()
    for type: UInt8 in [3, 11, 12] { #expect(try filter.verdict(GoldenFrames.unreachable.with(type, at: 34)) == .ours) }
    for type: UInt8 in 1...4 { #expect(try filter.verdict(GoldenFrames.unreachable6.with(type, at: 54)) == .ours) }
  }

  @Test func errorThatQuotesAPacketOfARoutedSubnetIsTaken() throws {
    let filter = try makeFilter()
    // 192.0.77.1 and 2001:db8:77::1 in place of the quoted source.
    let frames = [GoldenFrames.unreachable.with(77, at: 56), GoldenFrames.unreachable6.with(0, 77, at: 74)]
    for frame in frames { #expect(try filter.verdict(frame) == .host) }
    try filter.addSubnet(#require(IPPrefix("192.0.77.0/24")))
    try filter.addSubnet(#require(IPPrefix("2001:db8:77::/64")))
    #expect(try filter.verdict(frames[0]) == .ours)
  }

  @Test func routedSubnetIsOurs() throws {
    let filter = try UplinkFilter()
    let cases: [(String, Frame, Verdict)] = [
      ("192.0.2.0/24", GoldenFrames.udp, .ours), ("192.0.2.0/24", GoldenFrames.lastFragment, .ours),
      ("192.0.2.1/32", GoldenFrames.echoRequest, .ours), ("192.0.2.128/25", GoldenFrames.udp, .host),
      ("0.0.0.0/0", GoldenFrames.udp, .ours), ("0.0.0.0/0", GoldenFrames.udp6, .host),
      ("2001:db8::/32", GoldenFrames.udp6WithExtensions, .ours), ("2001:db9::/32", GoldenFrames.udp6, .host),
    ]
    for (text, frame, verdict) in cases {
      let prefix = try #require(IPPrefix(text))
      for _ in 0..<2 { try filter.addSubnet(prefix) }
      #expect(try filter.verdict(frame) == verdict, "\(text): \(frame)")
      #expect(try filter.verdict(frame, for: .asItStands) == .host)
      for _ in 0..<2 { try filter.removeSubnet(prefix) }
      #expect(try filter.verdict(frame) == .host)
    }
    try filter.addSubnet(#require(IPPrefix("192.0.2.0/24")))
    try filter.setAddress(external, slot: 0)
    #expect(try filter.verdict(GoldenFrames.udp) == .host, "an external address is not routed")
  }

  @Test func endpointWithAnAddressOfTheLinkLayer() throws {
    let filter = try UplinkFilter()
    let mac = try #require(MACAddress("02:00:00:00:00:01"))
    let groups = [
      GoldenFrames.arpRequest.with(255, 255, 255, 255, 255, 255, at: 0), GoldenFrames.neighbourSolicitation,
    ]
    let answers = [GoldenFrames.arpReply, GoldenFrames.neighbourAdvertisement]
    for _ in 0..<2 { try filter.addEndpoint(mac: mac) }
    for frame in [GoldenFrames.udp, GoldenFrames.udp6, GoldenFrames.lastFragment, GoldenFrames.arpReply.cut(to: 14)] {
      #expect(try filter.verdict(frame, for: .asItStands) == .ours)
      #expect(try filter.verdict(frame.with(9, at: 5), for: .asItStands) == .host)
      #expect(try filter.verdict(frame) == .host)
    }
    for frame in groups + answers { #expect(try filter.verdict(frame) == .both, "\(frame)") }
    for _ in 0..<2 { try filter.removeEndpoint(mac: mac) }
    for frame in groups + answers { #expect(try filter.verdict(frame) == .host, "\(frame)") }
    #expect(try filter.verdict(GoldenFrames.udp, for: .asItStands) == .host)
  }

  @Test func endpointBehindTheUplinksAddress() throws {
    let filter = try UplinkFilter()
    for address in [external, external6] { try filter.addEndpoint(address: address) }
    let own = [
      GoldenFrames.udp, GoldenFrames.udp6, GoldenFrames.echoRequest, GoldenFrames.lastFragment, GoldenFrames.arpRequest,
      GoldenFrames.arpRequest.with(255, 255, 255, 255, 255, 255, at: 0), GoldenFrames.neighbourSolicitation,
      GoldenFrames.neighbourAdvertisement,
    ]
    for frame in own { #expect(try filter.verdict(frame) == .ours, "\(frame)") }
    #expect(try filter.verdict(GoldenFrames.udp, for: .asItStands) == .host)
    // Of the host, or of others.
    #expect(try filter.verdict(GoldenFrames.udp.with(9, at: 33)) == .host)
    #expect(try filter.verdict(GoldenFrames.arpReply) == .both)
    #expect(try filter.verdict(GoldenFrames.neighbourAdvertisement.with(9, at: 53)) == .both)
    #expect(try filter.verdict(GoldenFrames.neighbourSolicitation.with(9, at: 77)) == .both)
    #expect(
      try filter.verdict(GoldenFrames.arpRequest.with(255, 255, 255, 255, 255, 255, at: 0).with(9, at: 41)) == .both)
    for address in [external, external6] { try filter.removeEndpoint(address: address) }
    for frame in own + [GoldenFrames.arpReply] { #expect(try filter.verdict(frame) == .host, "\(frame)") }
  }

  @Test func slotKeepsItsBitsAsLongAsItsAddress() throws {
    let filter = try makeFilter()
    func claim() { filter.claims.set(slot: externalSlot, plane: .udp, port: 5353) }
    claim()
    try filter.setAddress(external, slot: externalSlot)
    #expect(try filter.verdict(GoldenFrames.udp) == .ours)
    let error = #expect(throws: (any Error).self) { try filter.setAddress(external, slot: 4) }
    #expect("\(error!)".contains("192.0.2.1"))
    try filter.setAddress(nil, slot: externalSlot)
    #expect(!filter.claims.isSet(slot: externalSlot, plane: .udp, port: 5353))
    claim()
    #expect(try filter.verdict(GoldenFrames.udp) == .host)
    try filter.setAddress(IPAddress("192.0.2.9"), slot: externalSlot)
    claim()
    #expect(try filter.verdict(GoldenFrames.udp) == .host)
    #expect(try filter.verdict(GoldenFrames.udp.with(9, at: 33)) == .ours)
    try filter.setAddress(external, slot: externalSlot)
    #expect(!filter.claims.isSet(slot: externalSlot, plane: .udp, port: 5353))
    #expect(try filter.verdict(GoldenFrames.udp.with(9, at: 33)) == .host)
  }

  @Test func filtersDoNotShareAnything() throws {
    let one = try makeFilter()
    let other = try makeFilter()
    one.claims.set(slot: externalSlot, plane: .udp, port: 5353)
    #expect(try one.verdict(GoldenFrames.udp) == .ours)
    #expect(try other.verdict(GoldenFrames.udp) == .host)
  }
}
