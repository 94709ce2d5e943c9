import Support
import Testing
import Wire

@testable import Datapath

/// Frames with some bytes changed or cut off. A page that faults stands right behind each; what lies before the headroom is watched.
@Suite struct TunnelFuzzTests {
  private static let rounds = 30_000

  private static func mutate(_ message: inout [UInt8], _ random: inout SeededGenerator, from first: Int = 0) {
    for _ in 0..<1 + random.below(4) {
      // Headers more often than payload.
      let end = random.below(3) == 0 ? message.count : min(message.count, first + 110)
      let offset = first + random.below(end - first)
      switch random.below(3) {
      case 0: message[offset] ^= 1 << UInt8(random.below(8))
      case 1: message[offset] = [0, 0xFF][random.below(2)]
      default: message[offset] = UInt8(truncatingIfNeeded: random.next())
      }
    }
    if random.below(8) == 0 { message.removeLast(random.below(message.count - first)) }
  }

  /// Puts the outer IPv4 checksum right, or few frames would come further.
  private static func fix(_ message: inout [UInt8]) {
    let header = VirtioNetTunnelHeader.length + 14
    guard message.count >= header + 20, message[header - 2] == 8 else { return }
    (message[header + 10], message[header + 11]) = (0, 0)
    let end = min(message.count, header + max(20, Int(message[header] & 0xF) * 4))
    let sum = ~UInt16(IPPacket.sum(Array(message[header..<end])))
    (message[header + 10], message[header + 11]) = (UInt8(sum >> 8), UInt8(truncatingIfNeeded: sum))
  }

  @Test func `what comes by the tunnel`() {
    var random = SeededGenerator(seed: 1)
    let messages = GoldenTunnel.all.flatMap { golden in
      golden.outer.map { $0 + golden.frame.dropFirst(VirtioNetHeader.length) }
    }
    let buffer = TunnelBuffer()
    let ingress = TunnelIngress(takesIPv6WithoutChecksum: true)
    var taken = 0
    for _ in 0..<Self.rounds {
      var message = messages[random.below(messages.count)]
      Self.mutate(&message, &random)
      if random.below(4) != 0 { Self.fix(&message) }
      buffer.fill(message)
      guard case .frame(let result) = ingress.decapsulate(buffer.frame) else { continue }
      taken += 1
      let length = Int(result.frame.length) - VirtioNetHeader.length
      let header = VirtioNetHeader(loadingFrom: result.frame.start)
      guard buffer.holds(result.frame), buffer.isIntactBelow, length >= EthernetView.headerLength,
        header.fits(InnerHeaders(result.frame.start + VirtioNetHeader.length, length: length)),
        Int(header.headerLength) <= length, result.vni <= VXLANHeader.vniMax
      else {
        Issue.record("\(message)")
        return
      }
    }
    #expect(taken > Self.rounds / 10)
  }

  @Test func `trains`() {
    var random = SeededGenerator(seed: 2)
    var joined = 0
    for _ in 0..<Self.rounds / 10 {
      var frame = SegmentedFrame(isIPv6: random.below(2) == 0, isUDP: random.below(2) == 0)
      frame.segmentSize = 1 + random.below(40)
      frame.payload = SegmentedFrame.bytes(frame.segmentSize * (2 + random.below(6)), &random)
      let underlay = GoldenTunnel.Underlay.allCases[random.below(4)]
      guard var message = DatagramTrainTests.outerFrames(frame.message, .golden(underlay))?.first else {
        Issue.record("no train")
        return
      }
      Self.mutate(&message, &random, from: random.below(3) == 0 ? 0 : 70)
      Self.fix(&message)
      if DatagramTrainTests.split(message).count > 1 { joined += 1 }
    }
    #expect(joined > Self.rounds / 100)
  }

  /// Encapsulated and decapsulated, whatever the tunnel takes is what it was.
  @Test(arguments: GoldenTunnel.Underlay.allCases)
  func `there and back`(underlay: GoldenTunnel.Underlay) {
    var random = SeededGenerator(seed: UInt64(10 + underlay.rawValue))
    let remote = TunnelRemote.golden(underlay)
    let ingress = TunnelIngress(takesIPv6WithoutChecksum: true)
    let buffer = TunnelBuffer()
    var taken = 0
    for round in 0..<Self.rounds {
      var message = GoldenTunnel.all[random.below(GoldenTunnel.all.count)].frame
      if round >= GoldenTunnel.all.count { Self.mutate(&message, &random) }
      buffer.fill(message)
      guard let outer = remote.encapsulate(buffer.frame) else { continue }
      taken += 1
      guard buffer.holds(outer), case .frame(let result) = ingress.decapsulate(outer),
        TunnelBuffer.bytes(result.frame) == Self.meaning(message), buffer.isIntactBelow
      else {
        Issue.record("\(message)")
        return
      }
    }
    #expect(taken > Self.rounds / 4)
  }

  /// The frame without what its virtio-net header has no use for.
  private static func meaning(_ message: [UInt8]) -> [UInt8] {
    var message = message
    message[0] &= 1
    if message[0] == 0 { message.replaceSubrange(6..<10, with: [0, 0, 0, 0]) }
    func number(_ offset: Int) -> Int { Int(message[offset]) | Int(message[offset + 1]) << 8 }
    if message[1] != 0 {
      let transport = VirtioNetHeader.length + number(6)
      let payload = transport + (message[1] & 0x7F == 5 ? 8 : Int(message[transport + 12] >> 4) * 4)
      // One segment is none.
      if message.count - payload <= number(4) { message[1] = 0 }
    }
    if message[1] == 0 {
      message.replaceSubrange(2..<6, with: [0, 0, 0, 0])
    } else {
      let length = min(message.count - VirtioNetHeader.length, number(2))
      message.replaceSubrange(2..<4, with: [UInt8(length & 0xFF), UInt8(length >> 8)])
    }
    return message
  }
}
