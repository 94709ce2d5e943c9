import Testing
import Wire

@testable import Datapath

/// Gathered and cut apart again, datagrams are what they were; and what must not join does not.
@Suite struct UDPCoalescingTests {
  /// A datagram as a container's kernel hands it over: checksum still to be completed (NEEDS_CSUM).
  static func datagram(
    v6: Bool = false, payload: [UInt8], sourcePort: UInt16 = 4000, identification: UInt16 = 1, timeToLive: UInt8 = 64
  ) -> [UInt8] {
    let ports = bytes(sourcePort) + bytes(7001)
    let udp = ports + bytes(UInt16(8 + payload.count)) + [0, 0] + payload
    let ethernet = MACAddress(bits: 2).bytes + MACAddress(bits: 1).bytes
    var frame: [UInt8]
    if v6 {
      let addresses = IPv6Address("fd00::1")!.bytes + IPv6Address("fd00::2")!.bytes
      frame = ethernet + [0x86, 0xDD, 0x60, 0, 0, 0] + bytes(UInt16(udp.count)) + [17, timeToLive] + addresses + udp
    } else {
      let start = [0x45, 0] + bytes(UInt16(20 + udp.count)) + bytes(identification) + [0x40, 0, timeToLive, 17]
      var header = start + [0, 0] + IPv4Address("10.0.0.1")!.bytes + IPv4Address("10.0.0.2")!.bytes
      let sum = checksum(header)
      (header[10], header[11]) = (UInt8(sum >> 8), UInt8(sum & 0xFF))
      frame = ethernet + [0x08, 0x00] + header + udp
    }
    return virtioHeader(v6: v6) + frame
  }

  static func virtioHeader(v6: Bool) -> [UInt8] { [1, 0, 0, 0, 0, 0, v6 ? 54 : 34, 0, 6, 0] }

  static func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }

  static func number(_ bytes: [UInt8], _ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }

  /// RFC 1071, the plain way.
  static func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum = stride(from: 0, to: bytes.count, by: 2).reduce(0) { $0 + (Int(bytes[$1]) << 8 | Int(bytes[$1 + 1])) }
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
    return ~UInt16(sum)
  }

  static func flow(_ bytes: [UInt8]) -> UDPFlow? {
    var copy = bytes
    return copy.withUnsafeMutableBytes { memory in
      UDPFlow(FrameDescriptor(start: memory.baseAddress!, length: UInt32(memory.count), port: 0, buffer: 0))
    }
  }

  @Test(arguments: [false, true]) func `the headers of a gathered frame are right`(v6: Bool) throws {
    let payloads = (0..<5).map { [UInt8](repeating: UInt8($0), count: 33) }
    let frames = payloads.map { Self.datagram(v6: v6, payload: $0) }
    let flow = try #require(Self.flow(frames[0]))
    #expect(flow.headersLength == (v6 ? 62 : 42))
    var head = Array(frames[0].prefix(Engine.headerLength + flow.headersLength))
    head.withUnsafeMutableBytes { memory in
      flow.rewriteHeaders(FrameDescriptor(start: memory.baseAddress!, length: 0, port: 0, buffer: 0), count: 5)
    }
    // linux/virtio_net.h: NEEDS_CSUM, GSO_UDP_L4, hdr_len, gso_size, csum_start, csum_offset.
    #expect(head.prefix(10) == [1, 5, v6 ? 62 : 42, 0, 33, 0, v6 ? 54 : 34, 0, 6, 0])
    let frame = Array(head.dropFirst(10))
    let transport = v6 ? 54 : 34
    #expect(Self.number(frame, transport + 4) == 8 + 5 * 33)
    var pseudo = v6 ? Array(frame[22..<54]) : Array(frame[26..<34])
    pseudo += [0, 17] + Self.bytes(UInt16(8 + 5 * 33))
    #expect(Self.number(frame, transport + 6) == Int(~Self.checksum(pseudo)))
    if v6 {
      #expect(Self.number(frame, 18) == 8 + 5 * 33)
    } else {
      #expect(Self.number(frame, 16) == 28 + 5 * 33)
      #expect(Self.checksum(Array(frame[14..<34])) == 0)
    }
  }

  @Test func `identification may differ, all else may not`() throws {
    let flow = try #require(Self.flow(Self.datagram(payload: [1, 2, 3, 4])))
    let next = try #require(Self.flow(Self.datagram(payload: [5, 6, 7, 8], identification: 2)))
    #expect(flow.isSameFlow(as: next) && flow.payloadLength == next.payloadLength)
    for other in [
      Self.datagram(payload: [1, 2, 3, 4], sourcePort: 4001), Self.datagram(payload: [1, 2, 3, 4], timeToLive: 63),
      Self.datagram(v6: true, payload: [1, 2, 3, 4]),
    ] {
      #expect(!flow.isSameFlow(as: try #require(Self.flow(other))))
    }
    // Any one byte of the addresses, the ports and the fields that count.
    let frame = Self.datagram(payload: [1, 2, 3, 4])
    for offset in Array(10..<22) + [25, 32] + Array(36..<48) {
      var changed = frame
      changed[offset] ^= 1
      #expect(Self.flow(changed).map { !flow.isSameFlow(as: $0) } ?? true, "byte \(offset)")
    }
  }

  @Test func `what cannot be joined is told apart`() {
    let frame = Self.datagram(payload: [1, 2, 3, 4])
    #expect(Self.flow(frame) != nil)
    func refused(_ offset: Int, _ value: UInt8) -> Bool {
      var changed = frame
      changed[offset] = value
      return Self.flow(changed) == nil
    }
    #expect(refused(0, 0), "checksum complete")
    #expect(refused(1, 5), "already segmented")
    #expect(refused(10 + 14, 0x46), "IP options")
    #expect(refused(10 + 20, 0x20), "more fragments")
    #expect(refused(10 + 21, 1), "a later fragment")
    #expect(refused(10 + 23, 6), "TCP")
    #expect(refused(10 + 12, 0x81), "a VLAN tag")
    #expect(refused(10 + 39, 11), "a length shorter than the frame")
    #expect(refused(10 + 39, 13), "a length beyond the frame")
    #expect(Self.flow(Self.datagram(payload: [])) == nil)
    #expect(Self.flow(Self.datagram(payload: Array(repeating: 0, count: 1401))) == nil)
    #expect(Self.flow(Self.datagram(v6: true, payload: [1])) != nil)
  }

  @Test(arguments: [false, true]) func `frames that end anywhere are refused, not read beyond`(v6: Bool) {
    let frame = Self.datagram(v6: v6, payload: [1, 2, 3, 4])
    for length in Engine.headerLength..<frame.count {
      let start = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 1)
      defer { start.deallocate() }
      frame.withUnsafeBytes { start.copyMemory(from: $0.baseAddress!, byteCount: length) }
      #expect(UDPFlow(FrameDescriptor(start: start, length: UInt32(length), port: 0, buffer: 0)) == nil)
    }
  }
}
