import Support
import Testing
import Wire

@Suite struct InternetChecksumTests {
  /// RFC 1071 in its plainest form: 16-bit words, the last byte padded, carries added back.
  private func plain(_ bytes: [UInt8]) -> UInt16 {
    var sum = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
      sum += Int(bytes[index]) << 8 + (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
    }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
  }

  private func checksum(_ bytes: [UInt8]) -> UInt16 {
    var checksum = InternetChecksum()
    checksum.add(bytes.span.bytes)
    return checksum.value
  }

  /// RFC 1071, 3: the bytes 00 01 f2 03 f4 f5 f6 f7 have the sum ddf2.
  @Test func exampleOfTheRFC() {
    #expect(checksum([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]) == ~0xDDF2)
  }

  @Test func everyLengthAndAlignment() {
    var random = SeededGenerator(seed: 7)
    let bytes = (0..<1700).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    for length in Array(0...300) + [1499, 1500, 1501] {
      for start in 0..<8 {
        let part = Array(bytes[start..<start + length])
        let span = bytes.span.bytes.extracting(start..<start + length)
        var checksum = InternetChecksum()
        checksum.add(span)
        #expect(checksum.value == plain(part), "\(length) bytes from \(start)")
      }
    }
  }

  /// Carries in every lane.
  @Test func onesInLargestFrame() {
    let bytes = [UInt8](repeating: 0xFF, count: 65535)
    #expect(checksum(bytes) == plain(bytes))
  }

  @Test func piecesOfOddLength() {
    var random = SeededGenerator(seed: 8)
    let bytes = (0..<700).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    for _ in 0..<200 {
      var checksum = InternetChecksum()
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + random.below(150))
        checksum.add(bytes.span.bytes.extracting(start..<end))
        start = end
      }
      #expect(checksum.value == plain(bytes))
    }
  }

  /// The kernel's checksums: over pseudo-header, header and payload, its own included, the sum is all ones.
  @Test func kernelFramesHoldTheirChecksums() {
    for (name, frame) in GoldenFrames.frames {
      let payload = EthernetPayload(EthernetView(frame.span.bytes)!)!
      if let packet = IPv4View(payload.bytes) {
        var sum = InternetChecksum(
          source: packet.source, destination: packet.destination, protocol: packet.protocol,
          length: packet.payload.byteCount)
        sum.add(packet.payload)
        #expect(packet.isChecksumValid && sum.value == 0, "\(name)")
      } else if let packet = IPv6View(payload.bytes), let upper = IPv6UpperLayer(packet), !upper.isFragment {
        var sum = InternetChecksum(
          source: packet.source, destination: packet.destination, protocol: upper.protocol,
          length: upper.bytes.byteCount)
        sum.add(upper.bytes)
        #expect(sum.value == 0, "\(name)")
      }
    }
  }

  /// RFC 1624, 4: the example on which the equation of RFC 1141 fails.
  @Test func exampleOfIncrementalUpdate() {
    #expect(InternetChecksum.updated(0xDD2F, from: 0x5555 as UInt16, to: 0x3285) == 0x0000)
  }

  @Test func updateIsAsGoodAsSummingAnew() {
    var random = SeededGenerator(seed: 9)
    for _ in 0..<500 {
      // No bytes sum to zero here, where ones' complement has two forms of it.
      var bytes = (0..<40).map { _ in UInt8(truncatingIfNeeded: random.next()) | 1 }
      let before = checksum(bytes)
      let old = Array(bytes)
      let width = [2, 4, 16][random.below(3)]
      let start = 2 * random.below((40 - width) / 2 + 1)
      for index in start..<start + width { bytes[index] = UInt8(truncatingIfNeeded: random.next()) | 1 }
      func number(_ bytes: [UInt8]) -> UInt128 { bytes[start..<start + width].reduce(0) { $0 << 8 | UInt128($1) } }
      let updated: UInt16 =
        switch width {
        case 2: InternetChecksum.updated(before, from: UInt16(number(old)), to: UInt16(number(bytes)))
        case 4: InternetChecksum.updated(before, from: UInt32(number(old)), to: UInt32(number(bytes)))
        default: InternetChecksum.updated(before, from: number(old), to: number(bytes))
        }
      #expect(updated == plain(bytes))
    }
  }
}
