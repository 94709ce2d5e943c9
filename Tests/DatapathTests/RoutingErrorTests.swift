import Tables
import Testing
import Wire

@testable import Datapath

@Suite("ICMP errors, and fragments, through the router")
struct RoutingErrorTests {
  static let remote = RouterBed.remote
  static let external = RouterBed.external

  /// The quote of a packet: its IP header and so many bytes more.
  private func quote(_ packet: IPPacket, _ length: Int = 8) -> [UInt8] {
    Array(packet.bytes[14..<min(packet.bytes.count, packet.transport + length)])
  }

  @Test("an error from outside is about what the endpoint sent", arguments: [8, 100])
  func inward(length: Int) throws {
    let bed = RouterBed()
    let out = try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53))))
    let error = IPPacket.icmp(
      "198.51.100.9", Self.external, type: 3, code: 3, payload: quote(out, length), mac: outside)
    let inward = try #require(bed.into(0, error))
    #expect(inward.source == "198.51.100.9" && inward.destination == "10.1.0.2" && inward.isSummedRight)
    #expect(inward.quoted.source == "10.1.0.2" && inward.quoted.sourcePort == 5001)
    #expect(inward.quoted.destination == Self.remote && inward.quoted.destinationPort == 53)
    #expect(IPPacket.sum(Array(inward.quoted.bytes[14..<34])) == 0xFFFF)
    if length == 100 { #expect(inward.quoted.isSummedRight) }
  }

  @Test("an error from inside is about what came in")
  func outward() throws {
    let bed = RouterBed()
    #expect(bed.publish(8080...8080, 17, to: "10.1.0.2", 80))
    let came = try #require(bed.into(0, .udp((Self.remote, 4000), (Self.external, 8080), mac: outside)))
    let out = try #require(bed.out(.icmp("10.1.0.2", Self.remote, type: 3, code: 3, payload: quote(came, 100))))
    #expect(out.source == Self.external && out.isSummedRight && out.quoted.isSummedRight)
    #expect(out.quoted.destination == Self.external && out.quoted.destinationPort == 8080)
  }

  @Test("errors that are cut short, damaged, or about nothing of ours are dropped, and end no session")
  func badErrors() throws {
    let bed = RouterBed()
    let out = try #require(bed.out(.udp(("10.1.0.2", 5001), (Self.remote, 53))))
    for length in 0..<28 {
      let payload = Array(quote(out, 8).prefix(length))
      #expect(bed.into(0, .icmp(Self.remote, Self.external, type: 3, payload: payload, mac: outside)) == nil)
    }
    var damaged = IPPacket.icmp(Self.remote, Self.external, type: 3, payload: quote(out), mac: outside)
    damaged.bytes[50] ^= 1
    #expect(bed.into(0, damaged) == nil)
    let other = IPPacket.udp((Self.external, 61_999), (Self.remote, 53))
    #expect(bed.into(0, .icmp(Self.remote, Self.external, type: 3, payload: quote(other), mac: outside)) == nil)
    #expect(bed.router.pointee.sessionCount == 1)
  }

  @Test("a packet at the end of its time to live is answered by the gateway")
  func timeExceeded() {
    let bed = RouterBed()
    for (source, destination, gateway, type) in [
      ("10.1.0.2", Self.remote, "10.1.0.1", UInt8(11)), ("fd01::2", "2001:db8:9::1", "fd01::1", 3),
    ] {
      let packet = IPPacket.udp((source, 33_434), (destination, 33_434), ttl: 1)
      let sent = bed.send(packet, at: 0)
      #expect(sent.count == 1 && sent[0].port == 0)
      let answer = IPPacket(bytes: sent[0].bytes)
      #expect(answer.source == gateway && answer.destination == source && answer.isSummedRight)
      #expect(answer.payload[0] == type && Array(answer.quoted.bytes[14...]) == Array(packet.bytes[14...]))
    }
    #expect(bed.drops(.timeToLiveExceeded, at: 0) == 2)
  }

  @Test("errors are sent at a bounded rate, and none about an error or to a group")
  func rate() {
    let bed = RouterBed()
    let dying = IPPacket.udp(("10.1.0.2", 33_434), (Self.remote, 33_434), ttl: 1)
    let answers = (0..<ICMPErrorBudget.perSecond + 100).count { _ in !bed.send(dying, at: 0).isEmpty }
    #expect(answers == ICMPErrorBudget.perSecond)
    bed.pass(seconds: 1)
    #expect(bed.send(dying, at: 0).count == 1)
    let error = IPPacket.icmp("10.1.0.2", Self.remote, type: 3, code: 3, payload: quote(dying), ttl: 1)
    #expect(bed.send(error, at: 0).isEmpty)
  }

  @Test("a packet that is too long is answered with the path's MTU, or cut where it may be")
  func tooBig() throws {
    let bed = RouterBed()
    bed.setRoutes(mtu: 1280)
    let payload = [UInt8](repeating: 7, count: 1400)
    let sent = bed.send(.udp(("10.1.0.2", 5001), (Self.remote, 53), payload: payload), at: 0)
    let answer = IPPacket(bytes: try #require(sent.first).bytes)
    #expect(answer.payload.prefix(2) == [3, 4] && answer.word(answer.transport + 6) == 1280 && answer.isSummedRight)
    // Without DF.
    var whole = IPPacket.udp(("10.1.0.2", 5001), (Self.remote, 53), payload: payload)
    whole = IPPacket(
      from: "10.1.0.2", to: Self.remote, protocol: 17, payload: whole.payload, flags: 0, identification: 7)
    let pieces = bed.send(whole, at: 0).map { IPPacket(bytes: $0.bytes) }
    #expect(pieces.count == 2 && pieces.allSatisfy { $0.bytes.count <= 14 + 1280 && $0.source == Self.external })
    #expect(
      pieces.map { $0.word(20) } == [0x2000, (1280 - 20) / 8 / 1] || pieces.map { $0.word(20) } == [0x2000, 157])
    #expect(pieces.allSatisfy { IPPacket.sum(Array($0.bytes[14..<34])) == 0xFFFF })
    let joined = pieces.flatMap(\.payload)
    #expect(joined.count == whole.payload.count && joined.suffix(1400) == payload[...])
  }

  @Test(
    "a route whose MTU is less than any link may have: packets are cut to what one may", arguments: [1, 20, 27, 67])
  func absurdMTU(mtu: Int) {
    let bed = RouterBed()
    bed.setRoutes(mtu: mtu)
    let datagram = IPPacket.udp(("10.1.0.2", 5001), (Self.remote, 53), payload: [UInt8](repeating: 7, count: 100))
    let whole = IPPacket(
      from: "10.1.0.2", to: Self.remote, protocol: 17, payload: datagram.payload, flags: 0, identification: 7)
    let pieces = bed.send(whole, at: 0).map { IPPacket(bytes: $0.bytes) }
    #expect(pieces.map(\.payload.count) == [48, 48, 12])
  }

  /// The fragments of a UDP datagram, each with so many bytes of payload.
  private func fragments(_ packet: IPPacket, _ size: Int, identification: Int = 9) -> [IPPacket] {
    let payload = packet.payload
    return stride(from: 0, to: payload.count, by: size).map { position in
      let end = min(position + size, payload.count)
      return IPPacket(
        from: packet.source, to: packet.destination, protocol: 17, payload: Array(payload[position..<end]),
        flags: position / 8 | (end < payload.count ? 0x2000 : 0), identification: identification,
        mac: (packet.destinationMAC, packet.sourceMAC))
    }
  }

  @Test("fragments pass in any order, out and in", arguments: [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
  func fragmentOrder(order: [Int]) throws {
    let bed = RouterBed()
    let payload = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
    let whole = fragments(.udp(("10.1.0.2", 61_002), (Self.remote, 53), payload: payload), 1200)
    let out = order.flatMap { bed.send(whole[$0], at: 0) }
    #expect(out.count == 3 && out.allSatisfy { $0.port == RouterBed.uplinkPort })
    func joined(_ sent: [MemorySwitch.Sent]) -> IPPacket {
      let pieces = sent.map { IPPacket(bytes: $0.bytes) }.sorted { $0.word(20) & 0x1FFF < $1.word(20) & 0x1FFF }
      return IPPacket(
        from: pieces[0].source, to: pieces[0].destination, protocol: 17, payload: pieces.flatMap(\.payload))
    }
    #expect(joined(out).source == Self.external && joined(out).isSummedRight)
    let answer = fragments(
      .udp((Self.remote, 53), (Self.external, 61_002), payload: payload, mac: outside), 1200, identification: 10)
    let back = order.flatMap { bed.send(answer[$0], at: RouterBed.uplinkPort) }
    #expect(back.count == 3 && joined(back).destination == "10.1.0.2" && joined(back).isSummedRight)
    #expect(bed.router.pointee.fragments.count == 0)
  }

  @Test("fragments that overlap are refused, with what follows of their packet")
  func overlap() throws {
    let bed = RouterBed()
    let whole = fragments(
      .udp(("10.1.0.2", 61_002), (Self.remote, 53), payload: [UInt8](repeating: 1, count: 3000)), 1200)
    #expect(bed.send(whole[0], at: 0).count == 1)
    let overlapping = IPPacket(
      from: "10.1.0.2", to: Self.remote, protocol: 17, payload: [UInt8](repeating: 2, count: 800), flags: 0x2000 | 100,
      identification: 9)
    #expect(bed.send(overlapping, at: 0).isEmpty && bed.send(whole[1], at: 0).isEmpty)
    #expect(bed.drops(.fragmentRefused, at: 0) == 2)
  }

  @Test("fragments whose first one does not come are few, and lost in time")
  func orphans() throws {
    let bed = RouterBed()
    for identification in 0..<40 {
      for position in 1...10 {
        let orphan = IPPacket(
          from: Self.remote, to: Self.external, protocol: 17, payload: [UInt8](repeating: 2, count: 8),
          flags: 0x2000 | position, identification: identification, mac: outside)
        #expect(bed.send(orphan, at: RouterBed.uplinkPort).isEmpty)
      }
    }
    bed.pass(seconds: 10)
    #expect(bed.drops(.fragmentRefused, at: RouterBed.uplinkPort) == 400 && bed.router.pointee.fragments.count == 0)
    #expect(bed.out(.udp(("10.1.0.2", 4000), ("192.0.2.77", 53))) == nil)
  }
}
