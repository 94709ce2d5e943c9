import Support
import Testing

@testable import Wire

/// Segments are those that the kernel would have made; and whatever a frame claims, nothing outside of it is read.
@Suite struct SegmenterTests {
  /// Every segment of a frame with its virtio-net header; nil where it is refused.
  static func segments(_ bytes: [UInt8], _ checksum: Segmenter.Checksum) -> [[UInt8]]? {
    let header = bytes.withUnsafeBytes { VirtioNetHeader(loadingFrom: $0.baseAddress!) }
    let frame = bytes.span.bytes.extracting(droppingFirst: VirtioNetHeader.length)
    guard let segmenter = Segmenter(header, frame) else { return nil }
    return (0..<segmenter.count).map { index in
      var segment = [UInt8](repeating: 0xEE, count: segmenter.headersLength)
      segment.withUnsafeMutableBytes { segmenter.writeHeaders(of: index, checksum: checksum, to: $0) }
      return segment + segmenter.payload(of: index).map { bytes[VirtioNetHeader.length + $0] }
    }
  }

  @Test(arguments: GoldenSegments.all) func `are what the kernel makes`(golden: GoldenSegments) {
    #expect(Self.segments(golden.frame, .partial) == golden.partial)
    #expect(Self.segments(golden.frame, .complete) == golden.complete)
  }

  @Test(arguments: GoldenSegments.all) func `are the same where the sum to start from has to be made`(
    golden: GoldenSegments
  ) {
    var frame = golden.frame
    frame[0] = 0
    #expect(Self.segments(frame, .partial) == golden.partial)
  }

  @Test func `padding behind the packet goes nowhere`() {
    let golden = GoldenSegments.all[0]
    #expect(Self.segments(golden.frame + [0xAA, 0xBB, 0xCC], .complete) == golden.complete)
  }

  /// A sum of zero means "no checksum" in UDP (RFC 768): the other zero stands for it.
  @Test func `a datagram's checksum is never zero`() throws {
    var frame = GoldenSegments.all.first { $0.testDescription == "UDP over IPv4" }!.frame
    let payload = VirtioNetHeader.length + 42
    let sum = try #require(Self.segments(frame, .complete))[0][payload - 2..<payload]
    // The first two bytes of payload take up what the checksum was.
    let word = UInt32(frame[payload]) << 8 | UInt32(frame[payload + 1])
    let total = word + (UInt32(sum.first!) << 8 | UInt32(sum.last!))
    let folded = (total & 0xFFFF) + total >> 16
    (frame[payload], frame[payload + 1]) = (UInt8(folded >> 8), UInt8(folded & 0xFF))
    #expect(try #require(Self.segments(frame, .complete))[0][payload - 2..<payload] == [0xFF, 0xFF])
  }

  @Test func `a segment size that would stall the switch is refused`() {
    var frame = Self.large(payload: 40_000)
    for (size, count) in [(1460, 28), (40_000, 1), (20, 2000), (19, nil), (1, nil), (0, nil)] as [(UInt16, Int?)] {
      (frame[4], frame[5]) = (UInt8(size & 0xFF), UInt8(size >> 8))
      #expect(Self.segments(frame, .partial)?.count == count, "gso_size \(size)")
    }
  }

  @Test func `headers beyond the limit are refused`() {
    let golden = GoldenSegments.all.first { $0.testDescription.hasSuffix("options header") }!.frame
    // The options header grows by padding options of 8 bytes: its own length field, IPv6's, and the checksum's start.
    func grown(by eights: Int) -> [UInt8] {
      let options = VirtioNetHeader.length + 54
      var frame = golden[..<(options + 8)] + [UInt8](repeating: 0, count: eights * 8) + golden[(options + 8)...]
      frame[options + 1] += UInt8(eights)
      let length = Int(golden[28]) << 8 + Int(golden[29]) + eights * 8
      (frame[28], frame[29]) = (UInt8(length >> 8), UInt8(length & 0xFF))
      let start = 62 + eights * 8
      (frame[6], frame[7]) = (UInt8(start & 0xFF), UInt8(start >> 8))
      return Array(frame)
    }
    // 10 + 14 + 40 + 8 * (1 + n) + 8 <= 384
    #expect(Self.segments(grown(by: 38), .partial)?.count == 3)
    #expect(Self.segments(grown(by: 39), .partial) == nil)
  }

  @Test func `a fragment is refused`() {
    var frame = GoldenSegments.all[0].frame
    frame[VirtioNetHeader.length + 20] = 0x20
    #expect(Self.segments(frame, .partial) == nil)
  }

  /// `tcp4` with that many bytes of payload.
  static func large(payload: Int) -> [UInt8] {
    var frame = Array(GoldenSegments.all[0].frame.prefix(VirtioNetHeader.length + 66))
    let total = 52 + payload
    (frame[26], frame[27]) = (UInt8(total >> 8), UInt8(total & 0xFF))
    frame += (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    return frame
  }
}

/// Frames and headers at the end of mapped memory: a load beyond a frame or a store beyond the headers is a fault.
extension SegmenterTests {
  static func cutGuarded(_ bytes: [UInt8], _ input: borrowing GuardedBytes, _ output: borrowing GuardedBytes) {
    let header = bytes.withUnsafeBytes { VirtioNetHeader(loadingFrom: $0.baseAddress!) }
    input.with(bytes.dropFirst(VirtioNetHeader.length)) { frame in
      guard let segmenter = Segmenter(header, frame) else { return }
      for index in [0, segmenter.count / 2, segmenter.count - 1] {
        output.withRoom(segmenter.headersLength) { memory in
          segmenter.writeHeaders(of: index, checksum: .complete, to: memory)
        }
      }
    }
  }

  @Test func `every prefix of every frame`() {
    let input = GuardedBytes()
    let output = GuardedBytes()
    for golden in GoldenSegments.all {
      for length in VirtioNetHeader.length...golden.frame.count {
        Self.cutGuarded(Array(golden.frame.prefix(length)), input, output)
      }
    }
  }

  @Test func `every byte of every frame changed`() {
    let input = GuardedBytes()
    let output = GuardedBytes()
    for golden in GoldenSegments.all {
      for index in golden.frame.indices {
        for value in [0x00, 0x01, 0x04, 0x05, 0x0F, 0x2C, 0x33, 0x3C, 0x45, 0x4F, 0x7F, 0x80, 0xF0, 0xFF] as [UInt8] {
          var changed = golden.frame
          changed[index] = value
          Self.cutGuarded(changed, input, output)
        }
      }
    }
  }

  @Test func `several bytes changed at random`() {
    let input = GuardedBytes()
    let output = GuardedBytes()
    var random = SeededGenerator(seed: 3)
    for _ in 0..<20_000 {
      var changed = GoldenSegments.all[random.below(GoldenSegments.all.count)].frame
      for _ in 0..<(1 + random.below(4)) {
        changed[random.below(changed.count)] = UInt8(truncatingIfNeeded: random.next())
      }
      if random.below(2) == 0 { changed.removeLast(random.below(changed.count - VirtioNetHeader.length)) }
      Self.cutGuarded(changed, input, output)
    }
  }
}
