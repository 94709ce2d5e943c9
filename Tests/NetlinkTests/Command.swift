import Foundation
import Testing

/// A run of iproute2, the other side of every comparison in these tests.
struct Command {
  let status: Int32
  let output: Data
  let complaint: String

  /// What the kernel said, as iproute2 prints it: `Error: WORDS.`; nil where it gave only a number.
  var kernelWords: String? {
    guard let line = complaint.split(separator: "\n").first(where: { $0.hasPrefix("Error: ") }) else { return nil }
    return String(line.dropFirst("Error: ".count).dropLast())
  }

  static func attempt(_ words: [String], input: String = "") throws -> Command {
    let process = Process()
    let (standardInput, output, complaint) = (Pipe(), Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    (process.standardInput, process.standardOutput, process.standardError) = (standardInput, output, complaint)
    try process.run()
    try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try standardInput.fileHandleForWriting.close()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    let text = try complaint.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Command(status: process.terminationStatus, output: bytes, complaint: String(decoding: text, as: UTF8.self))
  }

  /// One that must succeed; its standard output.
  @discardableResult
  static func run(_ words: String...) throws -> String {
    let command = try attempt(words)
    try #require(command.status == 0, "\(words.joined(separator: " ")): \(command.complaint)")
    return String(decoding: command.output, as: UTF8.self)
  }
}
