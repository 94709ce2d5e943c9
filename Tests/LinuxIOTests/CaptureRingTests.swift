import Datapath
import Testing

@testable import LinuxIO

@Suite("Capture rings")
struct CaptureRingTests {
  private static func record(_ number: Int, _ length: Int) -> CaptureRing.Record {
    CaptureRing.Record(
      nanoseconds: UInt64(number), size: 0, capturedLength: UInt32(length), originalLength: UInt32(length) + 1,
      port: UInt16(number % 1000), event: FrameEvent.sent.rawValue, reason: 0)
  }

  private static func bytes(_ number: Int, _ length: Int) -> [UInt8] {
    [UInt8](repeating: UInt8(number & 0xFF), count: length)
  }

  @Test("records of any length come out as they went in, round and round the memory")
  func order() throws {
    let ring = try #require(CaptureRing())
    defer { ring.deallocate() }
    // Lengths that leave every remainder at the memory's end.
    let lengths = (0..<4000).map { ($0 * 7919) % 9001 }
    var taken = 0
    for (number, length) in lengths.enumerated() {
      Self.bytes(number, length).withUnsafeBytes {
        ring.add(Self.record(number, length), $0.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!)
      }
      // The reader is a few records behind.
      guard number >= 5 else { continue }
      let next = try #require(ring.next())
      #expect(next.record.nanoseconds == UInt64(taken) && Int(next.record.originalLength) == lengths[taken] + 1)
      #expect(Array(next.bytes) == Self.bytes(taken, lengths[taken]))
      ring.take(next.record)
      taken += 1
    }
    #expect(ring.lost == 0)
  }

  @Test("what finds no room is counted, and what was there before stays whole")
  func full() throws {
    let ring = try #require(CaptureRing())
    defer { ring.deallocate() }
    let length = 65_535
    for number in 0..<200 {
      Self.bytes(number, length).withUnsafeBytes { ring.add(Self.record(number, length), $0.baseAddress!) }
    }
    var kept = 0
    while let next = ring.next() {
      #expect(next.record.nanoseconds == UInt64(kept) && next.bytes.allSatisfy { $0 == UInt8(kept & 0xFF) })
      ring.take(next.record)
      kept += 1
    }
    #expect(kept > 50 && kept + Int(ring.lost) == 200)
    Self.bytes(7, 60).withUnsafeBytes { ring.add(Self.record(7, 60), $0.baseAddress!) }
    #expect(try #require(ring.next()).record.nanoseconds == 7)
  }
}

@Suite("Captures of a switch")
struct FrameCaptureTests {
  @Test("workers have a tap while there is a capture, and only so many captures run")
  func tap() throws {
    let fabric = try Switch(workers: 1)
    defer { fabric.stop() }
    let network = try fabric.addNetwork(NetworkOptions())
    #expect(!fabric.isCapturing)
    let captures = try (0..<Switch.capturesMax).map { _ in try fabric.startCapture(CaptureOptions(), of: network) }
    #expect(fabric.isCapturing)
    #expect(throws: (any Error).self) { try fabric.startCapture(CaptureOptions(), of: network) }
    for capture in captures { fabric.endCapture(capture) }
    #expect(!fabric.isCapturing)
  }
}
