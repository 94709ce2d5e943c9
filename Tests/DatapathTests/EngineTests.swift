import Tables
import Testing
import Wire

@testable import Datapath

@Suite struct EngineTests {
  static let broadcast: UInt64 = 0xFFFF_FFFF_FFFF

  @Test func `a frame to an unknown address is flooded to every other port`() {
    var fabric = MemorySwitch(ports: 4)
    let sent = fabric.process([(1, frame(to: host(9), from: host(1)))])
    #expect(Set(sent.map(\.port)) == [0, 2, 3])
    #expect(sent.allSatisfy { $0.bytes == frame(to: host(9), from: host(1)) && !$0.isOnlyCopy })
    #expect(fabric.floodedCopies == 2)
  }

  @Test func `a learned address gets its frames alone, within the same burst too`() {
    var fabric = MemorySwitch(ports: 3)
    let sent = fabric.process([(0, frame(to: host(1), from: host(0))), (1, frame(to: host(0), from: host(1)))])
    #expect(sent.map(\.port) == [1, 2, 0])
    #expect(sent.last!.isOnlyCopy)
    let again = fabric.process([(0, frame(to: host(1), from: host(0)))])
    #expect(again.map(\.port) == [1])
  }

  @Test func `a station that moves is followed`() {
    var fabric = MemorySwitch(ports: 3)
    _ = fabric.process([(0, frame(to: Self.broadcast, from: host(0)))])
    _ = fabric.process([(2, frame(to: Self.broadcast, from: host(0)))])
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))]).map(\.port) == [2])
  }

  @Test func `never back out of the port it came in by`() {
    var fabric = MemorySwitch(ports: 2)
    _ = fabric.process([(0, frame(to: Self.broadcast, from: host(5)))])
    #expect(fabric.process([(0, frame(to: host(5), from: host(6)))]).isEmpty)
    #expect(fabric.drops(0, .samePort) == 1)
  }

  @Test func `a network with one port has nowhere to flood to`() {
    var fabric = MemorySwitch(ports: 1)
    #expect(fabric.process([(0, frame(to: Self.broadcast, from: host(0)))]).isEmpty)
    #expect(fabric.drops(0, .noOtherPort) == 1)
  }

  /// IEEE 802.1Q-2018, table 8-1: 01-80-C2-00-00-00 to 0F are not forwarded; 10 is an ordinary group address.
  @Test(arguments: 0...0x10) func `link-local control addresses are not forwarded`(last: Int) {
    var fabric = MemorySwitch(ports: 2)
    let sent = fabric.process([(0, frame(to: 0x0180_C200_0000 + UInt64(last), from: host(0)))])
    #expect(sent.isEmpty == (last <= 0x0F))
    #expect(fabric.drops(0, .linkLocalControl) == (last <= 0x0F ? 1 : 0))
  }

  @Test(arguments: [0, 0x01_00_5E_00_00_01, broadcast] as [UInt64])
  func `group and zero sources are dropped and not learned`(source: UInt64) {
    var fabric = MemorySwitch(ports: 2)
    #expect(fabric.process([(0, frame(to: host(1), from: source))]).isEmpty)
    #expect(fabric.drops(0, .invalidSource) == 1)
    #expect(fabric.engine.withTable(fabric.network) { $0.count } == 0)
  }

  @Test(arguments: 0..<14) func `runts are dropped at every length`(length: Int) {
    var fabric = MemorySwitch(ports: 2)
    #expect(fabric.process([(0, Array(frame(to: Self.broadcast, from: host(0)).prefix(length)))]).isEmpty)
    #expect(fabric.drops(0, .runt) == 1)
    #expect(fabric.count(0, .rxBytes) == UInt64(length))
  }

  /// The kernel's bridge lets the MTU, an Ethernet header and one VLAN tag pass (net/core/dev.c, __is_skb_forwardable).
  @Test(arguments: [1500, 9000]) func `the MTU and one tag pass, a byte more does not`(mtu: Int) {
    var fabric = MemorySwitch(ports: 2, NetworkOptions(mtu: mtu))
    #expect(fabric.process([(0, frame(to: Self.broadcast, from: host(0), payload: mtu + 4))]).count == 1)
    #expect(fabric.process([(0, frame(to: Self.broadcast, from: host(0), payload: mtu + 5))]).isEmpty)
    #expect(fabric.drops(0, .oversize) == 1)
  }

  @Test func `a frame that will be segmented passes whatever its length`() {
    var fabric = MemorySwitch(ports: 2)
    let large = frame(to: Self.broadcast, from: host(0), payload: 60_000)
    let header = VirtioNetHeader(
      flags: .needsChecksum, segmentation: .tcp4, headerLength: 54, segmentSize: 1448, checksumStart: 34,
      checksumOffset: 16)
    #expect(fabric.process([(0, large)], header: header).count == 1)
    var jumbo = header
    jumbo.segmentSize = 1501
    #expect(fabric.process([(0, large)], header: jumbo).isEmpty)
    #expect(fabric.drops(0, .oversize) == 1)
  }

  @Test(arguments: [[0x81, 0x00], [0x88, 0xA8], [0x08, 0x00]] as [[UInt8]])
  func `tags pass untouched, and bad IP headers are none of the switch's business`(type: [UInt8]) {
    var fabric = MemorySwitch(ports: 2)
    let tagged = frame(to: Self.broadcast, from: host(0), type: type)
    #expect(fabric.process([(0, tagged)]).map(\.bytes) == [tagged])
  }

  @Test func `isolated ports reach the others, and not each other`() {
    var fabric = MemorySwitch(ports: 4, isolated: [0, 1])
    #expect(Set(fabric.process([(0, frame(to: Self.broadcast, from: host(0)))]).map(\.port)) == [2, 3])
    #expect(Set(fabric.process([(2, frame(to: Self.broadcast, from: host(2)))]).map(\.port)) == [0, 1, 3])
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))]).isEmpty)
    #expect(fabric.drops(1, .isolated) == 1)
    #expect(fabric.process([(1, frame(to: host(2), from: host(1)))]).map(\.port) == [2])
    #expect(fabric.process([(2, frame(to: host(1), from: host(2)))]).map(\.port) == [1])
    fabric.engine.changePort(0, PortOptions(isIsolated: false))
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))]).map(\.port) == [0])
  }

  @Test func `aged entries go, and frames to them are flooded again`() {
    var fabric = MemorySwitch(ports: 3, NetworkOptions(ageingSeconds: 300))
    _ = fabric.process([(0, frame(to: Self.broadcast, from: host(0)))], now: 1000)
    fabric.engine.expire(now: 1299, budget: 10)
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))], now: 1299).count == 1)
    fabric.engine.expire(now: 1301, budget: 10)
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))], now: 1301).count == 2)
  }

  @Test func `a network whose ageing time is 0 learns nothing`() {
    var fabric = MemorySwitch(ports: 3, NetworkOptions(ageingSeconds: 0))
    _ = fabric.process([(0, frame(to: Self.broadcast, from: host(0)))])
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))]).map(\.port) == [0, 2])
  }

  @Test func `what one engine learns another can learn`() {
    var first = MemorySwitch(ports: 3, learnedCapacity: 4)
    var second = MemorySwitch(ports: 3)
    _ = first.process([(0, frame(to: Self.broadcast, from: host(0))), (1, frame(to: host(0), from: host(1)))])
    _ = first.process([(0, frame(to: host(1), from: host(0)))])
    let notes = first.takeLearned()
    #expect(notes == [0, 1].map { LearnedAddress(mac: MACAddress(bits: host($0)), port: UInt16($0), network: 0) })
    #expect(first.takeLearned().isEmpty)
    for note in notes { second.engine.learn(note, now: 0) }
    #expect(second.process([(2, frame(to: host(1), from: host(2)))]).map(\.port) == [1])
    // Seen again in another second, and moved: both are told.
    _ = first.process([(0, frame(to: host(1), from: host(0))), (2, frame(to: host(0), from: host(1)))], now: 1)
    #expect(first.takeLearned().map(\.port) == [0, 2])
    // More than there is room for: the first ones.
    _ = first.process((10..<20).map { (0, frame(to: host(1), from: host($0))) }, now: 1)
    #expect(first.takeLearned().map(\.mac.bits) == (10..<14).map(host))
  }

  @Test func `what was learned at a port that has gone meanwhile is not learned`() {
    var fabric = MemorySwitch(ports: 3)
    _ = fabric.engine.detachPort(0)
    fabric.engine.learn(LearnedAddress(mac: MACAddress(bits: host(0)), port: 0, network: 0), now: 0)
    fabric.engine.learn(LearnedAddress(mac: MACAddress(bits: host(0)), port: 1, network: 3), now: 0)
    #expect(fabric.engine.withTable(0) { $0.count } == 0)
  }

  @Test func `a port that goes leaves its counts to its network and its index to the next`() {
    var fabric = MemorySwitch(ports: 3)
    _ = fabric.process([(0, frame(to: Self.broadcast, from: host(0)))])
    let network = fabric.engine.detachPort(0)
    #expect(fabric.process([(0, frame(to: Self.broadcast, from: host(0)))]).isEmpty)
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))]).map(\.port) == [2])
    fabric.engine.freePort(0, from: network)
    let gone = Int(fabric.network) * NetworkCounter.count + NetworkCounter.gone.rawValue
    #expect(fabric.engine.networkCounterHandle[gone + PortCounter.rxFrames.rawValue] == 1)
    fabric.engine.addPort(0, to: fabric.network, PortOptions())
    #expect(fabric.count(0, .rxFrames) == 0)
  }

  @Test(arguments: [[0, 4], [4, 0], [2, 3], [0, 3]] as [[UInt16]])
  func `ports may go in any order, and those that stay are flooded once each`(gone: [UInt16]) {
    var fabric = MemorySwitch(ports: 5)
    for port in gone { fabric.engine.freePort(port, from: fabric.engine.detachPort(port)) }
    let sent = fabric.process([(1, frame(to: Self.broadcast, from: host(1)))])
    #expect(sent.map(\.port).sorted() == [0, 2, 3, 4].filter { !gone.contains($0) })
  }

  @Test func `a frame of the switch's own is learned and flooded, and counted as copies`() {
    var fabric = MemorySwitch(ports: 3)
    let bytes = [UInt8](repeating: 0, count: Engine.headerLength) + frame(to: Self.broadcast, from: host(0))
    var copy = bytes
    copy.withUnsafeMutableBytes { memory in
      let descriptor = FrameDescriptor(
        start: memory.baseAddress!, length: UInt32(memory.count), port: 0, buffer: 0)
      fabric.engine.inject(descriptor, now: 0, into: &fabric.output)
    }
    #expect(Set(fabric.output.sent.map(\.port)) == [1, 2])
    #expect(fabric.floodedCopies == 2)
    #expect(fabric.count(0, .rxFrames) == 0)
    #expect(fabric.process([(1, frame(to: host(0), from: host(1)))]).map(\.port) == [0])
  }

  /// Seeded traffic of every kind over ports that come and go: what came in is what went out and what was dropped.
  @Test(arguments: 1...20) func `no frame is lost without a counter`(seed: UInt64) {
    var random = SplitMix(seed)
    var fabric = MemorySwitch(ports: 8, NetworkOptions(macLimit: 16), isolated: [6, 7])
    var received: UInt64 = 0
    var sent: UInt64 = 0
    for now in 0..<200 {
      var burst: [(port: UInt16, bytes: [UInt8])] = []
      for _ in 0..<random.below(64) {
        let source = [0, 0x01_00_5E_00_00_01, host(random.below(40))][random.below(10) == 0 ? random.below(2) : 2]
        let destination = random.below(4) == 0 ? Self.broadcast : host(random.below(40))
        let bytes = frame(to: destination, from: source, payload: random.below(1600))
        burst.append((UInt16(random.below(8)), random.below(10) == 0 ? Array(bytes.prefix(random.below(14))) : bytes))
      }
      received += UInt64(burst.count)
      sent += UInt64(fabric.process(burst, now: UInt32(now * 10)).count)
      fabric.engine.expire(now: UInt32(now * 10), budget: 100)
    }
    let ports = (0..<8).map { UInt16($0) }
    let counted = ports.reduce(0) { $0 + fabric.count($1, .rxFrames) }
    let dropped = ports.reduce(0) { sum, port in sum + DropReason.allCases.reduce(0) { $0 + fabric.drops(port, $1) } }
    #expect(counted == received)
    #expect(received + fabric.floodedCopies == sent + dropped)
    #expect(dropped > 0 && fabric.floodedCopies > 0)
  }

  @Test func `every drop reason has a name of its own`() {
    let names = DropReason.allCases.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { $0.allSatisfy { $0.isLowercase || $0 == "_" } })
  }
}

/// splitmix64 (Steele, Lea, Flood 2014): a seed gives the same traffic everywhere.
struct SplitMix {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
