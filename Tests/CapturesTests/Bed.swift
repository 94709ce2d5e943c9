import Foundation
import Support

@testable import Captures

/// A frame that was read, kept.
struct Kept: Equatable {
  var bytes: [UInt8]
  var originalLength: Int
  var nanoseconds: UInt64
  var interface: Int?
  var direction: CaptureDirection

  init(
    _ bytes: [UInt8], _ nanoseconds: UInt64, originalLength: Int? = nil, interface: Int? = nil,
    direction: CaptureDirection = .unknown
  ) {
    (self.bytes, self.nanoseconds, self.originalLength) = (bytes, nanoseconds, originalLength ?? bytes.count)
    (self.interface, self.direction) = (interface, direction)
  }

  init(_ frame: borrowing CapturedFrame) {
    (bytes, originalLength) = (frame.bytes.withUnsafeBytes { Array($0) }, frame.originalLength)
    (nanoseconds, interface, direction) = (frame.nanoseconds, frame.interface, frame.direction)
  }
}

extension CaptureReader {
  mutating func all(_ kept: inout [Kept]) throws(CaptureError) {
    while let frame = try next() { kept.append(Kept(frame)) }
  }
}

extension CaptureFilter {
  func matches(_ frame: [UInt8], of originalLength: Int? = nil) -> Bool {
    matches(frame.span.bytes, originalLength: originalLength)
  }
}

extension CaptureWriter {
  mutating func add(
    _ frame: [UInt8], of originalLength: Int? = nil, at interface: Int, _ nanoseconds: UInt64,
    _ direction: CaptureDirection = .unknown, _ comment: String = ""
  ) throws(CaptureError) {
    let bytes = frame.span.bytes
    try add(
      bytes, originalLength: originalLength, interface: interface, nanoseconds: nanoseconds, direction: direction,
      comment: comment)
  }
}

/// What is read of a file with these bytes, and why no more.
func read(_ bytes: [UInt8]) throws -> (frames: [Kept], interfaces: [String], complaint: String?) {
  let directory = try TemporaryDirectory()
  let path = directory.path + "/in.pcap"
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  var frames: [Kept] = []
  do {
    var reader = try CaptureReader(path: path)
    let interfaces = reader.interfaces
    do {
      try reader.all(&frames)
      return (frames, interfaces, nil)
    } catch {
      return (frames, interfaces, error.description.replacing(directory.path + "/", with: ""))
    }
  } catch {
    return (frames, [], error.description.replacing(directory.path + "/", with: ""))
  }
}

/// A program's standard output, when it is given these bytes.
func run(_ words: String..., input: [UInt8]) throws -> String {
  let (process, standardInput, output) = (Process(), Pipe(), Pipe())
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = words
  process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C"]
  (process.standardInput, process.standardOutput, process.standardError) = (
    standardInput, output, FileHandle.nullDevice
  )
  try process.run()
  try standardInput.fileHandleForWriting.write(contentsOf: Data(input))
  try standardInput.fileHandleForWriting.close()
  let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  return String(decoding: bytes, as: UTF8.self)
}
