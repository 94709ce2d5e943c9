import Datapath
import Policies
import Testing
import Wire

@Suite("IGMP and MLD snooping")
struct SnoopingTests {
  /// The router of the queries is at 0; the station of the golden frames at 1; the source of the multicast at 2.
  private func bed(_ parameters: [String: String] = [:], asked: Bool = true) throws -> PolicyBed {
    let bed = try PolicyBed("snooping", ports(4), parameters)
    guard asked else { return bed }
    #expect(bed.send(Golden.igmpv3Query, from: 0) == [1, 2, 3, 4])
    #expect(bed.send(Golden.mldv2Query, from: 0) == [1, 2, 3, 4])
    return bed
  }

  private static let joins = [Golden.igmpv1Report, Golden.igmpv2Report, Golden.igmpv3Join]
  private static let joins6 = [Golden.mldv1Report, Golden.mldv2Join]

  @Test("a report goes to routers, and what is sent to its group to the member and to routers")
  func joined() throws {
    for (join, group) in Self.joins.map({ ($0, Golden.multicast4) }) + Self.joins6.map({ ($0, Golden.multicast6) }) {
      let bed = try bed()
      #expect(bed.send(group, from: 2) == [0, 1, 3, 4], "unknown")
      #expect(bed.send(join, from: 1) == [0] && bed.counter("reports") == 1)
      #expect(bed.send(group, from: 2) == [0, 1])
      #expect(bed.send(group, from: 1) == [0], "not back to where it came from")
      #expect(bed.isConserved)
    }
  }

  @Test("a member that leaves has two seconds for others at its port; with fast-leave none")
  func left() throws {
    let leaves = [
      (Golden.igmpv2Report, Golden.igmpv2Leave, Golden.multicast4),
      (Golden.igmpv3Join, Golden.igmpv3Leave, Golden.multicast4),
      (Golden.mldv1Report, Golden.mldv1Done, Golden.multicast6),
      (Golden.mldv2Join, Golden.mldv2Leave, Golden.multicast6),
    ]
    for (join, leave, group) in leaves {
      let bed = try bed()
      _ = bed.send(join, from: 1)
      #expect(bed.send(leave, from: 1) == [0] && bed.counter("leaves") == 1)
      bed.now += 1
      #expect(bed.send(group, from: 2) == [0, 1])
      bed.now += 1
      #expect(bed.send(group, from: 2) == [0])
      _ = bed.send(join, from: 1)
      _ = bed.send(leave, from: 1)
      _ = bed.send(join, from: 1)
      bed.now += 3
      #expect(bed.send(group, from: 2) == [0, 1], "it has joined again")
      let fast = try self.bed(["fast-leave": "on"])
      _ = fast.send(join, from: 1)
      _ = fast.send(leave, from: 1)
      #expect(fast.send(group, from: 2) == [0])
    }
  }

  @Test("members and routers that are not heard any more are forgotten")
  func ageing() throws {
    let bed = try bed(["ageing": "20"])
    _ = bed.send(Golden.igmpv3Join, from: 1)
    bed.now += 10
    _ = bed.send(Golden.igmpv3Join, from: 3)
    #expect(bed.send(Golden.multicast4, from: 2) == [0, 1, 3])
    bed.now += 10
    #expect(bed.send(Golden.multicast4, from: 2) == [0, 3])
    bed.now += 10
    #expect(bed.send(Golden.multicast4, from: 2) == [0, 1, 3, 4], "unknown again")
    _ = bed.send(Golden.igmpv2Query, from: 4)
    bed.now += 226
    _ = bed.send(Golden.igmpv3Join, from: 1)
    #expect(bed.send(Golden.multicast4, from: 2) == [1, 4], "the first querier is gone, the second is not")
    #expect(bed.isConserved)
  }

  @Test("where nobody asks, nobody is left out, unless snooping without a querier was asked for")
  func withoutQuerier() throws {
    let bed = try bed(asked: false)
    #expect(bed.send(Golden.igmpv3Join, from: 1) == [0, 2, 3, 4])
    #expect(bed.send(Golden.multicast4, from: 2) == [0, 1, 3, 4])
    #expect(bed.send(Golden.igmpProxyQuery, from: 0) == [1, 2, 3, 4], "a switch that asks is no router")
    #expect(bed.send(Golden.multicast4, from: 2) == [0, 1, 3, 4])
    let snooping = try self.bed(["without-querier": "snoop"], asked: false)
    _ = snooping.send(Golden.igmpv3Join, from: 1)
    #expect(snooping.send(Golden.multicast4, from: 2) == [1])
  }

  @Test("groups that nobody has joined go to routers only where that is asked for; those for all go everywhere")
  func unknown() throws {
    let bed = try bed(["unknown": "routers"])
    #expect(bed.send(Golden.multicast4, from: 2) == [0] && bed.send(Golden.multicast6, from: 2) == [0])
    for group in [0x0100_5E00_0001, 0x0100_5E00_00FB, 0x3333_0000_0001, broadcast, 0x0180_C200_0010] as [UInt64] {
      #expect(bed.send(frame(to: group, from: host(2)), from: 2) == [0, 1, 3, 4])
    }
    #expect(bed.send(frame(to: 0x3333_0000_00FB, from: host(2)), from: 2) == [0])
    #expect(bed.send(frame(to: host(3), from: host(2)), from: 2) == [0, 1, 3, 4], "one station that is not known")
    _ = bed.send(frame(to: broadcast, from: host(3)), from: 3)
    #expect(bed.send(frame(to: host(3), from: host(2)), from: 2) == [3])
  }

  @Test("each record of a report counts: BLOCK_OLD joins nothing, ALLOW_NEW and IS_EXCLUDE do")
  func records() throws {
    let bed = try bed(["unknown": "routers"])
    #expect(bed.send(Golden.igmpv3Three, from: 1) == [0] && bed.counter("reports") == 2)
    #expect(bed.send(frame(to: 0x0100_5E09_0901, from: host(2)), from: 2) == [0])
    #expect(bed.send(frame(to: 0x0100_5E09_0902, from: host(2)), from: 2) == [0, 1])
    #expect(bed.send(frame(to: 0x0100_5E09_0903, from: host(2)), from: 2) == [0, 1])
  }

  @Test("a report that says it has more than it has joins what is whole, and what is only asked about joins nothing")
  func hostile() throws {
    for length in 14..<Golden.igmpv3Three.count {
      let bed = try bed()
      _ = bed.send(Array(Golden.igmpv3Three.prefix(length)), from: 1)
      #expect(bed.isConserved && bed.counter("reports") == 0, "its IP header says that it is longer")
    }
    let bed = try bed()
    var lying = Golden.igmpv3Three
    // The second record's sources: 65,535.
    (lying[14 + 24 + 8 + 12 + 2], lying[14 + 24 + 8 + 12 + 3]) = (0xFF, 0xFF)
    _ = bed.send(lying, from: 1)
    #expect(bed.counter("reports") == 0)
    #expect(bed.ask(Golden.igmpv3Join, from: 1).steps.contains { $0.contains("report") })
    #expect(bed.send(Golden.multicast4, from: 2) == [0, 1, 3, 4] && bed.counter("reports") == 0)
  }

  @Test("what one worker hears all know, and other hosts get all multicast")
  func shared() throws {
    let policy = try #require(PolicyCatalog.policy(named: "snooping")).make([:], workers: 2)
    let all = ports(4) + [PolicyPort(index: 9, kind: .vtep, names: ["192.0.2.1"])]
    let (first, second) = (PolicyBed(policy, worker: 0, all), PolicyBed(policy, worker: 1, all))
    _ = first.send(Golden.igmpv3Query, from: 0)
    #expect(first.send(Golden.igmpv3Join, from: 1) == [0, 9])
    #expect(second.send(Golden.multicast4, from: 2) == [0, 1, 9])
    #expect(second.send(Golden.multicast4, from: 9) == [0, 1])
  }
}
