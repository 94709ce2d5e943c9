import Tables
import Testing
import Wire

@testable import Datapath

@Suite("Virtual addresses, and what else goes with services")
struct VirtualAddressTests {
  private static let (syn, ack) = (IPPacket.syn, IPPacket.ack)
  private static let virtual = ServiceTests.virtual
  private static let elsewhereMAC = (to: RouterBed.gatewayMAC, from: host(66))

  private static func mac(_ port: UInt16) -> (to: UInt64, from: UInt64) {
    (to: RouterBed.gatewayMAC, from: port == ServiceTests.tunnelPort ? host(66) : host(Int(port) + 1))
  }

  @Test(
    "from inside, a virtual address leads to a member, itself too, and answers come from there",
    arguments: ["10.1.0.3", "10.1.0.2", ServiceTests.elsewhere])
  func reached(member: String) throws {
    let port: UInt16 = member == "10.1.0.3" ? 1 : member == "10.1.0.2" ? 0 : ServiceTests.tunnelPort
    let bed = ServiceTests.bed([member])
    for (asked, reached) in [(8080, 80), (443, 443)] {
      for flags in [Self.syn, Self.ack] {
        let sent = bed.send(.tcp(("10.1.0.2", 4000), (Self.virtual, asked), flags), at: 0)
        try #require(sent.count == 1 && sent[0].port == port)
        let inward = IPPacket(bytes: sent[0].bytes)
        #expect(inward.source == ServiceTests.mesh && inward.destination == member)
        #expect(inward.destinationPort == reached && inward.isSummedRight && inward.ttl == 63)
        let answer = bed.send(
          .tcp((member, reached), (ServiceTests.mesh, inward.sourcePort), Self.ack, mac: Self.mac(port)), at: port)
        try #require(answer.count == 1 && answer[0].port == 0)
        let back = IPPacket(bytes: answer[0].bytes)
        #expect(back.source == Self.virtual && back.sourcePort == asked && back.isSummedRight)
        #expect(back.destination == "10.1.0.2" && back.destinationPort == 4000 && back.destinationMAC == host(1))
      }
    }
  }

  @Test("a ping of a virtual address is a member's to answer")
  func echo() throws {
    let bed = ServiceTests.bed(["10.1.0.3"])
    let sent = bed.send(.icmp("10.1.0.2", Self.virtual, type: 8, word: 0x0777_0001), at: 0)
    try #require(sent.count == 1 && sent[0].port == 1)
    let request = IPPacket(bytes: sent[0].bytes)
    #expect(request.source == ServiceTests.mesh && request.destination == "10.1.0.3" && request.isSummedRight)
    let identifier = UInt32(request.word(request.transport + 4))
    let answer = bed.send(
      .icmp("10.1.0.3", ServiceTests.mesh, type: 0, word: identifier << 16 | 1, mac: Self.mac(1)), at: 1)
    try #require(answer.count == 1 && answer[0].port == 0)
    let back = IPPacket(bytes: answer[0].bytes)
    #expect(back.source == Self.virtual && back.destination == "10.1.0.2" && back.isSummedRight)
    #expect(back.word(back.transport + 4) == 0x777)
  }

  @Test("IPv6, by the published port and the virtual address")
  func ipv6() throws {
    let bed = ServiceTests.bed([])
    var table: MaglevTable? = MaglevTable([IPAddress("fd01::66")!.mapped])
    let isAdded = bed.router.pointee.addHost(
      IPAddress("fd01::66")!.mapped, mac: MACAddress(bits: host(66)), port: ServiceTests.tunnelPort, network: 0,
      isElsewhere: true)
    let isSet = bed.router.pointee.setService(
      2, network: 0, virtualAddress: IPAddress("fd01::100")!.mapped, seed: 5, &table)
    let isPublished = bed.router.pointee.publish(
      protocol: 17, hostAddress: 0, hostPorts: 5353...5353, address: 0, firstPort: 53, service: 2)
    #expect(isAdded && isSet && isPublished)
    let remote = "2001:db8:9::1"
    let inward = try #require(
      bed.into(ServiceTests.tunnelPort, .udp((remote, 4000), (RouterBed.external6, 5353), mac: outside)))
    #expect(inward.source == "fd01::200" && inward.destination == "fd01::66" && inward.isSummedRight)
    let answer = try #require(
      bed.out(
        .udp(("fd01::66", 53), ("fd01::200", inward.sourcePort), mac: Self.elsewhereMAC), at: ServiceTests.tunnelPort))
    #expect(answer.source == RouterBed.external6 && answer.destination == remote && answer.isSummedRight)
    let sent = bed.send(.udp(("fd01::2", 4001), ("fd01::100", 53)), at: 0)
    try #require(sent.count == 1 && sent[0].port == ServiceTests.tunnelPort)
    let inside = IPPacket(bytes: sent[0].bytes)
    #expect(inside.source == "fd01::200" && inside.destinationPort == 53 && inside.isSummedRight)
  }

  @Test("another network does not reach it; from outside it is reached where its network is open")
  func others() throws {
    let other = IPPacket.udp(("10.2.0.2", 4000), (Self.virtual, 53), mac: (RouterBed.otherGatewayMAC, host(3)))
    let bed = ServiceTests.bed(["10.1.0.2"])
    #expect(bed.send(other, at: 2).first?.port == 2 && bed.drops(.prohibited, at: 2) == 1)
    #expect(bed.into(0, .udp((RouterBed.remote, 4000), (Self.virtual, 53), mac: outside)) == nil)
    let open = ServiceTests.bed(["10.1.0.2"], isOpen: true)
    let inward = try #require(open.into(0, .udp((RouterBed.remote, 4000), (Self.virtual, 53), mac: outside)))
    #expect(inward.source == RouterBed.remote && inward.destination == "10.1.0.2")
    #expect(open.out(.udp(("10.1.0.2", 53), (RouterBed.remote, 4000)))?.source == Self.virtual)
  }

  @Test("without the uplink a virtual address leads to its members, and its ports to theirs")
  func withoutUplink() throws {
    let bed = ServiceTests.bed(["10.1.0.3"])
    bed.router.pointee.removeUplink()
    let sent = bed.send(.tcp(("10.1.0.2", 4000), (Self.virtual, 8080), Self.syn), at: 0)
    try #require(sent.count == 1 && sent[0].port == 1)
    #expect(IPPacket(bytes: sent[0].bytes).destinationPort == 80)
  }

  @Test("questions for a virtual address are answered at isolated ports too; other hosts' for a mesh address alone")
  func asked() {
    let bed = ServiceTests.bed([])
    bed.engine.changePort(0, PortOptions(isIsolated: true))
    for (address, isOwn) in [(Self.virtual, false), (ServiceTests.mesh, true)] {
      let neighbour = KnownNeighbours.Neighbour(mac: MACAddress(bits: RouterBed.gatewayMAC), isOwn: isOwn)
      let isKnown = bed.engine.setNeighbour(IPAddress(address)!.mapped, neighbour, network: 0)
      #expect(isKnown)
    }
    func ask(_ address: String, _ port: UInt16, from source: UInt64) -> [MemorySwitch.Sent] {
      let sender = MACAddress(bits: source).bytes
      let question =
        [UInt8](repeating: 0xFF, count: 6) + sender + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + sender + [10, 1, 0, 2]
        + [0, 0, 0, 0, 0, 0] + IPAddress(address)!.bytes
      return bed.send(IPPacket(bytes: question), at: port)
    }
    let answer = ask(Self.virtual, 0, from: host(1))
    #expect(answer.map(\.port) == [0] && answer[0].bytes[20...21] == [0, 2])
    #expect(Array(answer[0].bytes[22..<28]) == MACAddress(bits: RouterBed.gatewayMAC).bytes)
    let tunnel = ServiceTests.tunnelPort
    #expect(ask(Self.virtual, tunnel, from: host(77)).contains { $0.port == RouterBed.hostPort })
    #expect(ask(ServiceTests.mesh, tunnel, from: host(77)).map(\.port) == [tunnel])
  }

  // MARK: Errors and fragments

  private func quote(_ packet: IPPacket) -> [UInt8] { Array(packet.bytes[14...]) }

  @Test("that a member elsewhere has not the port is told to the client outside, in the client's own words")
  func errorToClient() throws {
    let bed = ServiceTests.bed([ServiceTests.elsewhere])
    let inward = try #require(
      bed.into(ServiceTests.tunnelPort, .udp((RouterBed.remote, 4000), (RouterBed.external, 5353), mac: outside)))
    let error = try #require(
      bed.out(
        .icmp(
          ServiceTests.elsewhere, ServiceTests.mesh, type: 3, code: 3, payload: quote(inward), mac: Self.elsewhereMAC),
        at: ServiceTests.tunnelPort))
    #expect(error.source == RouterBed.external && error.destination == RouterBed.remote && error.isSummedRight)
    #expect(error.quoted.source == RouterBed.remote && error.quoted.sourcePort == 4000)
    #expect(error.quoted.destination == RouterBed.external && error.quoted.destinationPort == 5353)
    #expect(error.quoted.isSummedRight)
  }

  @Test("and to one inside; what a client refuses is told to the member")
  func errorsInside() throws {
    let bed = ServiceTests.bed(["10.1.0.3"])
    let asked = bed.send(.udp(("10.1.0.2", 4000), (Self.virtual, 53)), at: 0)
    let inward = IPPacket(bytes: try #require(asked.first).bytes)
    let told = bed.send(
      .icmp("10.1.0.3", ServiceTests.mesh, type: 3, code: 3, payload: quote(inward), mac: Self.mac(1)), at: 1)
    try #require(told.count == 1 && told[0].port == 0)
    let error = IPPacket(bytes: told[0].bytes)
    #expect(error.source == Self.virtual && error.quoted.destination == Self.virtual && error.isSummedRight)
    #expect(error.quoted.source == "10.1.0.2" && error.quoted.sourcePort == 4000 && error.quoted.isSummedRight)
    let answer = IPPacket(
      bytes: try #require(
        bed.send(.udp(("10.1.0.3", 53), (ServiceTests.mesh, inward.sourcePort), mac: Self.mac(1)), at: 1).first
      ).bytes)
    let refused = bed.send(.icmp("10.1.0.2", Self.virtual, type: 3, code: 3, payload: quote(answer)), at: 0)
    try #require(refused.count == 1 && refused[0].port == 1)
    let back = IPPacket(bytes: refused[0].bytes)
    #expect(back.source == ServiceTests.mesh && back.destination == "10.1.0.3" && back.isSummedRight)
    #expect(back.quoted.source == "10.1.0.3" && back.quoted.sourcePort == 53 && back.quoted.isSummedRight)
    #expect(back.quoted.destination == ServiceTests.mesh && back.quoted.destinationPort == inward.sourcePort)
  }

  @Test("what outside says of a member's packet is told to the member elsewhere, in its own words")
  func errorToMember() throws {
    let bed = ServiceTests.bed([ServiceTests.elsewhere])
    let inward = try #require(
      bed.into(ServiceTests.tunnelPort, .udp((RouterBed.remote, 4000), (RouterBed.external, 5353), mac: outside)))
    let answer = try #require(
      bed.out(
        .udp((ServiceTests.elsewhere, 53), (ServiceTests.mesh, inward.sourcePort), mac: Self.elsewhereMAC),
        at: ServiceTests.tunnelPort))
    let error = try #require(
      bed.into(
        ServiceTests.tunnelPort,
        .icmp("198.51.100.9", RouterBed.external, type: 3, code: 4, word: 1300, payload: quote(answer), mac: outside)))
    #expect(error.source == "198.51.100.9" && error.destination == ServiceTests.elsewhere && error.isSummedRight)
    #expect(error.quoted.source == ServiceTests.elsewhere && error.quoted.sourcePort == 53)
    #expect(error.quoted.destination == ServiceTests.mesh && error.quoted.destinationPort == inward.sourcePort)
    #expect(error.quoted.isSummedRight)
    let stray = IPPacket.udp((RouterBed.external, 5353), (RouterBed.remote, 4001))
    #expect(
      bed.into(
        ServiceTests.tunnelPort, .icmp("198.51.100.9", RouterBed.external, type: 3, payload: quote(stray), mac: outside)
      )
        == nil)
  }

  @Test("a packet that is too long for the way is answered, or cut, with a member elsewhere too")
  func pathMTU() throws {
    let bed = ServiceTests.bed([ServiceTests.elsewhere])
    let inward = try #require(
      bed.into(ServiceTests.tunnelPort, .udp((RouterBed.remote, 4000), (RouterBed.external, 5353), mac: outside)))
    let long = IPPacket.udp(
      (RouterBed.remote, 4000), (RouterBed.external, 5353), payload: [UInt8](repeating: 7, count: 1480), mac: outside)
    let told = bed.send(long, at: RouterBed.uplinkPort)
    try #require(told.count == 1 && told[0].port == RouterBed.uplinkPort)
    #expect(IPPacket(bytes: told[0].bytes).payload.prefix(2) == [3, 4])
    bed.setRoutes(mtu: 1000)
    var answer = IPPacket.udp(
      (ServiceTests.elsewhere, 53), (ServiceTests.mesh, inward.sourcePort),
      payload: [UInt8](repeating: 9, count: 1200), mac: Self.elsewhereMAC)
    let sent = bed.send(answer, at: ServiceTests.tunnelPort)
    try #require(sent.count == 1 && sent[0].port == ServiceTests.tunnelPort)
    let error = IPPacket(bytes: sent[0].bytes)
    #expect(error.payload.prefix(2) == [3, 4] && error.word(error.transport + 6) == 1000 && error.isSummedRight)
    #expect(error.destination == ServiceTests.elsewhere && error.quoted.source == ServiceTests.elsewhere)
    #expect(
      error.quoted.destination == ServiceTests.mesh && bed.drops(.fragmentationNeeded, at: ServiceTests.tunnelPort) == 1
    )
    // Without DF.
    answer = IPPacket(
      from: ServiceTests.elsewhere, to: ServiceTests.mesh, protocol: 17, payload: answer.payload, flags: 0,
      mac: Self.elsewhereMAC)
    let pieces = bed.send(answer, at: ServiceTests.tunnelPort).map { IPPacket(bytes: $0.bytes) }
    #expect(
      pieces.count == 2 && pieces.allSatisfy { $0.source == RouterBed.external && $0.destination == RouterBed.remote })
    #expect(pieces[0].destinationPort == 4000 && pieces.reduce(0) { $0 + $1.payload.count } == 1208)
  }

  @Test("fragments of one packet go the way of the first, there and back")
  func fragments() throws {
    let bed = ServiceTests.bed([ServiceTests.elsewhere])
    func pieces(_ packet: IPPacket, mac: (to: UInt64, from: UInt64), identification: Int) -> [IPPacket] {
      let payload = packet.payload
      return stride(from: 0, to: payload.count, by: 1200).map { start in
        let end = min(start + 1200, payload.count)
        return IPPacket(
          from: packet.source, to: packet.destination, protocol: 17, payload: Array(payload[start..<end]),
          flags: start / 8 | (end < payload.count ? 0x2000 : 0), identification: identification, mac: mac)
      }
    }
    let data = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
    var (port, received) = (0, [UInt8]())
    for piece in pieces(
      .udp((RouterBed.remote, 4000), (RouterBed.external, 5353), payload: data, mac: outside), mac: outside,
      identification: 9)
    {
      let inward = try #require(bed.into(ServiceTests.tunnelPort, piece))
      #expect(inward.source == ServiceTests.mesh && inward.destination == ServiceTests.elsewhere)
      if received.isEmpty { port = inward.sourcePort }
      received += inward.payload
    }
    #expect(Array(received.dropFirst(8)) == data)
    received = []
    for piece in pieces(
      .udp((ServiceTests.elsewhere, 53), (ServiceTests.mesh, port), payload: data), mac: Self.elsewhereMAC,
      identification: 10)
    {
      let out = try #require(bed.out(piece, at: ServiceTests.tunnelPort))
      #expect(out.source == RouterBed.external && out.destination == RouterBed.remote)
      received += out.payload
    }
    #expect(Array(received.dropFirst(8)) == data && bed.router.pointee.fragments.count == 0)
  }

  // MARK: Sessions

  @Test("another router takes up the flows of members here, elsewhere, and by the virtual address")
  func restored() throws {
    let bed = ServiceTests.bed(["10.1.0.3"])
    #expect(bed.into(1, .tcp((RouterBed.remote, 4000), (RouterBed.external, 8080), Self.syn, mac: outside)) != nil)
    #expect(bed.send(.udp(("10.1.0.2", 4000), (Self.virtual, 53)), at: 0).count == 1)
    #expect(bed.serve([ServiceTests.elsewhere]))
    let far = try #require(
      bed.into(
        ServiceTests.tunnelPort, .tcp((RouterBed.remote, 4001), (RouterBed.external, 8080), Self.syn, mac: outside)))
    var sessions: [Session] = []
    _ = bed.router.pointee.visitSessions(from: 0, budget: 100) { sessions.append(copy $0) }
    #expect(sessions.count == 5)
    let next = ServiceTests.bed(["10.1.0.2"])
    for session in sessions {
      let isRestored = next.router.pointee.restore(session, now: next.now)
      #expect(isRestored)
    }
    #expect(next.into(1, .tcp((RouterBed.remote, 4000), (RouterBed.external, 8080), Self.ack, mac: outside)) != nil)
    #expect(next.send(.udp(("10.1.0.2", 4000), (Self.virtual, 53)), at: 0).first?.port == 1)
    let again = next.into(
      ServiceTests.tunnelPort, .tcp((RouterBed.remote, 4001), (RouterBed.external, 8080), Self.ack, mac: outside))
    #expect(again?.sourcePort == far.sourcePort)
    #expect(
      next.out(
        .tcp((ServiceTests.elsewhere, 80), (ServiceTests.mesh, far.sourcePort), Self.ack, mac: Self.elsewhereMAC),
        at: ServiceTests.tunnelPort) != nil)
  }

  @Test("a table full of sessions loses some, and what comes later goes on")
  func full() {
    let bed = ServiceTests.bed([ServiceTests.elsewhere, "10.1.0.2"], sessions: 20)
    for port in 4000..<4300 {
      let packet = IPPacket.udp((RouterBed.remote, port), (RouterBed.external, 5353), mac: outside)
      for _ in 0..<2 { #expect(bed.send(packet, at: RouterBed.uplinkPort).count == 1) }
    }
    #expect(bed.router.pointee.sessionCount == 20)
  }
}
