import Foundation
import Support
import Testing

@testable import Captures

@Suite("Captures are read")
struct ReaderTests {
  @Test("pcap of either byte order and resolution: times in nanoseconds, bytes, no interfaces")
  func classic() throws {
    let (frames, interfaces, complaint) = try read(SampleCapture.twelve)
    #expect(complaint == nil && interfaces.isEmpty && frames.count == 12)
    #expect(frames.map(\.bytes.count) == [42, 42, 54, 54, 43, 43, 62, 52, 52, 24, 42, 28])
    #expect(frames[0].bytes.starts(with: SampleCapture.bytes("ffffffffffff 02000000000a 0806")))
    #expect(frames[1].nanoseconds == 1_700_000_000_001_000_000)
    #expect(frames.allSatisfy { $0.originalLength == $0.bytes.count && $0.interface == nil })
    let other = try read(SampleCapture.twelveBigEndian).frames
    #expect(other.map(\.bytes) == frames.map(\.bytes))
    #expect(other[1].nanoseconds == 1_700_000_000_000_999_928)
  }

  @Test("pcapng: each packet's interface, by its name")
  func interfaces() throws {
    let (frames, interfaces, complaint) = try read(SampleCapture.twoInterfaces)
    #expect(complaint == nil && interfaces == ["va", "vb"])
    #expect(frames.map(\.interface) == [0, 0, 1])
    #expect(frames.map(\.bytes.count) == [42, 44, 42])
    #expect(frames.map { $0.nanoseconds / 1_000_000 } == [1_795_814_649_833, 1_795_814_649_881, 1_795_814_649_857])
  }

  @Test("a second section of a pcapng file has interfaces of its own")
  func sections() throws {
    let (frames, interfaces, complaint) = try read(SampleCapture.twoInterfaces + SampleCapture.twoInterfaces)
    #expect(complaint == nil && interfaces == ["va", "vb", "va", "vb"])
    #expect(frames.map(\.interface) == [0, 0, 1, 2, 2, 3])
  }

  @Test("an interface's name has nothing that breaks lines or moves a cursor")
  func names() throws {
    var writer = CaptureWriter()
    _ = try writer.addInterface("a\u{1B}[2J\n\u{2028}\u{85}ä")
    _ = try writer.addInterface("")
    #expect(try read(writer.takeBytes()).interfaces == ["a?[2J???ä", "if1"])
  }

  @Test("from the start once more, and from a pipe")
  func rewound() throws {
    let pipe = Pipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(SampleCapture.twoInterfaces))
    try pipe.fileHandleForWriting.close()
    var reader = try CaptureReader(path: "/dev/fd/\(pipe.fileHandleForReading.fileDescriptor)")
    var first: [Kept] = []
    var second: [Kept] = []
    try reader.all(&first)
    try reader.rewind()
    #expect(reader.count == 0)
    try reader.all(&second)
    #expect(first == second && first.count == 3 && reader.count == 3)
    #expect(first.map(\.interface) == [0, 0, 1])
  }

  @Test("cut anywhere: what is whole before that is read, the packet is named")
  func cut() throws {
    for (bytes, ends) in [(SampleCapture.twelve, ends(of: SampleCapture.twelve)), (SampleCapture.twoInterfaces, [])] {
      let whole = try read(bytes).frames
      for length in stride(from: 0, to: bytes.count, by: 3) {
        let (frames, _, complaint) = try read(Array(bytes.prefix(length)))
        #expect(frames == Array(whole.prefix(frames.count)))
        guard !ends.isEmpty else { continue }
        #expect((complaint == nil) == ends.contains(length), "\(length)")
        if length > 24, let complaint {
          #expect(complaint.hasPrefix("in.pcap: packet \(frames.count + 1) cannot be read: truncated dump file"))
        }
      }
    }
  }

  /// Where packets of a pcap file end: those cuts nobody can see.
  private func ends(of bytes: [UInt8]) -> [Int] {
    var ends = [24]
    while let end = ends.last, end < bytes.count { ends.append(end + 16 + Int(bytes[end + 8])) }
    return ends
  }

  @Test("lengths that lie")
  func lies() throws {
    var bytes = SampleCapture.twelve
    // Captured of the second packet: 2^31; 24 for the file, and 16 + 42 for the first.
    bytes.replaceSubrange((24 + 58 + 8)..<(24 + 58 + 12), with: [0, 0, 0, 0x80])
    var (frames, _, complaint) = try read(bytes)
    #expect(frames.count == 1)
    #expect(complaint?.hasPrefix("in.pcap: packet 2 cannot be read: invalid packet capture length 2147483648") == true)

    bytes = SampleCapture.twelve
    bytes[24 + 58 + 12] = 41
    (frames, _, complaint) = try read(bytes)
    #expect(frames.count == 1)
    #expect(complaint == "in.pcap: packet 2 cannot be read: it claims to have had 41 bytes, and has 42")
  }

  @Test("a pcapng file's packet that is longer than any frame, where its interface claims to take such")
  func tooLong() throws {
    func words(_ values: UInt32...) -> [UInt8] {
      values.flatMap { value in (0..<4).map { UInt8(value >> (8 * $0) & 0xFF) } }
    }
    let length: UInt32 = 262_148
    let section = words(0x0A0D_0D0A, 28, 0x1A2B_3C4D, 1, .max, .max, 28)
    let bytes =
      section + words(1, 20, 1, 1 << 20, 20) + words(6, 32 + length, 0, 0, 0, length, length)
      + [UInt8](repeating: 0, count: Int(length)) + words(32 + length)
    let (frames, _, complaint) = try read(bytes)
    #expect(frames.isEmpty)
    #expect(complaint == "in.pcap: packet 1 cannot be read: it has 262148 bytes, more than 262144")
  }

  @Test("a frame of which only the begin was kept")
  func snapped() throws {
    var bytes = SampleCapture.twelve
    bytes.replaceSubrange(36..<38, with: [0xEA, 0x05])
    let frames = try read(bytes).frames
    #expect(frames[0].originalLength == 1514 && frames[0].bytes.count == 42)
  }

  @Test("what is no capture, and captures of other links, are refused")
  func refused() throws {
    #expect(
      try read(Array("no capture at all, but long enough".utf8)).complaint
        == "in.pcap is no capture that can be read: unknown file format")
    #expect(try read([]).complaint?.hasPrefix("in.pcap is no capture that can be read: truncated dump file") == true)
    var bytes = SampleCapture.twelve
    bytes[20] = 113
    #expect(
      try read(bytes).complaint
        == "in.pcap has packets of link type LINUX_SLL: only Ethernet (EN10MB) can be read")
    let error = #expect(throws: CaptureError.self) { _ = try CaptureReader(path: "/nowhere/in.pcap") }
    #expect(error?.description == "/nowhere/in.pcap: No such file or directory")
    #expect(throws: CaptureError.self) { _ = try CaptureReader(path: "/tmp") }
  }

  @Test("no bytes of a pcapng file make the reader read beyond it or go on for ever")
  func hostile() throws {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<300 {
      var bytes = SampleCapture.twoInterfaces
      for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      let (frames, interfaces, _) = try read(bytes)
      #expect(frames.count <= 3 && frames.allSatisfy { ($0.interface ?? 0) < max(1, interfaces.count) })
    }
  }
}
