import Foundation
import Glibc
import Support
import Testing

@testable import Captures

@Suite("Captures are written")
struct WriterTests {
  private static let start: UInt64 = 1_700_000_000_123_456_789
  private let frames: [[UInt8]]

  init() throws { frames = try read(SampleCapture.twelve).frames.map(\.bytes) }

  /// The first frame in at web, and out at db; then a port comes, and gets the second one, cut.
  private func write(_ writer: inout CaptureWriter) throws {
    let (web, db) = (try writer.addInterface("web"), try writer.addInterface("db"))
    try writer.add(
      frames[0], at: web, Self.start, .inbound, "flooded to 2 ports")
    try writer.add(frames[0], at: db, Self.start, .outbound)
    let late = try writer.addInterface("später")
    try writer.add(
      frames[1], of: 1514, at: late, Self.start + 1, .inbound,
      "dropped: storm")
    try writer.add(frames[2], at: db, Self.start + 2)
    try writer.flush()
  }

  @Test("tcpdump reads them: times to the nanosecond, both lengths, bytes")
  func tcpdump() throws {
    var writer = CaptureWriter()
    try write(&writer)
    let text = try run("tcpdump", "-n", "-e", "--nano", "-r", "-", input: writer.takeBytes())
    #expect(
      text == """
        22:13:20.123456789 02:00:00:00:00:0a > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: \
        Request who-has 10.0.0.2 tell 10.0.0.1, length 28
        22:13:20.123456789 02:00:00:00:00:0a > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: \
        Request who-has 10.0.0.2 tell 10.0.0.1, length 28
        22:13:20.123456790 02:00:00:00:00:0b > 02:00:00:00:00:0a, ethertype ARP (0x0806), length 1514: \
        Reply 10.0.0.2 is-at 02:00:00:00:00:0b, length 1500
        22:13:20.123456791 02:00:00:00:00:0a > 02:00:00:00:00:0b, ethertype IPv4 (0x0800), length 54: \
        10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 1, win 8192, length 0

        """)
  }

  @Test("what is read back is what was written")
  func readBack() throws {
    var writer = CaptureWriter()
    try write(&writer)
    let (read, interfaces, complaint) = try read(writer.takeBytes())
    #expect(complaint == nil && interfaces == ["web", "db", "später"])
    #expect(
      read == [
        Kept(frames[0], Self.start, interface: 0, direction: .inbound),
        Kept(frames[0], Self.start, interface: 1, direction: .outbound),
        Kept(frames[1], Self.start + 1, originalLength: 1514, interface: 2, direction: .inbound),
        Kept(frames[2], Self.start + 2, interface: 1),
      ])
  }

  /// The blocks as the draft draws them; tshark 4.0 showed name, resolution, direction and comment of these bytes.
  @Test("byte for byte")
  func golden() throws {
    var writer = CaptureWriter(snapLength: 14, application: "m")
    let port = try writer.addInterface("p0")
    try writer.add(
      frames[0], at: port, Self.start, .outbound, "forwarded")
    #expect(
      writer.takeBytes()
        == SampleCapture.bytes(
          """
          0a0d0d0a 28000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0100 6d000000 00000000 28000000
          01000000 28000000 0100 0000 0e000000 0200 0200 70300000 0900 0100 09000000 00000000 28000000
          06000000 4c000000 00000000 fe9c9717 15cd853d 0e000000 2a000000 ffffffffffff02000000000a0806 0000
          0200 0400 02000000 0100 0900 666f72776172646564 000000 00000000 4c000000
          """))
  }

  @Test("bounds: snapped to the length that was chosen, texts cut within none of their characters")
  func bounds() throws {
    var writer = CaptureWriter(snapLength: 20)
    let port = try writer.addInterface(String(repeating: "ä", count: 40_000))
    try writer.add(
      frames[2], at: port, 0, .unknown, String(repeating: "日", count: 40_000))
    let (read, interfaces, complaint) = try read(writer.takeBytes())
    #expect(complaint == nil)
    #expect(read == [Kept(Array(frames[2].prefix(20)), 0, originalLength: 54, interface: 0)])
    #expect(interfaces[0].allSatisfy { $0 == "ä" || $0 == "\u{FFFD}" })
  }

  @Test("to a descriptor, whole blocks at a time; a reader that has gone is an error")
  func descriptor() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/out.pcapng"
    let file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    var writer = CaptureWriter(to: file)
    let port = try writer.addInterface("p0")
    for index in 0..<2000 {
      try writer.add(frames[2], at: port, UInt64(index))
      if index == 10 { #expect(try Data(contentsOf: URL(fileURLWithPath: path)).isEmpty) }
    }
    try writer.flush()
    close(file)
    #expect(try read([UInt8](Data(contentsOf: URL(fileURLWithPath: path)))).frames.count == 2000)

    let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
    defer { close(full) }
    var other = CaptureWriter(to: full)
    let error = #expect(throws: CaptureError.self) { try other.flush() }
    #expect(error?.description == "the capture cannot be written: No space left on device")
  }
}
