import Tables
import Testing
import Wire

@testable import Datapath

@Suite("Services")
struct ServiceTests {
  static let remote = RouterBed.remote
  static let external = RouterBed.external
  static let mesh = "10.1.0.200"
  static let virtual = "10.1.0.100"
  /// Of a member behind port 5, a tunnel to another host.
  static let elsewhere = "10.1.0.66"
  static let tunnelPort: UInt16 = 5
  private static let elsewhereMAC = (to: RouterBed.gatewayMAC, from: host(66))
  private static let inside2 = (to: RouterBed.gatewayMAC, from: host(2))
  private static let (syn, ack, rst) = (IPPacket.syn, IPPacket.ack, IPPacket.rst)

  /// Service 1: port 8080/tcp and 5353/udp lead to ports 80 and 53 of `members`.
  static func bed(
    _ members: [String], isOpen: Bool = false, virtual address: String? = Self.virtual, sessions: Int = 1000
  ) -> RouterBed {
    var gateway = RouterBed.gateway(isOpen: isOpen)
    gateway.meshAddresses = [IPAddress(mesh)!, IPAddress("fd01::200")!]
    let bed = RouterBed(sessions: sessions, network: gateway)
    bed.engine.addPort(tunnelPort, to: 0, PortOptions(isRemote: true))
    let isAdded = bed.router.pointee.addHost(
      IPAddress(elsewhere)!.mapped, mac: MACAddress(bits: host(66)), port: tunnelPort, network: 0, isElsewhere: true)
    precondition(isAdded)
    precondition(bed.serve(members, virtual: address))
    for (ports, kind, port) in [(8080...8080, UInt8(6), UInt16(80)), (5353...5353, 17, 53)] {
      for host in [nil, address] {
        let isPublished = bed.router.pointee.publish(
          protocol: kind, hostAddress: host.map { IPAddress($0)!.mapped } ?? 0,
          hostPorts: UInt16(ports.lowerBound)...UInt16(ports.upperBound),
          address: IPAddress("0.0.0.0")!.mapped, firstPort: port, service: 1)
        precondition(isPublished)
      }
    }
    return bed
  }

  // MARK: Members of this host

  @Test("flows spread over the members, each stays with its own, and answers come from the published port")
  func spread() throws {
    let bed = Self.bed(["10.1.0.2", "10.1.0.3"])
    var shares = [0, 0]
    for port in 4000..<4200 {
      let sent = bed.send(
        .tcp((Self.remote, port), (Self.external, 8080), Self.syn, mac: outside), at: RouterBed.uplinkPort)
      #expect(sent.count == 1 && sent[0].port < 2)
      let inward = IPPacket(bytes: sent[0].bytes)
      #expect(inward.source == Self.remote && inward.sourcePort == port && inward.destinationPort == 80)
      #expect(inward.isSummedRight)
      shares[Int(sent[0].port)] += 1
      let again = bed.into(
        sent[0].port, .tcp((Self.remote, port), (Self.external, 8080), Self.ack, mac: outside))
      #expect(again?.destination == inward.destination)
      let mac = sent[0].port == 0 ? (to: RouterBed.gatewayMAC, from: host(1)) : Self.inside2
      let answer = try #require(
        bed.out(
          .tcp((inward.destination, 80), (Self.remote, port), Self.syn | Self.ack, mac: mac), at: sent[0].port))
      #expect(answer.source == Self.external && answer.sourcePort == 8080 && answer.destinationPort == port)
    }
    #expect(shares[0] > 70 && shares[1] > 70)
  }

  @Test("a member that is no longer one takes no new flow, and keeps those it has; one that comes takes only new ones")
  func membersComeAndGo() throws {
    let bed = Self.bed(["10.1.0.2"])
    func send(_ port: Int, _ flags: Int) -> UInt16? {
      let packet = IPPacket.tcp((Self.remote, port), (Self.external, 8080), flags, mac: outside)
      return bed.send(packet, at: RouterBed.uplinkPort).first?.port
    }
    for port in 4000..<4050 { #expect(send(port, Self.syn) == 0) }
    #expect(bed.serve(["10.1.0.2", "10.1.0.3"]))
    for port in 4000..<4050 { #expect(send(port, Self.ack) == 0) }
    #expect(Set((4050..<4100).map { send($0, Self.syn) }) == [0, 1])
    #expect(bed.serve(["10.1.0.3"]))
    for port in 4000..<4050 { #expect(send(port, Self.ack) == 0) }
    for port in 4100..<4150 { #expect(send(port, Self.syn) == 1) }
    let answer = bed.out(.tcp(("10.1.0.2", 80), (Self.remote, 4000), Self.ack))
    #expect(answer?.sourcePort == 8080)
  }

  @Test("a member whose port has gone takes no new flow, before the control plane has said so")
  func memberGone() {
    let bed = Self.bed(["10.1.0.2", "10.1.0.3"])
    bed.engine.freePort(0, from: bed.engine.detachPort(0))
    for port in 4000..<4100 {
      #expect(bed.into(1, .udp((Self.remote, port), (Self.external, 5353), mac: outside)) != nil)
    }
    bed.engine.freePort(1, from: bed.engine.detachPort(1))
    #expect(bed.into(1, .udp((Self.remote, 4000), (Self.external, 5353), mac: outside)) == nil)
    #expect(bed.drops(.noMember, at: RouterBed.uplinkPort) == 1)
  }

  @Test("with no member TCP is reset, and UDP is told that nobody has the port, outside and inside")
  func noMember() throws {
    let bed = Self.bed([])
    let places = [
      (RouterBed.uplinkPort, Self.remote, Self.external, outside),
      (UInt16(0), "10.1.0.2", Self.virtual, (to: RouterBed.gatewayMAC, from: host(1))),
    ]
    for (port, client, service, mac) in places {
      let sent = bed.send(.tcp((client, 4000), (service, 8080), Self.syn, sequence: 7, mac: mac), at: port)
      try #require(sent.count == 1 && sent[0].port == port)
      let reset = IPPacket(bytes: sent[0].bytes)
      #expect(reset.source == service && reset.sourcePort == 8080 && reset.destination == client)
      #expect(reset.destinationPort == 4000 && reset.isSummedRight)
      // Sequence 0, acknowledgment 8, RST and ACK.
      #expect(Array(reset.payload[4..<14]) == [0, 0, 0, 0, 0, 0, 0, 8, 0x50, 0x14])
      #expect(Array(sent[0].bytes.prefix(6)) == MACAddress(bits: mac.from).bytes)
      let late = bed.send(
        .tcp((client, 4000), (service, 8080), Self.ack, acknowledgment: 99, mac: mac), at: port)
      #expect(Array(IPPacket(bytes: late[0].bytes).payload[4..<14]) == [0, 0, 0, 99, 0, 0, 0, 0, 0x50, 4])
      #expect(bed.send(.tcp((client, 4000), (service, 8080), Self.rst, mac: mac), at: port).isEmpty)
      let told = bed.send(.udp((client, 4000), (service, 5353), mac: mac), at: port)
      try #require(told.count == 1)
      let error = IPPacket(bytes: told[0].bytes)
      #expect(error.payload.prefix(2) == [3, 3] && error.isSummedRight && error.quoted.destination == service)
      #expect(bed.drops(.noMember, at: port) == 4)
    }
  }

  @Test("a service's ports are claimed, and free again when it goes, with its flows; a withdrawn port likewise")
  func removed() {
    let bed = Self.bed(["10.1.0.2"])
    #expect(bed.claims.isSet(slot: 0, plane: .tcp, port: 8080) && bed.claims.isSet(slot: 0, plane: .udp, port: 5353))
    #expect(bed.into(0, .udp((Self.remote, 4000), (Self.external, 5353), mac: outside)) != nil)
    #expect(bed.into(0, .tcp((Self.remote, 4000), (Self.external, 8080), Self.syn, mac: outside)) != nil)
    #expect(bed.send(.udp(("10.1.0.3", 4000), (Self.virtual, 9), mac: Self.inside2), at: 1).count == 1)
    #expect(bed.router.pointee.sessionCount == 4)
    let isWithdrawn = bed.router.pointee.unpublish(
      protocol: 17, hostAddress: 0, hostPorts: 5353...5353, address: IPAddress("0.0.0.0")!.mapped, firstPort: 53,
      service: 1)
    #expect(isWithdrawn && bed.router.pointee.sessionCount == 3)
    #expect(!bed.claims.isSet(slot: 0, plane: .udp, port: 5353))
    #expect(removeService(bed))
    #expect(bed.router.pointee.sessionCount == 0 && !bed.claims.isSet(slot: 0, plane: .tcp, port: 8080))
    #expect(bed.send(.udp(("10.1.0.3", 4000), (Self.virtual, 9), mac: Self.inside2), at: 1).first?.port == 1)
    #expect(bed.drops(.prohibited, at: 1) == 1)
    #expect(!removeService(bed))
  }

  /// false: there was none.
  private func removeService(_ bed: RouterBed) -> Bool {
    switch bed.router.pointee.removeService(1) {
    case .some: true
    case nil: false
    }
  }

  // MARK: Members elsewhere

  @Test("what goes to a member elsewhere comes from the mesh address, so its answers come back and go to the client")
  func elsewhere() throws {
    let bed = Self.bed([Self.elsewhere], virtual: nil)
    for (port, flags) in [(4000, Self.syn), (4001, Self.syn), (4000, Self.ack)] {
      let inward = try #require(
        bed.into(Self.tunnelPort, .tcp((Self.remote, port), (Self.external, 8080), flags, mac: outside)))
      #expect(inward.source == Self.mesh && inward.sourcePort == port && inward.isSummedRight)
      #expect(inward.destination == Self.elsewhere && inward.destinationPort == 80 && inward.ttl == 63)
      #expect(
        Array(inward.bytes.prefix(12)) == MACAddress(bits: host(66)).bytes
          + MACAddress(bits: RouterBed.gatewayMAC).bytes)
      let answer = try #require(
        bed.out(
          .tcp((Self.elsewhere, 80), (Self.mesh, port), Self.syn | Self.ack, mac: Self.elsewhereMAC),
          at: Self.tunnelPort))
      #expect(answer.source == Self.external && answer.sourcePort == 8080 && answer.isSummedRight && answer.ttl == 63)
      #expect(answer.destination == Self.remote && answer.destinationPort == port)
    }
    #expect(bed.router.pointee.sessionCount == 4)
  }

  @Test("two clients with one port get two ports of the mesh address")
  func meshPorts() throws {
    let bed = Self.bed([Self.elsewhere])
    var ports: Set<Int> = []
    for number in 1...50 {
      let client = "203.0.113.\(number)"
      let inward = try #require(
        bed.into(Self.tunnelPort, .udp((client, 4000), (Self.external, 5353), mac: outside)))
      #expect(inward.source == Self.mesh && ports.insert(inward.sourcePort).inserted && inward.sourcePort >= 1024)
      let answer = try #require(
        bed.out(
          .udp((Self.elsewhere, 53), (Self.mesh, inward.sourcePort), mac: Self.elsewhereMAC), at: Self.tunnelPort))
      #expect(answer.destination == client && answer.destinationPort == 4000)
    }
    let low = try #require(bed.into(Self.tunnelPort, .udp((Self.remote, 53), (Self.external, 5353), mac: outside)))
    #expect(low.sourcePort >= 1024)
  }

  @Test("a member elsewhere that is gone loses its flows; the next packet of each goes to another")
  func elsewhereGone() throws {
    let bed = Self.bed([Self.elsewhere])
    #expect(bed.into(Self.tunnelPort, .udp((Self.remote, 4000), (Self.external, 5353), mac: outside)) != nil)
    #expect(bed.serve(["10.1.0.2"]))
    #expect(bed.into(Self.tunnelPort, .udp((Self.remote, 4000), (Self.external, 5353), mac: outside)) != nil)
    bed.router.pointee.removeHost(IPAddress(Self.elsewhere)!.mapped)
    let inward = try #require(bed.into(0, .udp((Self.remote, 4000), (Self.external, 5353), mac: outside)))
    let answer = try #require(bed.out(.udp(("10.1.0.2", 53), (inward.source, inward.sourcePort))))
    #expect(answer.destination == Self.remote && answer.destinationPort == 4000 && answer.sourcePort == 5353)
  }

  @Test("a member's port that meets one of its flows again begins it anew")
  func again() {
    let bed = Self.bed(["10.1.0.2"])
    let packet = IPPacket.udp(("10.1.0.3", 4000), (Self.virtual, 53), mac: Self.inside2)
    #expect(bed.send(packet, at: 1).first?.port == 0)
    // The client's session goes with its port, the member's stays.
    bed.engine.freePort(1, from: bed.engine.detachPort(1))
    #expect(bed.router.pointee.sessionCount == 1)
    bed.engine.addPort(1, to: 0, PortOptions())
    let isAdded = bed.router.pointee.addHost(
      IPAddress("10.1.0.3")!.mapped, mac: MACAddress(bits: host(2)), port: 1, network: 0)
    #expect(isAdded)
    for _ in 0..<2 { #expect(bed.send(packet, at: 1).first?.port == 0) }
    #expect(bed.router.pointee.sessionCount <= 3)
    bed.router.pointee.flushSessions()
    #expect(bed.router.pointee.sessionCount == 0)
  }

  @Test("nobody outside, and nobody else inside, can send to a mesh address or from it")
  func meshIsOurs() {
    let bed = Self.bed([Self.elsewhere])
    #expect(bed.into(Self.tunnelPort, .tcp((Self.remote, 4000), (Self.external, 8080), Self.syn, mac: outside)) != nil)
    // As the member's answer comes back in, from outside.
    #expect(
      bed.send(.tcp((Self.external, 8080), (Self.mesh, 4000), Self.ack, mac: outside), at: RouterBed.uplinkPort).isEmpty
    )
    #expect(bed.send(.udp((Self.remote, 9), (Self.mesh, 4000), mac: outside), at: RouterBed.uplinkPort).isEmpty)
    // As the client's own, from inside.
    #expect(bed.send(.tcp((Self.remote, 4000), (Self.external, 8080), Self.ack), at: 0).isEmpty)
    // Another's answer.
    #expect(bed.send(.tcp((Self.elsewhere, 80), (Self.mesh, 4000), Self.ack), at: 0).first?.port == 0)
    for source in [Self.mesh, Self.virtual] {
      #expect(bed.send(.udp((source, 4000), (Self.remote, 53)), at: 0).isEmpty)
    }
    #expect(bed.drops(.spoofedSource, at: RouterBed.uplinkPort) == 1)
    #expect(bed.drops(.spoofedSource, at: 0) == 3)
    // It has nothing of its own.
    #expect(bed.send(.udp(("10.1.0.3", 9), (Self.mesh, 9), mac: Self.inside2), at: 1).first?.port == 1)
    #expect(bed.drops(.prohibited, at: 0) == 1 && bed.drops(.prohibited, at: 1) == 1)
  }

  @Test("from inside, by the published port of the host, a member elsewhere is reached too")
  func hairpin() throws {
    let bed = Self.bed([Self.elsewhere])
    for flags in [Self.syn, Self.ack] {
      let sent = bed.send(.tcp(("10.1.0.2", 4000), (Self.external, 8080), flags), at: 0)
      try #require(sent.count == 1 && sent[0].port == Self.tunnelPort)
      let inward = IPPacket(bytes: sent[0].bytes)
      #expect(inward.source == Self.mesh && inward.isSummedRight && inward.ttl == 63)
      let answer = bed.send(
        .tcp((Self.elsewhere, 80), (Self.mesh, inward.sourcePort), Self.ack, mac: Self.elsewhereMAC),
        at: Self.tunnelPort)
      try #require(answer.count == 1 && answer[0].port == 0)
      let back = IPPacket(bytes: answer[0].bytes)
      #expect(back.source == Self.external && back.sourcePort == 8080 && back.isSummedRight)
      #expect(back.destination == "10.1.0.2" && back.destinationPort == 4000)
    }
  }
}
