import Glibc
import Support
import Testing
import UplinkFilter

@Suite(.enabled(if: geteuid() == 0, "loads BPF programs, which needs root"))
struct HostileFrameTests {
  private func makeFilter() throws -> UplinkFilter {
    let filter = try UplinkFilterTests.makeFilter()
    filter.claims.setAll()
    return filter
  }

  @Test(arguments: Claimed.all)
  func frameOfEveryLength(_ claimed: Claimed) throws {
    let filter = try makeFilter()
    // The kernel runs nothing on a frame that is shorter than its IP header; `UplinkTests` sends such frames.
    for count in claimed.frame.headersEnd...min(claimed.frame.bytes.count, 200) {
      let expected = count < claimed.needed ? .host : claimed.verdict
      #expect(try filter.verdict(claimed.frame.cut(to: count)) == expected, "\(count) bytes")
    }
  }

  /// The packet ends where its header says, whatever follows.
  @Test(arguments: Claimed.all)
  func lengthOfEverySize(_ claimed: Claimed) throws {
    let filter = try makeFilter()
    let (field, start) = claimed.frame.isIPv4 ? (16, 14) : (18, 54)
    for length in Array(0...200) + [0x7FFF, 0xFFFF] {
      let expected = start + length < claimed.needed ? .host : claimed.verdict
      let frame = claimed.frame.with(UInt8(length >> 8), UInt8(length & 255), at: field)
      #expect(try filter.verdict(frame) == expected, "length \(length)")
    }
  }

  @Test func versionAndHeaderLengthMustBeRight() throws {
    let filter = try makeFilter()
    for first: UInt8 in 0...255 {
      // UDP's length, 13, where a header of 24 bytes has the ports.
      let expected: Verdict = first >> 4 == 4 && (5...7).contains(first & 15) ? .ours : .host
      #expect(try filter.verdict(GoldenFrames.udp.with(first, at: 14)) == expected, "\(first)")
      #expect(try filter.verdict(GoldenFrames.udp6.with(first, at: 14)) == (first >> 4 == 6 ? .ours : .host))
      let quote: Verdict = first >> 4 == 4 && (5...11).contains(first & 15) ? .ours : .host
      #expect(try filter.verdict(GoldenFrames.unreachable.with(first, at: 42)) == quote, "\(first) in a quote")
    }
  }

  /// ::ffff:192.0.2.1 in an IPv6 header is not 192.0.2.1.
  @Test func mappedAddressIsTheHosts() throws {
    let filter = try makeFilter()
    let mapped: [UInt8] = [UInt8](repeating: 0, count: 10) + [255, 255, 192, 0, 2, 1]
    for (frame, offset) in [(GoldenFrames.udp6, 38), (GoldenFrames.unreachable6, 70)] {
      var other = frame
      other.bytes.replaceSubrange(offset..<(offset + 16), with: mapped)
      #expect(try filter.verdict(frame) == .ours)
      #expect(try filter.verdict(other) == .host)
    }
  }

  /// As many extension headers as are walked, and one more.
  @Test(arguments: [(0, Verdict.ours), (1, .ours), (8, .ours), (9, .host), (60, .host)])
  func chainOfExtensionHeaders(count: Int, verdict: Verdict) throws {
    let filter = try makeFilter()
    var bytes = GoldenFrames.udp6.bytes
    for _ in 0..<count {
      bytes.insert(contentsOf: [bytes[20], 0, 1, 4, 0, 0, 0, 0], at: 54)
      bytes[20] = 60
    }
    let length = bytes.count - 54
    let frame = Frame(bytes).with(UInt8(length >> 8), UInt8(length & 255), at: 18)
    #expect(try filter.verdict(frame) == verdict)
  }

  /// An extension header that says it is longer than the packet; with 2 the data are taken for ports.
  @Test func longExtensionHeader() throws {
    let filter = try makeFilter()
    for length: UInt8 in 1...255 {
      #expect(try filter.verdict(GoldenFrames.udp6WithExtensions.with(length, at: 63)) == (length <= 2 ? .ours : .host))
    }
  }

  /// `verdict` throws where the two programs do not agree, or return what neither may.
  @Test func programsAgreeOnAnything() throws {
    let filter = try makeFilter()
    try filter.addEndpoint(address: external)
    let frames =
      Claimed.all.map(\.frame) + ClassificationTests.laterFragments + [
        GoldenFrames.arpRequest, GoldenFrames.arpReply, GoldenFrames.neighbourSolicitation,
        GoldenFrames.neighbourAdvertisement,
      ]
    var random = SeededGenerator(seed: 4)
    for _ in 0..<20_000 {
      var frame = frames.randomElement(using: &random)!
      let shortest = frame.headersEnd
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let offset = Int.random(in: 14..<min(120, frame.bytes.count), using: &random)
        frame = frame.with(UInt8.random(in: 0...255, using: &random), at: offset)
      }
      _ = try filter.verdict(frame.cut(to: Int.random(in: shortest...frame.bytes.count, using: &random)))
    }
  }
}
