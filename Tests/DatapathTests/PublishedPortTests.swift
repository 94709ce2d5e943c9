import Tables
import Testing
import Wire

@testable import Datapath

@Suite("Published ports, and what is let in")
struct PublishedPortTests {
  static let remote = RouterBed.remote
  static let external = RouterBed.external
  static let inside2 = (to: RouterBed.gatewayMAC, from: host(2))

  @Test("a published port leads to its endpoint, whose answers come from there; the client's address is kept")
  func published() throws {
    let bed = RouterBed()
    #expect(bed.publish(8080...8080, 6, to: "10.1.0.2", 80))
    let inward = try #require(
      bed.into(0, .tcp((Self.remote, 4000), (Self.external, 8080), IPPacket.syn, mac: outside)))
    #expect(inward.source == Self.remote && inward.sourcePort == 4000 && inward.destinationPort == 80)
    #expect(inward.destination == "10.1.0.2" && inward.isSummedRight)
    let answer = try #require(
      bed.out(.tcp(("10.1.0.2", 80), (Self.remote, 4000), IPPacket.syn | IPPacket.ack)))
    #expect(answer.source == Self.external && answer.sourcePort == 8080 && answer.isSummedRight)
    #expect(bed.into(0, .tcp((Self.remote, 4000), (Self.external, 8081), IPPacket.syn, mac: outside)) == nil)
  }

  @Test("each port of a range leads to its own")
  func range() throws {
    let bed = RouterBed()
    #expect(bed.publish(9000...9999, 17, to: "10.1.0.2", 5000))
    for port in [9000, 9500, 9999] {
      let inward = try #require(bed.into(0, .udp((Self.remote, 4000), (Self.external, port), mac: outside)))
      #expect(inward.destinationPort == port - 4000)
      #expect(bed.claims.isSet(slot: 0, plane: .udp, port: UInt16(port)))
    }
    #expect(bed.into(0, .udp((Self.remote, 4000), (Self.external, 10_000), mac: outside)) == nil)
    #expect(!bed.claims.isSet(slot: 0, plane: .tcp, port: 9000))
  }

  @Test("what an endpoint sends from a published port comes from the host's")
  func outboundFromPublished() throws {
    let bed = RouterBed()
    #expect(bed.publish(5353...5353, 17, to: "10.1.0.2", 53))
    let out = try #require(bed.out(.udp(("10.1.0.2", 53), (Self.remote, 9))))
    #expect(out.source == Self.external && out.sourcePort == 5353)
  }

  @Test("a withdrawn port and its sessions are gone at once")
  func withdrawn() throws {
    let bed = RouterBed()
    #expect(bed.publish(9000...9001, 17, to: "10.1.0.2", 5000) && bed.publish(9002...9002, 17, to: "10.1.0.2", 5002))
    for port in 9000...9002 {
      #expect(bed.into(0, .udp((Self.remote, 4000), (Self.external, port), mac: outside)) != nil)
    }
    let isWithdrawn = bed.router.pointee.unpublish(
      protocol: 17, hostAddress: 0, hostPorts: 9000...9001, address: IPAddress("10.1.0.2")!.mapped, firstPort: 5000)
    #expect(isWithdrawn)
    #expect(bed.router.pointee.sessionCount == 1 && !bed.claims.isSet(slot: 0, plane: .udp, port: 9000))
    #expect(bed.into(0, .udp((Self.remote, 4000), (Self.external, 9000), mac: outside)) == nil)
    #expect(bed.into(0, .udp((Self.remote, 4000), (Self.external, 9002), mac: outside)) != nil)
  }

  @Test("all of an endpoint goes with its port")
  func endpointGone() throws {
    let bed = RouterBed()
    #expect(bed.publish(9000...9001, 17, to: "10.1.0.2", 5000))
    #expect(bed.into(0, .udp((Self.remote, 4000), (Self.external, 9000), mac: outside)) != nil)
    let port = UInt16(try #require(bed.out(.udp(("10.1.0.2", 77), (Self.remote, 53)))).sourcePort)
    let other = try #require(bed.out(.udp(("10.1.0.3", 77), (Self.remote, 53), mac: Self.inside2), at: 1))
    bed.engine.freePort(0, from: bed.engine.detachPort(0))
    #expect(bed.router.pointee.sessionCount == 1)
    for number in [9000, 9001, port] { #expect(!bed.claims.isSet(slot: 0, plane: .udp, port: number)) }
    #expect(bed.into(1, .udp((Self.remote, 53), (Self.external, other.sourcePort), mac: outside)) != nil)
  }

  @Test("an endpoint reaches published ports of another, of another network, and of itself, from the external address")
  func hairpin() throws { try expectHairpin(RouterBed()) }

  @Test("so do those of a network whose sources are not translated: or the answer would go past the router")
  func hairpinOfRoutedNetwork() throws {
    let bed = RouterBed(network: RouterBed.gateway(translatesIPv4: false))
    try expectHairpin(bed)
    #expect(try #require(bed.out(.udp(("10.1.0.2", 4000), (Self.remote, 53)))).source == "10.1.0.2")
  }

  private func expectHairpin(_ bed: RouterBed) throws {
    #expect(bed.publish(8080...8080, 6, to: "10.1.0.3", 80) && bed.publish(8081...8081, 6, to: "10.2.0.2", 80))
    for (hostPort, target, port) in [(8080, "10.1.0.3", UInt16(1)), (8081, "10.2.0.2", 2)] {
      let sent = bed.send(.tcp(("10.1.0.2", 4000), (Self.external, hostPort), IPPacket.syn), at: 0)
      #expect(sent.count == 1 && sent[0].port == port)
      let inward = IPPacket(bytes: sent[0].bytes)
      #expect(inward.source == Self.external && inward.destination == target && inward.destinationPort == 80)
      #expect(inward.isSummedRight && inward.ttl == 63)
      let (gateway, number) = port == 1 ? (RouterBed.gatewayMAC, 2) : (RouterBed.otherGatewayMAC, 3)
      let answer = bed.send(
        .tcp(
          (target, 80), (Self.external, inward.sourcePort), IPPacket.syn | IPPacket.ack, mac: (gateway, host(number))),
        at: port)
      #expect(answer.count == 1 && answer[0].port == 0)
      let back = IPPacket(bytes: answer[0].bytes)
      #expect(back.source == Self.external && back.sourcePort == hostPort && back.destinationPort == 4000)
      #expect(back.destination == "10.1.0.2" && back.isSummedRight)
    }
    #expect(bed.publish(8082...8082, 17, to: "10.1.0.2", 53))
    let own = bed.send(.udp(("10.1.0.2", 4000), (Self.external, 8082)), at: 0)
    #expect(own.count == 1 && own[0].port == 0 && IPPacket(bytes: own[0].bytes).destinationPort == 53)
  }

  @Test("what is for the host itself goes to the host's port as it is")
  func forHost() {
    let bed = RouterBed()
    for destination in ["10.1.0.1", "10.2.0.1", Self.external, "10.9.9.9"] {
      let packet = IPPacket.udp(("10.1.0.2", 4000), (destination, 53))
      #expect(
        bed.send(packet, at: 0) == [MemorySwitch.Sent(port: RouterBed.hostPort, bytes: packet.bytes, isOnlyCopy: true)])
    }
  }

  @Test("networks do not reach each other, and are told so")
  func prohibited() {
    let bed = RouterBed()
    let sent = bed.send(.udp(("10.1.0.2", 4000), ("10.2.0.2", 53)), at: 0)
    let answer = IPPacket(bytes: sent[0].bytes)
    #expect(sent.count == 1 && sent[0].port == 0 && answer.payload.prefix(2) == [3, 13] && answer.isSummedRight)
    #expect(answer.source == "10.1.0.1" && answer.destination == "10.1.0.2" && answer.quoted.destination == "10.2.0.2")
    #expect(bed.drops(.prohibited, at: 0) == 1)
  }

  @Test("another's source, and one that is not of the network, is refused")
  func spoofed() {
    let bed = RouterBed()
    for source in ["10.1.0.3", "10.2.0.2", "192.168.7.7", "10.1.0.1"] {
      #expect(bed.send(.udp((source, 4000), (Self.remote, 53)), at: 0).isEmpty)
    }
    #expect(bed.drops(.spoofedSource, at: 0) == 4)
    // An address of the network that nobody was given: whoever uses it first.
    #expect(bed.out(.udp(("10.1.0.77", 4000), (Self.remote, 53))) != nil)
    #expect(bed.send(.udp((Self.external, 53), ("10.1.0.2", 4000), mac: outside), at: RouterBed.uplinkPort).isEmpty)
    #expect(bed.drops(.spoofedSource, at: RouterBed.uplinkPort) == 1)
  }

  @Test("an open network's addresses can be reached as they are; a routed one's at published ports only")
  func openAndRouted() throws {
    let open = RouterBed(network: RouterBed.gateway(isOpen: true))
    let inward = try #require(open.into(0, .udp((Self.remote, 4000), ("10.1.0.2", 53), mac: outside)))
    #expect(inward.destination == "10.1.0.2")
    #expect(try #require(open.out(.udp(("10.1.0.2", 53), (Self.remote, 4000)))).source == "10.1.0.2")
    let routed = RouterBed(network: RouterBed.gateway(translatesIPv4: false))
    #expect(routed.into(0, .udp((Self.remote, 4000), ("10.1.0.2", 53), mac: outside)) == nil)
    #expect(routed.publish(53...53, 17, to: "10.1.0.2", 53))
    #expect(routed.into(0, .udp((Self.remote, 4000), ("10.1.0.2", 53), mac: outside)) != nil)
    #expect(try #require(routed.out(.udp(("10.1.0.2", 9), (Self.remote, 4000)))).source == "10.1.0.2")
  }

  @Test("an external address that goes takes its sessions; published ports are reachable at one that comes")
  func addressChange() throws {
    let bed = RouterBed()
    #expect(bed.publish(8080...8080, 6, to: "10.1.0.2", 80))
    _ = bed.out(.udp(("10.1.0.2", 77), (Self.remote, 53)))
    bed.setUplink(addresses: ["192.0.2.9"])
    #expect(bed.router.pointee.sessionCount == 0)
    #expect(bed.into(0, .tcp((Self.remote, 4000), (Self.external, 8080), IPPacket.syn, mac: outside)) == nil)
    #expect(bed.into(0, .tcp((Self.remote, 4000), ("192.0.2.9", 8080), IPPacket.syn, mac: outside)) != nil)
    #expect(try #require(bed.out(.udp(("10.1.0.2", 77), (Self.remote, 53)))).source == "192.0.2.9")
  }

  @Test("an uplink that goes takes with it what is known of its neighbours")
  func otherUplink() {
    let bed = RouterBed()
    #expect(bed.out(.udp(("10.1.0.2", 4000), (Self.remote, 53))) != nil)
    bed.router.pointee.removeUplink()
    bed.setUplink()
    #expect(bed.out(.udp(("10.1.0.2", 4000), (Self.remote, 53))) == nil)
    bed.resolve()
    bed.engine.sendLeaving(into: &bed.output)
    bed.output.sent = []
    #expect(bed.out(.udp(("10.1.0.2", 4001), (Self.remote, 53))) != nil)
  }

  @Test("frames wait for their next hop's address, few and not for long")
  func waiting() throws {
    let bed = RouterBed()
    for number in 0..<34 { #expect(bed.send(.udp(("10.1.0.2", 4000 + number), ("192.0.2.77", 53)), at: 0).isEmpty) }
    #expect(bed.drops(.neighbourUnresolved, at: 0) == 2)
    var wanted: [IPAddress] = []
    bed.router.pointee.takeWanted { wanted.append(IPAddress(mapped: $0)) }
    #expect(wanted == [IPAddress("192.0.2.77")!])
    bed.router.pointee.setNeighbour(IPAddress("192.0.2.77")!.mapped, mac: MACAddress(bits: host(9)))
    bed.output.sent = []
    bed.engine.sendLeaving(into: &bed.output)
    let sent = bed.output.sent
    #expect(sent.count == 32 && sent.allSatisfy { $0.port == RouterBed.uplinkPort })
    #expect(sent.allSatisfy { IPPacket(bytes: $0.bytes).destinationMAC == host(9) })
    #expect(bed.out(.udp(("10.1.0.2", 4000), ("192.0.2.77", 53))) != nil)
    _ = bed.send(.udp(("10.1.0.2", 4000), ("192.0.2.78", 53)), at: 0)
    bed.pass(seconds: 10)
    #expect(bed.drops(.neighbourUnresolved, at: RouterBed.uplinkPort) == 1)
  }
}
