import CNI
import ControlModel
import Foundation
import Testing

@testable import Netavark

/// What Podman 5.4 really called, and what the plugin of the recording answered.
@Suite struct RecordedTests {
  struct Call {
    var words: [String]
    var input: JSONValue
    var answer: JSONValue
    var status: Int64
  }

  static func calls() throws -> [Call] {
    let path = Bundle.module.bundlePath + "/Recorded/podman-5.4.jsonl"
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
      guard case .object(let fields) = JSONValue(Array(line.utf8)), case .array(let words) = fields["argv"],
        case .integer(let status) = fields["rc"]
      else { throw ControlError(.invalid, "no call: \(line.prefix(80))") }
      return Call(
        words: words.dropFirst().compactMap { if case .string(let text) = $0 { text } else { nil } },
        input: fields["stdin"] ?? .null, answer: fields["resp"] ?? .null, status: status)
    }
  }

  /// Without the options that were the recording's plugin's own.
  private func plain(_ value: JSONValue) -> JSONValue {
    guard case .object(var fields) = value else { return value }
    if case .object(var options) = fields["options"] {
      options["bridge"] = nil
      fields["options"] = .object(options)
    }
    // Two networks of the recording name the same.
    fields["network_interface"] = nil
    if let network = fields["network"] { fields["network"] = plain(network) }
    return .object(fields)
  }

  @Test func everyCall() throws {
    let bench = DriverBench()
    var commands: [String: Int] = [:]
    for call in try Self.calls() {
      guard call.status == 0, let command = call.words.first else { continue }
      commands[command, default: 0] += 1
      let input = plain(call.input)
      let answer = bench.run(call.words, input: input.bytes)
      #expect(answer.status == 0, "\(call.words) \(answer)")
      switch command {
      case "create": #expect(answer.output == input)
      case "setup": #expect(try anonymous(answer.output) == anonymous(call.answer))
      case "teardown": #expect(answer.output == nil)
      default: break
      }
    }
    #expect(commands["create"] ?? 0 > 0 && commands["setup"] ?? 0 > 0 && commands["teardown"] ?? 0 > 0, "\(commands)")
  }

  @Test func optionsOfOthersAreRefusedByName() throws {
    let call = try #require(try Self.calls().first { $0.words == ["create"] && $0.input.text.contains("lan3") })
    let answer = DriverBench().run(call.words, input: call.input.bytes)
    #expect(answer.status == 1 && answer.error.contains("bridge=lan3"))
  }

  /// MAC addresses that nobody asked for are anyone's.
  private func anonymous(_ value: JSONValue?) throws -> String {
    try #require(value).text.replacing(#/"mac_address":"[0-9a-f:]*"/#, with: #""mac_address":"""#)
  }
}
