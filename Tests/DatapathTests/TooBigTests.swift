import Testing
import Wire

@testable import Datapath

/// What is too long for an overlay is dropped, and its sender told.
@Suite struct TooBigTests {
  static let mtu = 1450
  static let macs = (to: host(2), from: host(1))

  /// Ports 0 and 1 are local, 2 is a remote.
  static func fabric(mtu: Int = mtu) -> MemorySwitch {
    var fabric = MemorySwitch(ports: 2, NetworkOptions(mtu: mtu))
    fabric.engine.addPort(2, to: fabric.network, PortOptions(isRemote: true))
    return fabric
  }

  /// An IP packet of so many bytes.
  static func packet(
    _ length: Int, v6: Bool = false, protocol: UInt8 = 17, flags: Int = 0x4000, from source: String? = nil,
    to destination: String? = nil, firstBytes: [UInt8] = [0, 1, 0, 2]
  ) -> IPPacket {
    var payload = firstBytes + [UInt8](repeating: 0x5A, count: length - (v6 ? 40 : 20) - firstBytes.count)
    if `protocol` == 17 {
      (payload[4], payload[5]) = (UInt8(payload.count >> 8), UInt8(payload.count & 0xFF))
    }
    return IPPacket(
      from: source ?? (v6 ? "fd42::1" : "10.42.0.1"), to: destination ?? (v6 ? "fd42::2" : "10.42.0.2"),
      protocol: `protocol`, payload: payload, flags: flags, mac: macs)
  }

  static func routedIn(_ fabric: borrowing MemorySwitch) -> UInt64 {
    fabric.engine.networkCounterHandle[NetworkCounter.routedIn.rawValue]
  }

  @Test("the error is for the sender, from the destination, with the MTU", arguments: [false, true])
  func answer(v6: Bool) throws {
    var fabric = Self.fabric()
    #expect(fabric.process([(0, Self.packet(Self.mtu, v6: v6).bytes)]).count == 2)
    #expect(Self.routedIn(fabric) == 0)
    let long = Self.packet(Self.mtu + 1, v6: v6)
    let sent = fabric.process([(0, long.bytes)])
    try #require(sent.count == 1)
    #expect(sent[0].port == 0 && sent[0].isOnlyCopy)
    let answer = IPPacket(bytes: sent[0].bytes)
    #expect(answer.destinationMAC == host(1) && answer.sourceMAC == host(2))
    #expect(answer.source == long.destination && answer.destination == long.source)
    // RFC 1191, 4; RFC 4443, 3.2.
    #expect(answer.payload.prefix(8).dropFirst(4) == [0, 0, UInt8(Self.mtu >> 8), UInt8(Self.mtu & 0xFF)])
    #expect(answer.payload.prefix(2) == (v6 ? [2, 0] : [3, 4]) && answer.isSummedRight)
    let quote = (v6 ? 1280 - 40 : 576 - 20) - 8
    #expect(answer.payload.dropFirst(8) == long.bytes.dropFirst(14).prefix(quote))
    #expect(fabric.drops(0, .oversize) == 1 && Self.routedIn(fabric) == 1)
  }

  /// Where nobody cuts it on its way, DF or not, its sender has to.
  @Test("without DF too, and of fragments the first alone")
  func fragments() {
    var fabric = Self.fabric()
    #expect(fabric.process([(0, Self.packet(1500, flags: 0).bytes)]).count == 1)
    #expect(fabric.process([(0, Self.packet(1500, flags: 0x2000).bytes)]).count == 1)
    #expect(fabric.process([(0, Self.packet(1500, flags: 0x2000 | 185).bytes)]).isEmpty)
    #expect(fabric.process([(0, Self.packet(1500, flags: 185).bytes)]).isEmpty)
    #expect(fabric.drops(0, .oversize) == 4)
  }

  @Test("what no error may be about has none")
  func silence() {
    var fabric = Self.fabric()
    var group = Self.packet(1500)
    group.bytes[0] |= 1
    var damaged = Self.packet(1500)
    damaged.bytes[24] ^= 1
    let packets: [(String, IPPacket)] = [
      ("to a group's MAC address", group),
      ("to a group", Self.packet(1500, to: "224.0.0.251")), ("to all", Self.packet(1500, to: "255.255.255.255")),
      ("to a group of IPv6", Self.packet(1500, v6: true, to: "ff02::fb")),
      ("from nobody", Self.packet(1500, from: "0.0.0.0")),
      ("from nobody of IPv6", Self.packet(1500, v6: true, from: "::")),
      ("from a group", Self.packet(1500, from: "224.0.0.1")),
      ("an error", Self.packet(1500, protocol: 1, firstBytes: [3, 4, 0, 0])),
      ("an error of IPv6", Self.packet(1500, v6: true, protocol: 58, firstBytes: [2, 0, 0, 0])),
      ("damaged", damaged), ("not IP", IPPacket(bytes: frame(to: host(2), from: host(1), payload: 1500))),
    ]
    for (name, packet) in packets {
      let sent = fabric.process([(0, packet.bytes)])
      #expect(sent.isEmpty, "\(name)")
    }
    #expect(fabric.drops(0, .oversize) == UInt64(packets.count) && Self.routedIn(fabric) == 0)
    #expect(fabric.process([(0, Self.packet(1500, protocol: 1, firstBytes: [8, 0, 0, 0]).bytes)]).count == 1, "a ping")
    #expect(fabric.process([(2, Self.packet(1500).bytes)]).isEmpty, "from a remote")
    #expect(fabric.drops(2, .oversize) == 1)
  }

  @Test("a network that spans no hosts is silent, and grants what a bridge does")
  func bridge() {
    var fabric = MemorySwitch(ports: 2, NetworkOptions(mtu: Self.mtu))
    #expect(fabric.process([(0, Self.packet(Self.mtu + 4).bytes)]).map(\.port) == [1])
    #expect(fabric.process([(0, Self.packet(Self.mtu + 5).bytes)]).isEmpty)
    fabric.engine.addPort(2, to: fabric.network, PortOptions(isRemote: true))
    #expect(fabric.process([(0, Self.packet(Self.mtu + 4).bytes)]).map(\.port) == [0])
    let network = fabric.engine.detachPort(2)
    fabric.engine.freePort(2, from: network)
    #expect(fabric.process([(0, Self.packet(Self.mtu + 4).bytes)]).map(\.port) == [1])
  }

  @Test("the MTU is the network's as it is now, and IPv6 is told of none that it cannot have")
  func changedMTU() {
    var fabric = Self.fabric(mtu: 1500)
    _ = fabric.engine.changeNetwork(fabric.network, NetworkOptions(mtu: 1279))
    let sent = fabric.process([(0, Self.packet(1280).bytes)])
    #expect(sent.map { IPPacket(bytes: $0.bytes).word(40) } == [1279])
    #expect(fabric.process([(0, Self.packet(1280, v6: true).bytes)]).isEmpty)
  }

  @Test("a tag is granted, and stands in the answer")
  func tagged() throws {
    var fabric = Self.fabric()
    let tag: [UInt8] = [0x81, 0x00, 0x00, 0x07]
    func tagged(_ length: Int, _ tags: [UInt8]) -> [UInt8] {
      let bytes = Self.packet(length).bytes
      return bytes[..<12] + tags + bytes[12...]
    }
    #expect(fabric.process([(0, tagged(Self.mtu, tag))]).count == 2)
    let sent = fabric.process([(0, tagged(Self.mtu + 1, tag))])
    try #require(sent.count == 1 && sent[0].bytes[12..<16] == tag[...])
    var answer = sent[0].bytes
    answer.removeSubrange(12..<16)
    #expect(IPPacket(bytes: answer).isSummedRight && IPPacket(bytes: answer).word(40) == Self.mtu)
    let two = fabric.process([(0, tagged(Self.mtu, [0x88, 0xA8, 0x00, 0x08] + tag))])
    #expect(two.map { Int($0.bytes[48]) << 8 | Int($0.bytes[49]) } == [Self.mtu - 4])
  }

  @Test("segments count, each with its headers", arguments: [0, 12])
  func segments(options: Int) {
    var fabric = Self.fabric()
    let packet = IPPacket.tcp(
      ("10.42.0.1", 1), ("10.42.0.2", 2), IPPacket.ack, options: [UInt8](repeating: 1, count: options),
      payload: [UInt8](repeating: 7, count: 20_000), mac: Self.macs)
    var header = VirtioNetHeader(
      flags: .needsChecksum, segmentation: .tcp4, headerLength: UInt16(54 + options),
      segmentSize: UInt16(Self.mtu - 40 - options), checksumStart: 34, checksumOffset: 16)
    #expect(fabric.process([(0, packet.bytes)], header: header).count == 2)
    header.segmentSize += 1
    let answer = fabric.process([(0, packet.bytes)], header: header)
    #expect(answer.map(\.port) == [0] && answer.map { IPPacket(bytes: $0.bytes).word(40) } == [Self.mtu])
    #expect(fabric.drops(0, .oversize) == 1)
    // One that is shorter than its segments may be.
    header.segmentSize = 9000
    let short = IPPacket.tcp(
      ("10.42.0.1", 1), ("10.42.0.2", 2), IPPacket.ack, payload: [UInt8](repeating: 7, count: 1000), mac: Self.macs)
    #expect(fabric.process([(0, short.bytes)], header: header).count == 2)
  }

  @Test("segmented datagrams count with theirs", arguments: [false, true])
  func datagrams(v6: Bool) {
    var fabric = Self.fabric()
    let packet = Self.packet(10_000, v6: v6)
    var header = VirtioNetHeader(
      flags: .needsChecksum, segmentation: .udp, headerLength: 42, segmentSize: UInt16(Self.mtu - (v6 ? 48 : 28)),
      checksumStart: v6 ? 54 : 34, checksumOffset: 6)
    #expect(fabric.process([(0, packet.bytes)], header: header).count == 2)
    header.segmentSize += 1
    #expect(fabric.process([(0, packet.bytes)], header: header).map(\.port) == [0])
  }

  @Test("errors are sent at a bounded rate")
  func rate() {
    var fabric = Self.fabric()
    let long = Self.packet(1500).bytes
    let count = ICMPErrorBudget.perSecond + 100
    let answers = (0..<count).count { _ in !fabric.process([(0, long)], now: 5).isEmpty }
    #expect(answers == ICMPErrorBudget.perSecond && fabric.drops(0, .oversize) == UInt64(count))
    #expect(fabric.process([(0, long)], now: 6).count == 1)
  }
}
