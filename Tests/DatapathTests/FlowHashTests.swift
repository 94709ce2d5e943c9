import Testing

@testable import Datapath

@Suite struct FlowHashTests {
  static func hash(_ frame: [UInt8]) -> UInt32? {
    var bytes = frame
    return bytes.withUnsafeMutableBytes { memory in
      FrameDescriptor(start: memory.baseAddress!, length: UInt32(memory.count), port: 0, buffer: 0).flowHash
    }
  }

  /// The same datagram as the other end sends it: addresses and ports change places.
  static func answer(_ frame: [UInt8], v6: Bool) -> [UInt8] {
    var frame = frame
    let ethernet = Engine.headerLength
    let (addresses, length) = (ethernet + (v6 ? 22 : 26), v6 ? 16 : 4)
    let ports = ethernet + (v6 ? 54 : 34)
    for (start, length) in [(ethernet, 6), (addresses, length), (ports, 2)] {
      for index in start..<(start + length) { frame.swapAt(index, index + length) }
    }
    return frame
  }

  /// Without UDP's header: its bytes are payload then.
  static func with(_ protocol: UInt8, _ frame: [UInt8], v6: Bool) -> [UInt8] {
    var frame = frame
    frame[Engine.headerLength + (v6 ? 20 : 23)] = `protocol`
    return frame
  }

  @Test(arguments: [false, true]) func `both directions have one hash, other flows another`(v6: Bool) throws {
    let frame = UDPCoalescingTests.datagram(v6: v6, payload: [1, 2, 3])
    let hash = try #require(Self.hash(frame))
    #expect(Self.hash(Self.answer(frame, v6: v6)) == hash)
    #expect(Self.hash(UDPCoalescingTests.datagram(v6: v6, payload: [9], identification: 77)) == hash)
    #expect(Self.hash(Self.with(6, frame, v6: v6)) != hash, "TCP is another flow")
    let flows = Set((1...1000).map { Self.hash(UDPCoalescingTests.datagram(v6: v6, payload: [], sourcePort: $0)) })
    #expect(flows.count == 1000)
  }

  @Test(arguments: [false, true]) func `where there are no ports the addresses decide`(v6: Bool) throws {
    let icmp: UInt8 = v6 ? 58 : 1
    let frames = (1...2).map {
      Self.with(icmp, UDPCoalescingTests.datagram(v6: v6, payload: [], sourcePort: $0), v6: v6)
    }
    let hash = try #require(Self.hash(frames[0]))
    #expect(Self.hash(frames[1]) == hash)
  }

  @Test func `fragments, tags and what is no IP have none`() {
    let frame = UDPCoalescingTests.datagram(payload: [1, 2, 3])
    let field = Engine.headerLength + 20
    for fragment: [UInt8] in [[0x20, 0x00], [0x00, 0x01], [0x3F, 0xFF]] {
      #expect(Self.hash(Array(frame[..<field]) + fragment + frame[(field + 2)...]) == nil)
    }
    let type = Engine.headerLength + 12
    #expect(Self.hash(Array(frame[..<type]) + [0x81, 0x00, 0x00, 0x2A] + frame[type...]) == nil)
    #expect(Self.hash(Array(frame[..<type]) + [0x08, 0x06] + frame[(type + 2)...]) == nil)
    let disguised = Array(frame[..<type]) + [0x86, 0xDD] + frame[(type + 2)...] + [UInt8](repeating: 0, count: 20)
    #expect(Self.hash(disguised) == nil, "version 4 under IPv6's type")
  }

  /// The memory ends with the frame: the address sanitizer or a guard page would see a byte read beyond it.
  @Test(arguments: [false, true]) func `lengths that lie are not believed`(v6: Bool) {
    let frame = UDPCoalescingTests.datagram(v6: v6, payload: [])
    for count in 0..<frame.count { _ = Self.hash(Array(frame[..<count])) }
    var long = UDPCoalescingTests.datagram(payload: [])
    long[Engine.headerLength + 14] = 0x4F
    #expect(Self.hash(long) == nil, "a header of 60 bytes in a frame of 42")
    var short = long
    short[Engine.headerLength + 14] = 0x40
    #expect(Self.hash(short) == nil, "a header of no bytes")
  }
}
