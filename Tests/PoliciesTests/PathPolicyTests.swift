import Datapath
import Policies
import Support
import Testing
import Wire

@Suite("ECMP, and active/standby pair")
struct PathPolicyTests {
  /// UDP over IPv4 from `Golden`, of another flow: its checksums are nobody's business here.
  private func flow(_ number: Int, to destination: UInt64 = host(0x99)) -> [UInt8] {
    var bytes = Golden.udpOwn
    bytes.replaceSubrange(0..<6, with: MACAddress(bits: destination).bytes)
    (bytes[34], bytes[35]) = (UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF))
    return bytes
  }

  private static let flowCount = 3000

  private func places(_ bed: PolicyBed) -> [UInt16] {
    (0..<Self.flowCount).map { bed.send(flow($0), from: 1).first ?? 99 }
  }

  @Test("flows are spread evenly, stay where they are, and only those of a member that goes move")
  func spread() throws {
    let bed = try PolicyBed("ecmp", ports(5), ["members": "e2,e3,e4,e5", "to": "02:00:00:00:00:99"])
    let before = places(bed)
    #expect(places(bed) == before)
    for port in 2...5 as ClosedRange<UInt16> {
      #expect((600...900).contains(before.count { $0 == port }), "a quarter of 3000 each")
    }
    #expect(bed.counter("to_e3") == UInt64(2 * before.count { $0 == 3 }) && bed.isConserved)
    bed.remove(3)
    let without = places(bed)
    #expect(zip(before, without).allSatisfy { $0 == 3 ? [2, 4, 5].contains($1) : $0 == $1 })
    bed.add(.endpoint(9, "e3"))
    #expect(zip(before, places(bed)).allSatisfy { $0 == 3 ? $1 == 9 : $0 == $1 })
    for port in [2, 4, 5, 9] as [UInt16] { bed.remove(port) }
    #expect(bed.send(flow(1), from: 1) == [] && bed.drops(1, .noMember) == 1)
  }

  @Test("fragments of a packet go together, and with by=addresses all flows between two hosts do")
  func fragments() throws {
    let bed = try PolicyBed("ecmp", ports(5), ["members": "e2,e3,e4,e5"])
    var (first, later) = (flow(1), flow(2))
    (first[20], later[21]) = (0x20, 0x01)
    #expect(bed.send(first, from: 1) == bed.send(later, from: 1))
    #expect(bed.send(flow(1, to: host(0)), from: 1) == [0, 2, 3, 4, 5], "the gateway is never unknown")
    let together = try PolicyBed("ecmp", ports(5), ["members": "e2,e3,e4,e5", "by": "addresses"])
    #expect(Set(places(together)).count == 1)
  }

  @Test("only what is for the members is spread; the address behind all of them is not learned")
  func others() throws {
    let bed = try PolicyBed("ecmp", ports(4), ["members": "e2,e3", "to": "02:00:00:00:00:99"])
    #expect(bed.send(frame(to: broadcast, from: host(0x99)), from: 2) == [0, 1, 3, 4])
    #expect(bed.send(frame(to: host(0x98), from: host(1)), from: 1) == [0, 2, 3, 4])
    #expect(bed.send(frame(to: host(1), from: host(0x99)), from: 3) == [1])
    #expect(bed.engine.withTable(0) { $0.entry(of: MACAddress(bits: host(0x99))) } == nil)
    let one = bed.send(flow(5), from: 1)[0]
    #expect(bed.send(flow(5), from: one) == [] && bed.drops(one, .samePort) == 1)
    #expect(bed.ask(flow(5), from: 1).verdict == .forward(one) && bed.isConserved)
  }

  /// e1 and e2 are the pair.
  private func pair(_ parameters: [String: String] = [:]) throws -> PolicyBed {
    let given = ["active": "e1", "standby": "e2"].merging(parameters) { $1 }
    let bed = try PolicyBed("active-standby", ports(4), given)
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 1) == [0, 3, 4])
    return bed
  }

  @Test("nothing comes from the port that stands by, and nothing goes there")
  func standby() throws {
    let bed = try pair()
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 2) == [] && bed.drops(2, .standby) == 1)
    #expect(bed.send(frame(to: broadcast, from: host(3)), from: 3) == [0, 1, 4])
    #expect(bed.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 1, 4])
    #expect(bed.send(frame(to: host(0x50), from: host(3)), from: 3) == [1])
    #expect(bed.send(frame(to: host(0x50), from: host(0x51)), from: 1) == [] && bed.drops(1, .samePort) == 1)
    #expect(bed.isConserved)
  }

  @Test("when the active port is gone the other one is used at once, for what was learned too, until it is back")
  func gone() throws {
    let bed = try pair()
    bed.remove(1)
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 2) == [0, 3, 4])
    #expect(bed.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 2, 4])
    #expect(bed.send(frame(to: host(0x50), from: host(3)), from: 3) == [2])
    bed.add(.endpoint(5, "e1"))
    #expect(bed.send(frame(to: host(0x50), from: host(3)), from: 3) == [5])
    #expect(bed.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 4, 5])
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 2) == [])
    let staying = try pair(["revert": "off"])
    staying.remove(1)
    staying.add(.endpoint(5, "e1"))
    #expect(staying.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 2, 4])
    staying.remove(2)
    #expect(staying.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 4, 5])
    let one = try PolicyBed(
      "active-standby", ports(2) + [PolicyPort(index: 3, kind: .endpoint, names: ["a", "b"])],
      ["active": "a", "standby": "b"])
    #expect(one.send(frame(to: broadcast, from: host(0x50)), from: 3) == [0, 1, 2], "both names are one port's")
    staying.remove(5)
    #expect(staying.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 4])
  }

  @Test("the other one takes over when the active port is silent, and only if it has traffic")
  func silent() throws {
    let bed = try pair()
    bed.now += 2
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 2) == [])
    bed.now += 1
    #expect(bed.send(frame(to: broadcast, from: host(3)), from: 3) == [0, 1, 4], "the standby has said nothing")
    #expect(bed.ask(frame(to: broadcast, from: host(0x50)), from: 2).verdict == .floodBeside(1))
    #expect(bed.send(frame(to: broadcast, from: host(3)), from: 3) == [0, 1, 4], "it was only asked")
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 2) == [0, 3, 4])
    #expect(bed.send(frame(to: host(0x50), from: host(3)), from: 3) == [2] && bed.counter("switchovers") == 1)
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 1) == [0, 3, 4], "it is back")
    #expect(bed.send(frame(to: host(0x50), from: host(3)), from: 3) == [1] && bed.counter("switchovers") == 2)
    #expect(bed.isConserved)
  }

  @Test(
    "with revert=off the active port stands by until the other one is silent; with silence=0 only a port that is gone counts"
  )
  func stays() throws {
    let bed = try pair(["revert": "off", "silence": "10"])
    bed.now += 10
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 2) == [0, 3, 4])
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 1) == [] && bed.drops(1, .standby) == 1)
    bed.now += 10
    #expect(bed.send(frame(to: broadcast, from: host(0x50)), from: 1) == [0, 3, 4])
    let never = try pair(["silence": "0"])
    never.now += 3000
    #expect(never.send(frame(to: broadcast, from: host(0x50)), from: 2) == [])
  }

  @Test("what came from one host of an overlay goes to no other, with two ports as one, too")
  func overlay() throws {
    let hosts = [8, 9].map { PolicyPort(index: $0, kind: .vtep, names: ["192.0.2.\($0)"]) }
    let bed = try PolicyBed("active-standby", ports(3) + hosts, ["active": "e1", "standby": "e2"])
    #expect(bed.send(frame(to: broadcast, from: host(0x70)), from: 8) == [0, 1, 3])
    #expect(bed.send(frame(to: broadcast, from: host(3)), from: 3) == [0, 1, 8, 9] && bed.isConserved)
  }

  @Test("what one worker hears of the pair, all know")
  func shared() throws {
    let given = ["active": "e1", "standby": "e2"]
    let policy = try #require(PolicyCatalog.policy(named: "active-standby")).make(given, workers: 2)
    let (first, second) = (PolicyBed(policy, worker: 0, ports(3)), PolicyBed(policy, worker: 1, ports(3)))
    #expect(first.send(frame(to: broadcast, from: host(0x50)), from: 1) == [0, 3])
    second.now += 5
    #expect(second.send(frame(to: broadcast, from: host(0x50)), from: 2) == [0, 3])
    #expect(first.send(frame(to: host(0x66), from: host(3)), from: 3) == [0, 2])
  }
}
