import Foundation

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
