import Tables
import Testing
import Wire

@testable import Datapath

@Suite("TCP connections through the router")
struct ConnectionTrackingTests {
  typealias Bed = RouterBed
  static let client = ("10.1.0.2", 61_000)
  static let server = (RouterBed.remote, 80)
  static let mapped = (RouterBed.external, 61_000)

  private func out(_ bed: Bed, _ flags: Int, sequence: UInt32, acknowledgment: UInt32 = 0, payload: [UInt8] = [])
    -> Bool
  {
    bed.out(
      .tcp(Self.client, Self.server, flags, sequence: sequence, acknowledgment: acknowledgment, payload: payload))
      != nil
  }

  private func back(_ bed: Bed, _ flags: Int, sequence: UInt32, acknowledgment: UInt32 = 0) -> Bool {
    bed.into(
      0, .tcp(Self.server, Self.mapped, flags, sequence: sequence, acknowledgment: acknowledgment, mac: outside)) != nil
  }

  /// A connection that stands: 1001 is the next from inside, 5001 from outside.
  private func established() -> Bed {
    let bed = Bed()
    #expect(out(bed, IPPacket.syn, sequence: 1000))
    #expect(back(bed, IPPacket.syn | IPPacket.ack, sequence: 5000, acknowledgment: 1001))
    #expect(out(bed, IPPacket.ack, sequence: 1001, acknowledgment: 5001))
    return bed
  }

  private func state(_ bed: Bed) -> String {
    var name = "none"
    _ = bed.router.pointee.visitSessions(from: 1, budget: 100) { name = ConnectionState(rawValue: $0.state).name }
    return name
  }

  @Test("one that stands is kept for hours, one that does not for minutes")
  func timers() {
    let bed = established()
    #expect(state(bed) == "established")
    bed.pass(seconds: 7439)
    #expect(bed.router.pointee.sessionCount == 1)
    bed.pass(seconds: 1)
    #expect(bed.router.pointee.sessionCount == 0)
    let halfOpen = Bed()
    #expect(out(halfOpen, IPPacket.syn, sequence: 1000) && state(halfOpen) == "syn_sent")
    halfOpen.pass(seconds: 240)
    #expect(halfOpen.router.pointee.sessionCount == 0)
  }

  @Test("after both have ended it is forgotten in minutes, and may begin anew meanwhile")
  func ended() {
    let bed = established()
    #expect(out(bed, IPPacket.fin | IPPacket.ack, sequence: 1001, acknowledgment: 5001) && state(bed) == "fin_wait")
    #expect(back(bed, IPPacket.fin | IPPacket.ack, sequence: 5001, acknowledgment: 1002) && state(bed) == "time_wait")
    #expect(out(bed, IPPacket.syn, sequence: 90_000) && state(bed) == "syn_sent")
    #expect(back(bed, IPPacket.syn | IPPacket.ack, sequence: 7000, acknowledgment: 90_001))
    #expect(out(bed, IPPacket.ack, sequence: 90_001, acknowledgment: 7001) && state(bed) == "established")
  }

  @Test("a reset counts within the window, and passes in any case: the end decides")
  func resets() {
    let inWindow = established()
    #expect(back(inWindow, IPPacket.rst, sequence: 5001) && state(inWindow) == "closed")
    let outOfWindow = established()
    #expect(back(outOfWindow, IPPacket.rst, sequence: 500_000) && state(outOfWindow) == "established")
    let damaged = established()
    var reset = IPPacket.tcp(Self.server, Self.mapped, IPPacket.rst, sequence: 5001, mac: outside)
    reset.bytes[reset.bytes.count - 3] ^= 0x55
    #expect(damaged.into(0, reset) != nil && state(damaged) == "established")
    let refused = Bed()
    #expect(out(refused, IPPacket.syn, sequence: 1000))
    #expect(back(refused, IPPacket.rst | IPPacket.ack, sequence: 0, acknowledgment: 1001) && state(refused) == "closed")
  }

  @Test(
    "a FIN counts within the window, and a forged segment beyond it does not keep the true one from counting",
    arguments: [5000, 0x9000_0000, 0xFFFF_FF00] as [UInt32])
  func ends(first: UInt32) {
    let (bed, finACK) = (Bed(), IPPacket.fin | IPPacket.ack)
    let next = first &+ 1
    func fromServer(_ flags: Int, _ sequence: UInt32, _ acknowledgment: UInt32 = 1001) -> String {
      #expect(back(bed, flags, sequence: sequence, acknowledgment: acknowledgment))
      return state(bed)
    }
    #expect(out(bed, IPPacket.syn, sequence: 1000))
    #expect(fromServer(IPPacket.syn | IPPacket.ack, first) == "syn_recv")
    #expect(out(bed, IPPacket.ack, sequence: 1001, acknowledgment: next))
    #expect(fromServer(finACK, next &+ 900_000) == "established")
    #expect(fromServer(finACK, next &- 1000) == "established")
    #expect(fromServer(IPPacket.rst, next &+ 900_000) == "established")
    #expect(out(bed, finACK, sequence: 900_000, acknowledgment: next) && state(bed) == "established")
    #expect(fromServer(IPPacket.ack, next &+ 900_000) == "established")
    #expect(fromServer(finACK, next) == "fin_wait")
    #expect(out(bed, finACK, sequence: 1001, acknowledgment: next &+ 1) && state(bed) == "time_wait")
  }

  @Test("both ends may open at the same time")
  func simultaneousOpen() {
    let bed = Bed()
    #expect(out(bed, IPPacket.syn, sequence: 1000) && back(bed, IPPacket.syn, sequence: 5000))
    #expect(out(bed, IPPacket.syn | IPPacket.ack, sequence: 1000, acknowledgment: 5001))
    #expect(back(bed, IPPacket.ack, sequence: 5001, acknowledgment: 1001) && state(bed) == "established")
  }

  @Test("a connection that is not known cannot be taken up where it would be translated")
  func unknown() {
    let bed = Bed()
    #expect(!out(bed, IPPacket.ack, sequence: 1000, acknowledgment: 1) && bed.drops(.noSession, at: 0) == 1)
    #expect(!back(bed, IPPacket.syn, sequence: 1))
  }

  @Test("when no port is free, a connection that is over gives its port up; one that stands does not")
  func recycling() throws {
    let bed = Bed(sessions: 5000)
    // Connections to a published port that are over are older, and have no port to give.
    #expect(bed.publish(8080...8080, 6, to: "10.1.0.2", 80))
    for number in 0..<200 {
      let client = (RouterBed.remote, 30_000 + number)
      #expect(bed.into(0, .tcp(client, (RouterBed.external, 8080), IPPacket.syn, mac: outside)) != nil)
      _ = bed.out(.tcp(("10.1.0.2", 80), client, IPPacket.rst | IPPacket.ack, acknowledgment: 1001))
    }
    for number in 0..<1000 {
      let client = ("10.1.0.2", 10_000 + number)
      let out = try #require(bed.out(.tcp(client, Self.server, IPPacket.syn, sequence: 1000)))
      // All but the first are refused.
      if number > 0 {
        _ = bed.into(
          0,
          .tcp(
            Self.server, (RouterBed.external, out.sourcePort), IPPacket.rst | IPPacket.ack, acknowledgment: 1001,
            mac: outside))
      }
    }
    for number in 0..<999 {
      #expect(bed.out(.tcp(("10.1.0.2", 20_000 + number), Self.server, IPPacket.syn, sequence: 1)) != nil)
    }
    #expect(bed.router.pointee.sessionCount == 1200)
    #expect(bed.out(.tcp(("10.1.0.2", 30_000), Self.server, IPPacket.syn, sequence: 1)) == nil)
    #expect(bed.drops(.portsExhausted, at: 0) == 1)
  }

  @Test("the segment size of a SYN is lowered to what the path takes, at an even and an odd place", arguments: [0, 1])
  func clamp(padding: Int) throws {
    let bed = Bed()
    bed.setUplink(mtu: 1400)
    let options: [UInt8] =
      [UInt8](repeating: 1, count: padding) + [2, 4, 0x05, 0xB4] + [UInt8](repeating: 0, count: 4 - padding)
    let out = try #require(bed.out(.tcp(Self.client, Self.server, IPPacket.syn, options: options)))
    #expect(out.word(out.transport + 20 + padding + 2) == 1360 && out.isSummedRight)
    let back = try #require(
      bed.into(0, .tcp(Self.server, Self.mapped, IPPacket.syn | IPPacket.ack, options: options, mac: outside)))
    #expect(back.word(back.transport + 20 + padding + 2) == 1360 && back.isSummedRight)
  }
}
