import Datapath
import Policies
import Testing
import Wire

@Suite("VLAN-aware policy")
struct VLANPolicyTests {
  private static let modes = [
    "port.e1": "access:10", "port.e2": "access:10", "port.e3": "access:20", "port.e4": "trunk:10,20-30,native=5,s100",
    "port.e5": "trunk:10", "port.e6": "qinq:100", "port.e7": "qinq:100", "port.e8": "access:5",
  ]

  private func bed() throws -> PolicyBed { try PolicyBed("vlan", ports(8), Self.modes) }

  private func tag(_ vlan: UInt16, priority: UInt16 = 0, type: UInt16 = 0x8100) -> [UInt8] {
    let control = priority << 13 | vlan
    return [UInt8(type >> 8), UInt8(type & 0xFF), UInt8(control >> 8), UInt8(control & 0xFF)]
  }

  /// What leaves: the port, and what stands between the addresses and 0x88B5.
  private func leaving(_ bed: PolicyBed, _ bytes: [UInt8], from port: UInt16) -> [UInt16: [UInt8]] {
    var all: [UInt16: [UInt8]] = [:]
    for sent in bed.process([(port, bytes)]) {
      #expect(sent.bytes.suffix(48) == bytes.suffix(48) && sent.bytes.prefix(12) == bytes.prefix(12))
      all[sent.port] = Array(sent.bytes.dropFirst(12).dropLast(48))
    }
    return all
  }

  @Test("a frame leaves by the ports of its VLAN only, tagged as each has it")
  func tags() throws {
    let bed = try bed()
    let (plain, from) = ({ (tags: [UInt8]) in frame(to: broadcast, from: host(0x30), tags: tags) }, leaving)
    #expect(from(bed, plain([]), 1) == [2: [], 4: tag(10), 5: tag(10)])
    #expect(from(bed, plain([]), 3) == [4: tag(20)])
    #expect(from(bed, plain(tag(10)), 4) == [1: [], 2: [], 5: tag(10)])
    #expect(from(bed, plain([]), 4) == [8: []], "native")
    #expect(from(bed, plain(tag(5)), 4) == [8: []])
    #expect(from(bed, plain([]), 8) == [4: []])
    #expect(from(bed, plain(tag(0, priority: 6)), 1) == [2: [], 4: tag(10, priority: 6), 5: tag(10, priority: 6)])
    #expect(bed.isConserved)
  }

  @Test("a provider's VLAN takes a customer's frames, tags and all, apart from its own VLANs of the same number")
  func provider() throws {
    let bed = try bed()
    let plain = { (tags: [UInt8]) in frame(to: broadcast, from: host(0x30), tags: tags) }
    let service = tag(100, type: 0x88A8)
    #expect(leaving(bed, plain([]), from: 6) == [4: service, 7: []])
    #expect(
      leaving(bed, plain(tag(10, priority: 3)), from: 6)
        == [4: tag(100, priority: 3, type: 0x88A8) + tag(10, priority: 3), 7: tag(10, priority: 3)])
    #expect(leaving(bed, plain(service + tag(10)), from: 4) == [6: tag(10), 7: tag(10)])
    #expect(leaving(bed, plain(tag(100)), from: 4) == [:] && bed.drops(4, .vlanFiltered) == 1)
    #expect(leaving(bed, plain(service), from: 6) == [:] && bed.drops(6, .vlanFiltered) == 1)
    #expect(bed.isConserved)
  }

  @Test("golden frames of scapy: an S-tag is put before the C-tag, and taken off")
  func golden() throws {
    let bed = try bed()
    let sent = bed.process([(6, Golden.customerTagged)])
    #expect(sent.first { $0.port == 4 }?.bytes == Golden.serviceTagged)
    let back = bed.process([(4, Golden.serviceTagged)])
    #expect(back.contains { $0.port == 7 && $0.bytes == Golden.customerTagged })
  }

  @Test("frames of a VLAN that the port does not have are dropped")
  func filtered() throws {
    let bed = try bed()
    let wrong: [(UInt16, [UInt8])] = [
      (1, tag(10)), (1, tag(20)), (1, tag(100, type: 0x88A8)), (4, tag(31)), (4, tag(4095)), (5, []), (5, tag(20)),
      (5, tag(0)), (4, tag(0, type: 0x88A8)), (1, tag(0, type: 0x88A8)),
    ]
    for (port, tags) in wrong {
      #expect(bed.send(frame(to: broadcast, from: host(0x30), tags: tags), from: port) == [])
    }
    let half = Array(frame(to: broadcast, from: host(0x30)).prefix(12)) + [0x81, 0x00, 0x00]
    for port in [1, 4, 6] as [UInt16] { #expect(bed.send(half, from: port) == []) }
    #expect(bed.counter("filtered") == UInt64(wrong.count + 3) && bed.isConserved)
    #expect(bed.ask(frame(to: broadcast, from: host(1), tags: tag(20)), from: 1).verdict == .drop(.vlanFiltered))
  }

  @Test("one MAC address in two VLANs is at a port in each, and the network's own table has neither")
  func learning() throws {
    let bed = try bed()
    _ = bed.send(frame(to: broadcast, from: host(0x40)), from: 2)
    _ = bed.send(frame(to: broadcast, from: host(0x40)), from: 3)
    #expect(bed.send(frame(to: host(0x40), from: host(0x41)), from: 1) == [2])
    #expect(bed.send(frame(to: host(0x40), from: host(0x41), tags: tag(10)), from: 4) == [2])
    #expect(bed.send(frame(to: host(0x40), from: host(0x41), tags: tag(20)), from: 4) == [3])
    #expect(bed.send(frame(to: host(0x40), from: host(0x42)), from: 8) == [4], "unknown in VLAN 5")
    #expect(leaving(bed, frame(to: host(0x41), from: host(0x40)), from: 2) == [4: tag(10)])
    #expect(bed.send(frame(to: host(0x40), from: host(0x43)), from: 2) == [] && bed.drops(2, .samePort) == 1)
    #expect(bed.engine.withTable(0) { $0.count } == 0 && bed.isConserved)
    bed.now += 300
    #expect(bed.send(frame(to: host(0x40), from: host(0x41)), from: 1) == [2, 4, 5], "forgotten after 300 s")
  }

  @Test("a frame that is asked about is not learned from; a port that is gone is not sent to")
  func dryRun() throws {
    let bed = try bed()
    _ = bed.ask(frame(to: broadcast, from: host(0x40)), from: 2)
    #expect(bed.send(frame(to: host(0x40), from: host(0x41)), from: 1) == [2, 4, 5])
    _ = bed.send(frame(to: broadcast, from: host(0x40)), from: 2)
    bed.remove(2)
    #expect(bed.send(frame(to: host(0x40), from: host(0x41)), from: 1) == [4, 5])
  }

  @Test("all workers share the table")
  func shared() throws {
    let policy = try #require(PolicyCatalog.policy(named: "vlan")).make(Self.modes, workers: 2)
    let (first, second) = (PolicyBed(policy, worker: 0, ports(8)), PolicyBed(policy, worker: 1, ports(8)))
    _ = first.send(frame(to: broadcast, from: host(0x40)), from: 2)
    #expect(second.send(frame(to: host(0x40), from: host(0x41)), from: 1) == [2])
  }

  @Test("the gateway is reached in its own VLAN only: the router asks nobody for a VLAN")
  func gateway() throws {
    let bed = try bed()
    #expect(bed.send(frame(to: host(0), from: host(3)), from: 3) == [] && bed.drops(3, .vlanFiltered) == 1)
    bed.add(.endpoint(9, "e9"))
    #expect(bed.send(frame(to: host(0), from: host(9)), from: 9) == [0], "both are in VLAN 1 by default")
  }

  @Test("a full table is counted, and what it has no room for is flooded in its VLAN")
  func full() throws {
    let bed = try PolicyBed("vlan", ports(3), ["table": "16"])
    for number in 0..<100 as Range<UInt16> { _ = bed.send(frame(to: broadcast, from: host(0x100 + number)), from: 1) }
    let refused = try #require(bed.counter("table_full"))
    #expect((60...84).contains(refused))
    let flooded = (0..<100 as Range<UInt16>).count {
      bed.send(frame(to: host(0x100 + $0), from: host(0x100)), from: 2).count == 3
    }
    #expect(flooded == Int(refused) && bed.isConserved)
  }
}
