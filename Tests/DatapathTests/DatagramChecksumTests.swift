import Testing
import Wire

@testable import Datapath

/// A datagram that has crossed a wire can be gathered again.
@Suite struct DatagramChecksumTests {
  /// As it comes from the wire: nothing is left undone.
  private static func complete(v6: Bool, payload: [UInt8]) -> [UInt8] {
    var frame = UDPCoalescingTests.datagram(v6: v6, payload: payload)
    frame.replaceSubrange(0..<10, with: [UInt8](repeating: 0, count: 10))
    let transport = 10 + (v6 ? 54 : 34)
    let length = UDPCoalescingTests.bytes(UInt16(8 + payload.count))
    let pseudoHeader = Array(v6 ? frame[32..<64] : frame[36..<44]) + [0, 17] + length
    let sum = ~UInt16(IPPacket.sum(pseudoHeader + frame[transport...]))
    frame.replaceSubrange(transport + 6..<transport + 8, with: UDPCoalescingTests.bytes(sum == 0 ? 0xFFFF : sum))
    return frame
  }

  private static func left(_ message: [UInt8]) -> [UInt8] {
    let buffer = TunnelBuffer(message)
    UDPFlow.leaveChecksum(buffer.frame)
    #expect(buffer.isIntactBelow)
    return TunnelBuffer.bytes(buffer.frame)
  }

  @Test(arguments: [false, true], [1, 2, 18, 255, 256])
  func `completed again, it is what it was`(v6: Bool, length: Int) throws {
    let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7 + length) }
    let frame = Self.complete(v6: v6, payload: payload)
    var result = Self.left(frame)
    #expect(Array(result.prefix(10)) == UDPCoalescingTests.virtioHeader(v6: v6))
    #expect(UDPCoalescingTests.flow(result) != nil)
    let transport = 10 + (v6 ? 54 : 34)
    let sum = ~UInt16(IPPacket.sum(Array(result[transport...])))
    result.replaceSubrange(transport + 6..<transport + 8, with: UDPCoalescingTests.bytes(sum))
    #expect(result.dropFirst(10) == frame.dropFirst(10))
  }

  @Test(arguments: [false, true]) func `what is wrong, or cannot be joined, stays as it is`(v6: Bool) {
    let frame = Self.complete(v6: v6, payload: Array("small".utf8))
    let transport = 10 + (v6 ? 54 : 34)
    // Each byte but those of the Ethernet header, of which none is summed.
    for offset in 24..<frame.count {
      // IPv6 has no checksum of its header, and its traffic class, flow label and hop limit are in no other.
      if v6 && ((24...27).contains(offset) || offset == 31) { continue }
      var damaged = frame
      damaged[offset] ^= 0x0A
      #expect(Self.left(damaged) == damaged, "byte \(offset)")
    }
    var unsummed = frame
    unsummed.replaceSubrange(transport + 6..<transport + 8, with: [0, 0])
    let padded = frame + [0]
    let long = Self.complete(v6: v6, payload: [UInt8](repeating: 1, count: 257))
    let tagged = Array(frame[..<22]) + [0x81, 0, 0, 7] + Array(frame[22...])
    for other in [unsummed, padded, long, tagged, Array(frame.dropLast()), Array(frame.prefix(24))] {
      #expect(Self.left(other) == other)
    }
  }

  @Test func `what comes by a tunnel in single datagrams is gathered`() {
    let golden = GoldenTunnel.all.first { $0.name == "UDP, IPv4, complete checksum" }!
    let message = golden.outer[GoldenTunnel.Underlay.ipv4.rawValue] + golden.frame.dropFirst(VirtioNetHeader.length)
    let buffer = TunnelBuffer(message)
    var frame = buffer.frame
    frame.port = EngineTunnelTests.carrier
    struct Kinds: FrameOutput {
      var canJoin: [Bool] = []
      mutating func transmit(_ frame: FrameDescriptor, to port: UInt16, isOnlyCopy: Bool) {
        canJoin.append(UDPFlow(frame) != nil)
      }
    }
    var fabric = EngineTunnelTests.fabric()
    var kinds = Kinds()
    withUnsafePointer(to: frame) {
      fabric.engine.process(UnsafeBufferPointer(start: $0, count: 1), now: 0, into: &kinds)
    }
    #expect(kinds.canJoin == [true, true, true, true])
  }
}
