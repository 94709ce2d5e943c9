import Tables
import Testing
import Wire

@testable import Datapath

/// Port 0 is the parent, 1 to 3 are endpoints'. Addresses are 10.0.0.N and fe80::N at port N; MACs are `host(N)`, or `shared`.
@Suite struct LANPolicyTests {
  static let broadcast: UInt64 = 0xFFFF_FFFF_FFFF
  static let shared: UInt64 = 0x02_00_00_00_00_77
  static let (router, parent): (UInt64, UInt16) = (0x02_00_00_00_00_99, 0)

  static func bed(_ forwarding: Forwarding, isolated: Set<Int> = []) -> MemorySwitch {
    var fabric = MemorySwitch(
      ports: 0, NetworkOptions(forwarding: forwarding, sharedMAC: MACAddress(bits: shared)), learnedCapacity: 8)
    fabric.engine.addPort(0, to: 0, PortOptions(isParent: true))
    for port in 1...3 {
      fabric.engine.addPort(UInt16(port), to: 0, PortOptions(isIsolated: isolated.contains(port)))
      if forwarding.usesAddresses {
        let isTold = fabric.setAddresses([ipv4(port), ipv6(port)], of: UInt16(port))
        #expect(isTold)
      } else {
        fabric.engine.withTable(0) { _ = $0.insertStatic(MACAddress(bits: host(port)), port: UInt16(port)) }
      }
    }
    return fabric
  }

  static func ipv4(_ number: Int) -> UInt128 { IPv4Address(bits: 0x0A00_0000 + UInt32(number)).mapped }
  static func ipv6(_ number: Int) -> UInt128 { 0xFE80 << 112 | UInt128(number) }

  private static func bytes(_ value: UInt128, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> UInt128(8 * $0)) }
  }

  /// An IPv4 packet (RFC 791) with nothing in it.
  static func packet(_ to: UInt64, _ from: UInt64, _ source: Int, _ destination: Int) -> [UInt8] {
    let header: [UInt8] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0]
    return ethernet(to, from, [0x08, 0x00])
      + header + bytes(0x0A00_0000 + UInt128(source), 4) + bytes(0x0A00_0000 + UInt128(destination), 4)
  }

  /// An IPv6 packet (RFC 8200) with `payload`.
  static func packet6(
    _ to: UInt64, _ from: UInt64, _ source: UInt128, _ destination: UInt128, next: UInt8 = 59, _ payload: [UInt8] = []
  ) -> [UInt8] {
    ethernet(to, from, [0x86, 0xDD]) + [0x60, 0, 0, 0, 0, UInt8(payload.count), next, 255] + bytes(source, 16)
      + bytes(destination, 16) + payload
  }

  /// A neighbour solicitation (RFC 4861, 4.3) to the target's solicited-node address.
  static func solicitation(_ from: UInt64, for target: UInt128) -> [UInt8] {
    let group: UInt128 = 0xFF02_0000_0000_0000_0000_0001_FF00_0000 | target & 0xFF_FFFF
    return packet6(
      0x3333_FF00_0000 | UInt64(target & 0xFF_FFFF), from, ipv6(99), group, next: 58,
      [135, 0, 0, 0, 0, 0, 0, 0] + bytes(target, 16))
  }

  /// RFC 826.
  static func arp(_ to: UInt64, _ from: UInt64, operation: UInt8, _ sender: Int, for target: Int) -> [UInt8] {
    ethernet(to, from, [0x08, 0x06]) + [0, 1, 8, 0, 6, 4, 0, operation] + MACAddress(bits: from).bytes
      + bytes(0x0A00_0000 + UInt128(sender), 4) + [0, 0, 0, 0, 0, 0] + bytes(0x0A00_0000 + UInt128(target), 4)
  }

  private static func ethernet(_ to: UInt64, _ from: UInt64, _ type: [UInt8]) -> [UInt8] {
    MACAddress(bits: to).bytes + MACAddress(bits: from).bytes + type
  }

  // MARK: MAC addresses of their own

  @Test func `endpoints reach each other and the LAN, and nothing unknown is flooded`() {
    var fabric = Self.bed(.endpointMACs)
    #expect(fabric.process([(1, frame(to: host(2), from: host(1)))]).map(\.port) == [2])
    #expect(fabric.process([(1, frame(to: Self.router, from: host(1)))]).map(\.port) == [0])
    #expect(fabric.process([(0, frame(to: host(3), from: Self.router))]).map(\.port) == [3])
    #expect(Set(fabric.process([(1, frame(to: Self.broadcast, from: host(1)))]).map(\.port)) == [0, 2, 3])
    #expect(Set(fabric.process([(0, frame(to: Self.broadcast, from: Self.router))]).map(\.port)) == [1, 2, 3])
    #expect(fabric.process([(0, frame(to: host(9), from: Self.router))]).isEmpty)
    #expect(fabric.drops(0, .noOtherPort) == 1)
    #expect(fabric.takeLearned().isEmpty)
    #expect(fabric.engine.withTable(0) { $0.count } == 3)
  }

  @Test func `what the outside sends back is dropped`() {
    for forwarding in [Forwarding.endpointMACs, .sharedMAC] {
      var fabric = Self.bed(forwarding)
      let own = forwarding == .sharedMAC ? Self.shared : host(1)
      #expect(fabric.process([(0, frame(to: Self.broadcast, from: own))]).isEmpty)
      #expect(fabric.drops(0, .samePort) == 1)
    }
  }

  @Test func `private endpoints reach the LAN alone`() {
    var fabric = Self.bed(.endpointMACs, isolated: [1, 2, 3])
    #expect(fabric.process([(1, frame(to: host(2), from: host(1)))]).isEmpty)
    #expect(fabric.drops(1, .isolated) == 1)
    #expect(fabric.process([(1, frame(to: Self.broadcast, from: host(1)))]).map(\.port) == [0])
    #expect(fabric.process([(0, frame(to: host(2), from: Self.router))]).map(\.port) == [2])
    #expect(Set(fabric.process([(0, frame(to: Self.broadcast, from: Self.router))]).map(\.port)) == [1, 2, 3])
  }

  @Test func `with VEPA all goes out, and comes back to all but its sender`() {
    var fabric = Self.bed(.reflected)
    for destination in [host(2), Self.broadcast, Self.router] {
      #expect(fabric.process([(1, frame(to: destination, from: host(1)))]).map(\.port) == [0])
    }
    #expect(fabric.process([(0, frame(to: host(2), from: host(1)))]).map(\.port) == [2])
    #expect(Set(fabric.process([(0, frame(to: Self.broadcast, from: host(1)))]).map(\.port)) == [2, 3])
    #expect(Set(fabric.process([(0, frame(to: Self.broadcast, from: Self.router))]).map(\.port)) == [1, 2, 3])
    #expect(fabric.process([(0, frame(to: host(1), from: host(1)))]).isEmpty)
  }

  @Test func `passing through, the parent and the endpoint are one wire`() {
    var fabric = MemorySwitch(ports: 0, NetworkOptions(forwarding: .passThrough))
    fabric.engine.addPort(4, to: 0, PortOptions(isParent: true))
    fabric.engine.addPort(5, to: 0, PortOptions())
    for destination in [host(2), Self.broadcast] {
      #expect(fabric.process([(4, frame(to: destination, from: host(1)))]).map(\.port) == [5])
      #expect(fabric.process([(5, frame(to: destination, from: host(1)))]).map(\.port) == [4])
    }
  }

  // MARK: A shared MAC address

  @Test func `endpoints behind one MAC are found by address`() {
    var fabric = Self.bed(.sharedMAC)
    for number in 1...3 {
      let port = [UInt16(number)]
      #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, number))]).map(\.port) == port)
      let packet6 = Self.packet6(Self.shared, Self.router, Self.ipv6(99), Self.ipv6(number))
      #expect(fabric.process([(0, packet6)]).map(\.port) == port)
      for operation in [1, 2] as [UInt8] {
        let arp = Self.arp(Self.shared, Self.router, operation: operation, 99, for: number)
        #expect(fabric.process([(0, arp)]).map(\.port) == port)
      }
      let request = Self.arp(Self.broadcast, Self.router, operation: 1, 99, for: number)
      #expect(fabric.process([(0, request)]).map(\.port) == port)
      let solicitation = Self.solicitation(Self.router, for: Self.ipv6(number))
      #expect(fabric.process([(0, solicitation)]).map(\.port) == port)
    }
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, 77))]).isEmpty)
    #expect(fabric.process([(0, Self.arp(Self.shared, Self.router, operation: 2, 99, for: 77))]).isEmpty)
    #expect(fabric.drops(0, .noOtherPort) == 2)
    // DHCP, and whoever else speaks to all.
    for group in [
      Self.packet(Self.broadcast, Self.router, 99, 255), Self.solicitation(Self.router, for: Self.ipv6(77)),
      frame(to: Self.broadcast, from: Self.router),
    ] {
      #expect(Set(fabric.process([(0, group)]).map(\.port)) == [1, 2, 3])
    }
  }

  @Test func `endpoints behind one MAC reach each other, and not the host`() {
    var fabric = Self.bed(.sharedMAC)
    #expect(fabric.process([(1, Self.packet(Self.shared, Self.shared, 1, 2))]).map(\.port) == [2])
    #expect(fabric.process([(2, Self.arp(Self.shared, Self.shared, operation: 2, 2, for: 1))]).map(\.port) == [1])
    let request = Self.arp(Self.broadcast, Self.shared, operation: 1, 1, for: 2)
    #expect(Set(fabric.process([(1, request)]).map(\.port)) == [0, 2, 3])
    #expect(fabric.process([(1, Self.packet(Self.router, Self.shared, 1, 99))]).map(\.port) == [0])
    #expect(fabric.process([(1, Self.packet(Self.shared, Self.shared, 1, 77))]).isEmpty)
    #expect(fabric.drops(1, .noOtherPort) == 1)
  }

  @Test func `private endpoints behind one MAC reach the LAN alone`() {
    var fabric = Self.bed(.sharedMAC, isolated: [1, 2, 3])
    #expect(fabric.process([(1, Self.packet(Self.shared, Self.shared, 1, 2))]).isEmpty)
    #expect(fabric.drops(1, .isolated) == 1)
    #expect(fabric.process([(1, frame(to: Self.broadcast, from: Self.shared))]).map(\.port) == [0])
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, 2))]).map(\.port) == [2])
  }

  @Test func `behind one MAC and with VEPA, senders are known by address`() {
    var fabric = Self.bed(.sharedMACReflected)
    #expect(fabric.process([(1, Self.packet(Self.shared, Self.shared, 1, 2))]).map(\.port) == [0])
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.shared, 1, 2))]).map(\.port) == [2])
    let request = Self.arp(Self.broadcast, Self.shared, operation: 1, 1, for: 77)
    #expect(Set(fabric.process([(0, request)]).map(\.port)) == [2, 3])
    #expect(fabric.process([(0, Self.arp(Self.broadcast, Self.shared, operation: 1, 1, for: 1))]).isEmpty)
  }

  @Test func `packets cut short say nothing of whom they are for`() {
    var fabric = Self.bed(.sharedMAC)
    let whole = [
      Self.packet(Self.shared, Self.router, 99, 1), Self.arp(Self.shared, Self.router, operation: 2, 99, for: 1),
      Self.packet6(Self.shared, Self.router, Self.ipv6(99), Self.ipv6(1)),
    ]
    for frame in whole {
      #expect(fabric.process([(0, frame)]).count == 1)
      for length in 14..<frame.count {
        #expect(fabric.process([(0, Array(frame.prefix(length)))]).isEmpty, "\(length) bytes")
      }
    }
    let solicitation = Self.solicitation(Self.router, for: Self.ipv6(1))
    for length in 14..<solicitation.count {
      #expect(fabric.process([(0, Array(solicitation.prefix(length)))]).count == 3)
    }
  }

  // MARK: Coming and going

  @Test func `without a parent nothing leaves, and the next parent is taken`() {
    for forwarding in [Forwarding.endpointMACs, .reflected, .sharedMAC] {
      var fabric = Self.bed(forwarding)
      fabric.engine.freePort(0, from: fabric.engine.detachPort(0))
      #expect(fabric.process([(1, frame(to: Self.router, from: host(1)))]).isEmpty)
      #expect(fabric.drops(1, .noOtherPort) == 1)
      fabric.engine.addPort(7, to: 0, PortOptions(isParent: true))
      #expect(fabric.process([(1, frame(to: Self.router, from: host(1)))]).map(\.port) == [7])
    }
  }

  @Test func `addresses go with their port, are replaced whole, and are one port's`() {
    var fabric = Self.bed(.sharedMAC)
    _ = fabric.engine.detachPort(1)
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, 1))]).isEmpty)
    let isMoved = fabric.setAddresses([Self.ipv4(1)], of: 2)
    #expect(isMoved)
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, 1))]).map(\.port) == [2])
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, 2))]).isEmpty)
    let isTaken = fabric.setAddresses([Self.ipv4(1)], of: 3)
    #expect(!isTaken)
    #expect(fabric.process([(0, Self.packet(Self.shared, Self.router, 99, 1))]).map(\.port) == [2])
  }

  @Test func `the shared MAC may change`() {
    var fabric = Self.bed(.sharedMAC)
    let new: UInt64 = 0x02_00_00_00_00_78
    let options = NetworkOptions(forwarding: .sharedMAC, sharedMAC: MACAddress(bits: new))
    let isChanged = fabric.engine.changeNetwork(0, options)
    #expect(isChanged)
    #expect(fabric.process([(1, Self.packet(new, new, 1, 2))]).map(\.port) == [2])
    #expect(fabric.process([(1, Self.packet(Self.shared, new, 1, 2))]).map(\.port) == [0])
  }

  @Test(arguments: [Forwarding.endpointMACs, .reflected, .passThrough, .sharedMAC, .sharedMACReflected])
  func `no frame is lost without a counter`(forwarding: Forwarding) {
    var random = SplitMix(7)
    var fabric = Self.bed(forwarding, isolated: [3])
    var (received, sent): (UInt64, UInt64) = (0, 0)
    let macs = [Self.broadcast, Self.shared, Self.router, host(1), host(2), host(3), 0x3333_0000_0001]
    for _ in 0..<2000 {
      let (to, from) = (macs[random.below(macs.count)], macs[random.below(macs.count)])
      let (source, target) = (random.below(5), random.below(5))
      let frames = [
        Self.packet(to, from, source, target), Self.arp(to, from, operation: 1, source, for: target),
        Self.solicitation(from, for: Self.ipv6(target)), frame(to: to, from: from),
        Array(Self.packet6(to, from, Self.ipv6(source), Self.ipv6(target)).prefix(random.below(55))),
      ]
      let burst = frames.map { (port: UInt16(random.below(4)), bytes: $0) }
      received += UInt64(burst.count)
      sent += UInt64(fabric.process(burst).count)
    }
    let dropped = (0..<4).reduce(UInt64(0)) { sum, port in
      sum + DropReason.allCases.reduce(0) { $0 + fabric.drops(UInt16(port), $1) }
    }
    #expect(received + fabric.floodedCopies == sent + dropped)
  }
}

extension MemorySwitch {
  fileprivate mutating func setAddresses(_ addresses: [UInt128], of port: UInt16) -> Bool {
    addresses.withUnsafeBufferPointer { engine.setAddresses($0, of: port) }
  }
}
