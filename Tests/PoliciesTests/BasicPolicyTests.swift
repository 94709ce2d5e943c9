import Datapath
import Policies
import Testing
import Wire

@Suite("Hub, isolated and static policies")
struct BasicPolicyTests {
  @Test("a hub floods what it could know, and learns nothing")
  func hub() throws {
    let bed = try PolicyBed("hub", ports(3))
    for _ in 0..<2 {
      #expect(bed.send(frame(to: host(2), from: host(1)), from: 1) == [0, 2, 3])
      #expect(bed.send(frame(to: host(1), from: host(2)), from: 2) == [0, 1, 3])
    }
    #expect(bed.engine.withTable(0) { $0.count } == 0 && bed.isConserved)
  }

  @Test("isolated ports reach the gateway, which reaches them, and not each other")
  func isolated() throws {
    let bed = try PolicyBed("isolated", ports(3))
    #expect(bed.send(frame(to: broadcast, from: host(1)), from: 1) == [0])
    #expect(bed.send(frame(to: host(9), from: host(2)), from: 2) == [0])
    #expect(bed.send(frame(to: broadcast, from: host(0)), from: 0) == [1, 2, 3])
    #expect(bed.send(frame(to: host(0), from: host(1)), from: 1) == [0])
    #expect(bed.send(frame(to: host(1), from: host(0)), from: 0) == [1])
    #expect(bed.send(frame(to: host(2), from: host(1)), from: 1) == [] && bed.drops(1, .isolated) == 1)
    #expect(bed.send(frame(to: host(1), from: host(1)), from: 1) == [] && bed.drops(1, .samePort) == 1)
    #expect(bed.isConserved)
  }

  @Test("promiscuous ports are named; one that comes later is one too, and one that goes leaves nobody to reach")
  func promiscuous() throws {
    let bed = try PolicyBed("isolated", ports(3), ["promiscuous": "e2,e4"])
    #expect(bed.send(frame(to: broadcast, from: host(1)), from: 1) == [2])
    #expect(bed.send(frame(to: broadcast, from: host(0)), from: 0) == [2])
    let stranger = try PolicyBed("isolated", ports(3), ["promiscuous": "e2"])
    #expect(stranger.send(frame(to: host(0), from: host(1)), from: 1) == [] && stranger.drops(1, .isolated) == 1)
    #expect(stranger.send(frame(to: host(0), from: host(2)), from: 2) == [0, 1, 3])
    bed.add(.endpoint(4, "e4"))
    #expect(bed.send(frame(to: broadcast, from: host(1)), from: 1) == [2, 4])
    #expect(bed.send(frame(to: broadcast, from: host(4)), from: 4) == [0, 1, 2, 3])
    #expect(bed.isConserved)
    bed.remove(2)
    bed.remove(4)
    #expect(bed.send(frame(to: broadcast, from: host(1)), from: 1) == [] && bed.drops(1, .noOtherPort) == 1)
  }

  @Test("a static network sends to given addresses, drops others, and learns nothing")
  func staticAddresses() throws {
    let given = ["mac.02:00:00:00:00:02": "e2", "mac.02-00-00-00-00-77": "e1", "mac.02:00:00:00:00:05": "later"]
    let bed = try PolicyBed("static", ports(3), given)
    #expect(bed.send(frame(to: host(2), from: host(1)), from: 1) == [2])
    #expect(bed.send(frame(to: host(0x77), from: host(2)), from: 2) == [1])
    #expect(bed.send(frame(to: host(1), from: host(2)), from: 2) == [] && bed.drops(2, .policy) == 1)
    #expect(bed.send(frame(to: host(5), from: host(2)), from: 2) == [] && bed.drops(2, .policy) == 2)
    #expect(bed.send(frame(to: host(2), from: host(9)), from: 2) == [] && bed.drops(2, .samePort) == 1)
    #expect(bed.send(frame(to: broadcast, from: host(1)), from: 1) == [0, 2, 3])
    #expect(bed.engine.withTable(0) { $0.count } == 0 && bed.isConserved)
    bed.add(.endpoint(7, "later"))
    #expect(bed.send(frame(to: host(5), from: host(2)), from: 2) == [7])
  }

  @Test("static entries of the MAC table count, what was learned before does not; groups may be dropped")
  func staticEntries() throws {
    let bed = try PolicyBed("static", ports(3), ["groups": "drop"])
    bed.engine.withTable(0) { table in
      _ = table.insertStatic(MACAddress(bits: host(1)), port: 1)
      _ = table.learn(MACAddress(bits: host(2)), port: 2, now: 1000)
    }
    #expect(bed.send(frame(to: host(1), from: host(2)), from: 2) == [1])
    #expect(bed.send(frame(to: host(2), from: host(1)), from: 1) == [])
    #expect(bed.send(frame(to: broadcast, from: host(1)), from: 1) == [] && bed.drops(1, .policy) == 2)
    #expect(bed.isConserved)
  }
}
