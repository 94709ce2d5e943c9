import Foundation
import Testing

/// The small programs beside the tests.
enum Script {
  static func path(_ name: String) -> String { Bundle.module.bundlePath + "/Programs/" + name }
  static func words(_ name: String) -> [String] { ["python3", path(name)] }
}

/// A TCP transfer between two namespaces that is whole only if every byte arrived as it was sent.
struct Transfer {
  private let sender: Program
  private let receiver: Program

  /// - Parameters:
  ///   - port: on which the target listens, and at which the address is reached.
  ///   - rate: bytes a second; nil: as fast as it goes.
  init(
    bytes: Int, from source: Namespace, to target: Namespace, at address: String, port: Int = 7000, rate: Int? = nil
  ) throws {
    let receiver = try target.start(Script.words("stream.py") + ["receive", "\(port)"])
    try eventually("the receiver listens") { receiver.outputSoFar.hasPrefix("ready") }
    let pace = rate.map { ["\($0)"] } ?? []
    sender = try source.start(Script.words("stream.py") + ["send", address, "\(port)", "\(bytes)"] + pace)
    self.receiver = receiver
  }

  /// Bytes that have arrived, as the receiver last told.
  var received: Int { receiver.outputSoFar.split(separator: "\n").compactMap { Int($0) }.last ?? 0 }
  var isRunning: Bool { sender.isRunning && receiver.isRunning }

  /// What both ends say of it at its end: the number of bytes and their hash.
  func end() throws -> (sent: Substring, received: Substring) {
    func lastLine(_ program: Program) throws -> Substring {
      try program.succeed().split(separator: "\n").last.map { Substring(String($0)) } ?? ""
    }
    return (try lastLine(sender), try lastLine(receiver))
  }
}

/// What `martlet-load verify-receive` says of the datagrams it got.
struct Verification: Decodable {
  var received, lost, duplicated, reordered, corrupted, foreign: Int
}

/// Sends datagrams of random size; all that arrive must be whole, once and in order.
/// - Parameter longest: of a payload, in bytes. Fragments, which have no ports, may go another way than the rest.
@discardableResult
func verifyDatagrams(
  _ count: Int, from sender: Namespace, to receiver: Namespace, at address: String, longest: Int = 1400
) throws -> Verification {
  // While the sender's kernel still asks for the neighbour, it lets later datagrams overtake those that wait for the answer.
  #expect(try sender.reaches(address))
  let load = try Binaries.path("martlet-load")
  let check = try receiver.start(load, "verify-receive", "7001", "--count", "\(count)", "--longest", "\(longest)")
  try receiver.waitForSocket("udp", port: 7001)
  try sender.run(
    load, "verify-send", address, "7001", "--count", "\(count)", "--longest", "\(longest)", "--rate", "10000")
  let figures = try JSONDecoder().decode(Verification.self, from: Data(check.succeed().utf8))
  #expect(figures.received + figures.lost == count)
  #expect(figures.duplicated == 0 && figures.reordered == 0)
  #expect(figures.corrupted == 0 && figures.foreign == 0)
  return figures
}

/// Sends datagrams of one size in one piece each 40 of them (UDP_SEGMENT), slowly enough for every queue: all must arrive whole, and once.
/// They may overtake each other where the sender's processor changes.
func verifySegments(_ count: Int = 2000, from sender: Namespace, to receiver: Namespace, at address: String) throws {
  struct Told: Decodable { var received, lost, doubled, corrupted: Int }
  #expect(try sender.reaches(address))
  let program = try receiver.start(Script.words("segments.py") + ["receive", "7002", "\(count)"])
  try eventually("the receiver listens") { program.outputSoFar.hasPrefix("ready") }
  try sender.start(Script.words("segments.py") + ["send", address, "7002", "\(count)", "1300"]).succeed()
  let line = try program.succeed().split(separator: "\n").last ?? ""
  let told = try JSONDecoder().decode(Told.self, from: Data(line.utf8))
  #expect(told.received == count && told.lost == 0 && told.doubled == 0 && told.corrupted == 0, "\(line)")
}
