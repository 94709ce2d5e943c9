import Tables
import Testing
import Wire

@testable import Datapath

@Suite("Translation")
struct TranslationTests {
  static let remote = RouterBed.remote
  static let external = RouterBed.external

  @Test("UDP goes out with an external address and port, and what answers comes back in")
  func udp() throws {
    let bed = RouterBed()
    let out = try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53))))
    #expect(out.source == Self.external && out.destination == Self.remote && out.destinationPort == 53)
    #expect(RouterBed.ports.contains(UInt16(out.sourcePort)) && out.sourcePort & 1 == 1)
    #expect(out.ttl == 63 && out.isSummedRight && out.sourceMAC == RouterBed.uplinkMAC)
    #expect(out.destinationMAC == RouterBed.routerMAC && out.payload.suffix(5) == Array("hello".utf8))
    #expect(bed.claims.isSet(slot: 0, plane: .udp, port: UInt16(out.sourcePort)))
    let back = try #require(
      bed.into(0, .udp((Self.remote, 53), (Self.external, out.sourcePort), mac: outside)))
    #expect(back.source == Self.remote && back.destination == "10.1.0.2" && back.destinationPort == 5001)
    #expect(back.ttl == 63 && back.isSummedRight && back.destinationMAC == host(1))
    #expect(back.sourceMAC == RouterBed.gatewayMAC)
  }

  @Test("a port that is free and in range is kept; parity is kept where it is not")
  func preservation() throws {
    let bed = RouterBed()
    let kept = try #require(bed.out(.udp(("10.1.0.2", 61_500), (Self.remote, 53))))
    #expect(kept.sourcePort == 61_500)
    let other = try #require(
      bed.out(.udp(("10.1.0.3", 61_500), (Self.remote, 53), mac: (RouterBed.gatewayMAC, host(2))), at: 1))
    #expect(other.sourcePort != 61_500 && other.sourcePort & 1 == 0)
  }

  @Test("a mapping is the same whoever the far end is; with the other setting it is not")
  func mapping() throws {
    let bed = RouterBed()
    func port(_ address: String) throws -> Int {
      try #require(bed.out(.udp(("10.1.0.2", 5001), (address, 53)))).sourcePort
    }
    let first = try port(Self.remote)
    #expect(try port("203.0.113.6") == first)
    bed.router.pointee.flushSessions()
    #expect(!bed.claims.isSet(slot: 0, plane: .udp, port: UInt16(first)))
    bed.router.pointee.mapsEndpointIndependently = false
    let ports = try ["203.0.113.5", "203.0.113.6", "203.0.113.7"].map { try port($0) }
    #expect(Set(ports).count == 3)
    #expect(try port(Self.remote) == ports[0])
  }

  @Test(
    "who is let in by a mapping",
    arguments: [MappingFilter.endpointIndependent, .addressDependent, .addressAndPortDependent])
  func filtering(filter: MappingFilter) throws {
    let bed = RouterBed()
    bed.router.pointee.filter = filter
    let port = try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53)))).sourcePort
    let samePort = bed.into(0, .udp((Self.remote, 53), (Self.external, port), mac: outside))
    let otherPort = bed.into(0, .udp((Self.remote, 54), (Self.external, port), mac: outside))
    let other = bed.into(0, .udp(("203.0.113.6", 53), (Self.external, port), mac: outside))
    #expect(samePort != nil)
    #expect((otherPort != nil) == (filter != .addressAndPortDependent))
    #expect((other != nil) == (filter == .endpointIndependent))
    let refused: UInt64 = filter == .endpointIndependent ? 0 : filter == .addressDependent ? 1 : 2
    #expect(bed.drops(.filtered, at: RouterBed.uplinkPort) == refused)
  }

  @Test("a UDP checksum of zero stays, and one that comes to zero is sent as ones")
  func zeroChecksum() throws {
    let bed = RouterBed()
    let out = try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53), checksum: false)))
    #expect(out.word(out.transport + 6) == 0)
    // The payload's word is varied until the sum of the packet that comes out is zero, which is not sent.
    for word in 0...0xFFFF {
      let payload = [UInt8(word >> 8), UInt8(word & 0xFF)]
      let sent = try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53), payload: payload)))
      #expect(sent.word(sent.transport + 6) != 0)
      if sent.word(sent.transport + 6) == 0xFFFF {
        #expect(sent.isSummedRight)
        return
      }
    }
    Issue.record("no payload gives a checksum of zero")
  }

  @Test("a partial checksum stays partial: the sum of the pseudo-header that is sent")
  func partialChecksum() throws {
    let bed = RouterBed()
    var packet = IPPacket.udp(("10.1.0.2", 5001), (Self.remote, 53))
    let pseudo: [UInt8] = IPAddress("10.1.0.2")!.bytes + IPAddress(Self.remote)!.bytes + [0, 17, 0, 13]
    let sum = IPPacket.sum(pseudo)
    packet.bytes.replaceSubrange(40..<42, with: [UInt8(sum >> 8), UInt8(sum & 0xFF)])
    let header = VirtioNetHeader(flags: .needsChecksum, checksumStart: 34, checksumOffset: 6)
    let sent = bed.send(packet, at: 0, header: header)
    let out = IPPacket(bytes: try #require(sent.first).bytes)
    let expected = IPAddress(Self.external)!.bytes + IPAddress(Self.remote)!.bytes + [0, 17, 0, 13]
    #expect(out.word(out.transport + 6) == IPPacket.sum(expected))
    let lie = VirtioNetHeader(flags: .needsChecksum, checksumStart: 30, checksumOffset: 6)
    #expect(bed.send(packet, at: 0, header: lie).isEmpty && bed.drops(.malformedPacket, at: 0) == 1)
  }

  @Test("echo requests go out with an identifier of our own, and replies come back")
  func echo() throws {
    let bed = RouterBed()
    let out = try #require(bed.out(.icmp("10.1.0.2", Self.remote, type: 8, word: 0x1234_0001)))
    let second = try #require(
      bed.out(.icmp("10.1.0.3", Self.remote, type: 8, word: 0x1234_0001, mac: (RouterBed.gatewayMAC, host(2))), at: 1))
    #expect(out.isSummedRight && second.isSummedRight && out.source == Self.external)
    #expect(out.word(out.transport + 4) == 0x1234 && second.word(second.transport + 4) != 0x1234)
    let id = UInt32(second.word(second.transport + 4)) << 16 | 1
    let back = try #require(bed.into(1, .icmp(Self.remote, Self.external, type: 0, word: id, mac: outside)))
    #expect(back.destination == "10.1.0.3" && back.word(back.transport + 4) == 0x1234 && back.isSummedRight)
    #expect(bed.into(1, .icmp(Self.remote, Self.external, type: 0, word: 0x7777_0001, mac: outside)) == nil)
  }

  @Test("a session ends when it was idle for its time, and its mapping with it")
  func expiry() throws {
    let bed = RouterBed()
    let port = UInt16(try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53)))).sourcePort)
    bed.pass(seconds: 299)
    #expect(bed.router.pointee.sessionCount == 1)
    bed.pass(seconds: 1)
    #expect(bed.router.pointee.sessionCount == 0 && !bed.claims.isSet(slot: 0, plane: .udp, port: port))
    #expect(bed.into(0, .udp((Self.remote, 53), (Self.external, Int(port)), mac: outside)) == nil)
    #expect(bed.drops(.noSession, at: RouterBed.uplinkPort) == 1)
  }

  @Test("ports that run out are refused, counted, and come back")
  func exhaustion() throws {
    let bed = RouterBed(sessions: 5000)
    for number in 0..<1000 {
      #expect(bed.out(.udp(("10.1.0.2", 1024 + number), (Self.remote, 53))) != nil)
    }
    let sent = bed.send(.udp(("10.1.0.2", 4000), (Self.remote, 53)), at: 0)
    #expect(bed.drops(.portsExhausted, at: 0) == 1)
    // Told by ICMP, to the sender.
    #expect(sent.count == 1 && sent[0].port == 0 && IPPacket(bytes: sent[0].bytes).number == 1)
    bed.pass(seconds: 300)
    #expect(bed.out(.udp(("10.1.0.2", 4000), (Self.remote, 53))) != nil)
  }

  @Test("who has taken all ports gives one up for another endpoint, of those that were not answered")
  func portFairness() throws {
    let bed = RouterBed(sessions: 5000)
    for number in 0..<1000 { #expect(bed.out(.udp(("10.1.0.2", 1024 + number), (Self.remote, 53))) != nil) }
    let mac = (to: RouterBed.gatewayMAC, from: host(2))
    #expect(bed.out(.udp(("10.1.0.3", 4000), (Self.remote, 53), mac: mac), at: 1) != nil)
    #expect(bed.out(.udp(("10.1.0.2", 4000), (Self.remote, 53))) == nil)
    #expect(bed.router.pointee.sessionCount == 1000)
  }

  @Test("addresses that are only seen as sources are few at one port")
  func seenSources() {
    let bed = RouterBed()
    for number in 10..<200 { _ = bed.send(.udp(("10.1.0.\(number)", 4000), (Self.remote, 53)), at: 0) }
    #expect(bed.router.pointee.sessionCount == Int(HostTable.seenMax))
    #expect(bed.drops(.spoofedSource, at: 0) == 190 - UInt64(HostTable.seenMax))
  }

  @Test("a flood by one endpoint ends sessions of its own, not of others")
  func fairness() throws {
    let bed = RouterBed(sessions: 100)
    let other = try #require(
      bed.out(.udp(("10.1.0.3", 61_001), (Self.remote, 53), mac: (RouterBed.gatewayMAC, host(2))), at: 1))
    for number in 0..<500 { _ = bed.out(.udp(("10.1.0.2", 61_002), (Self.remote, 1000 + number))) }
    #expect(bed.router.pointee.sessionCount == 100)
    #expect(bed.into(1, .udp((Self.remote, 53), (Self.external, other.sourcePort), mac: outside)) != nil)
  }

  @Test("IPv6 is routed as it is, and let in only as an answer")
  func routedIPv6() throws {
    let bed = RouterBed()
    let far = "2001:db8:9::1"
    let out = try #require(bed.out(.udp(("fd01::2", 5001), (far, 53))))
    #expect(out.source == "fd01::2" && out.sourcePort == 5001 && out.ttl == 63 && out.isSummedRight)
    #expect(bed.into(0, .udp((far, 53), ("fd01::2", 5001), mac: outside)) != nil)
    #expect(bed.into(0, .udp((far, 54), ("fd01::2", 5001), mac: outside)) == nil)
    #expect(bed.drops(.prohibited, at: RouterBed.uplinkPort) == 1)
  }

  @Test("IPv6 is translated where it is asked for")
  func translatedIPv6() throws {
    let bed = RouterBed(network: RouterBed.gateway(translatesIPv6: true))
    let far = "2001:db8:9::1"
    let out = try #require(bed.out(.udp(("fd01::2", 5001), (far, 53))))
    #expect(out.source == RouterBed.external6 && out.isSummedRight)
    let back = try #require(bed.into(0, .udp((far, 53), (RouterBed.external6, out.sourcePort), mac: outside)))
    #expect(back.destination == "fd01::2" && back.destinationPort == 5001 && back.isSummedRight)
    let echo = try #require(bed.out(.icmp("fd01::2", far, type: 128, word: 0x1234_0001)))
    #expect(echo.source == RouterBed.external6 && echo.isSummedRight)
  }

  @Test("an IPv6 prefix is translated to another of its length, and the checksum stays as it is")
  func prefixTranslation() throws {
    var options = RouterBed.gateway()
    options.prefixTranslation = PrefixTranslation(
      inside: IPPrefix("fd01::/64")!, outside: IPPrefix("2001:db8:77::/64")!)
    let bed = RouterBed(network: options)
    let far = "2001:db8:9::1"
    let sent = IPPacket.udp(("fd01::2", 5001), (far, 53))
    let out = try #require(bed.out(sent))
    #expect(out.source.hasPrefix("2001:db8:77:") && out.sourcePort == 5001 && out.isSummedRight)
    #expect(out.word(out.transport + 6) == sent.word(sent.transport + 6))
    let back = try #require(bed.into(0, .udp((far, 53), (out.source, 5001), mac: outside)))
    #expect(back.destination == "fd01::2" && back.isSummedRight)
    #expect(bed.into(0, .udp((far, 54), (out.source, 5001), mac: outside)) == nil)
  }
}
