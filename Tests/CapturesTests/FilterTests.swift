import Support
import Testing

@testable import Captures

@Suite("Filter expressions")
struct FilterTests {
  /// Which of the twelve frames match, counted from 1.
  private func matches(_ expression: String) throws -> [Int] {
    let filter = try CaptureFilter(expression)
    return try read(SampleCapture.twelve).frames.enumerated()
      .filter { filter.matches($0.element.bytes, of: $0.element.originalLength) }
      .map { $0.offset + 1 }
  }

  /// The words that tcpdump -r prints of the same file.
  @Test(
    "match what tcpdump matches",
    arguments: [
      "", "arp", "tcp[tcpflags] & tcp-syn != 0", "udp port 5353", "ether multicast", "vlan 7 and udp", "ip6", "less 42",
      "ether src 02:00:00:00:00:0a", "host 10.0.0.3 and not icmp", "stp",
    ])
  func likeTcpdump(_ expression: String) throws {
    let lines = try run("tcpdump", "-n", "-#", "-r", "-", expression, input: SampleCapture.twelve).split(
      separator: "\n")
    let all = try run("tcpdump", "-n", "-r", "-", input: SampleCapture.twelve).split(separator: "\n")
    // Numbered as they were printed: to be found by their words.
    let found = lines.map { line in line[line.index(line.startIndex, offsetBy: 5)...].drop { $0 == " " } }
      .compactMap { words in all.firstIndex { $0 == words }.map { $0 + 1 } }
    #expect(all.count == 12 && found.count == lines.count)
    #expect(try matches(expression) == found)
  }

  @Test("lengths compare with the frame's own, not with what was kept of it")
  func originalLength() throws {
    let filter = try CaptureFilter("greater 1000")
    let bytes = [UInt8](repeating: 0, count: 60)
    let found = [filter.matches(bytes, of: 1514), filter.matches(bytes), try CaptureFilter("arp").matches([])]
    #expect(found == [true, false, false])
  }

  @Test(
    "what cannot be understood is said in one sentence",
    arguments: [
      ("tcp prot 80", "filter 'tcp prot 80': can't parse filter expression: syntax error"),
      ("port 99999", "filter 'port 99999': illegal port number 99999 > 65535"),
      ("ether host x:y", "filter 'ether host x:y': "), ("ip and and", "filter 'ip and and': "),
      ("tcp\0", "a filter has no zero byte"), (String(repeating: " ", count: 5000), "a filter has at most 4096 bytes"),
    ])
  func errors(_ expression: String, _ words: String) throws {
    let error = #expect(throws: CaptureError.self) { _ = try CaptureFilter(expression) }
    #expect(error?.description.hasPrefix(words) == true && error?.description.contains("\n") == false, "\(error!)")
  }
}
