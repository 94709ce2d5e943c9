import ControlModel
import Foundation
import Testing
import Wire

@testable import CNI

/// A call that Podman 4.3, libcni or ctr really made, and what the plugin of the recording answered.
struct RecordedCall {
  var environment: [String: String]
  var input: [UInt8]
  var answer: JSONValue

  /// `Recorded/podman-4.3.jsonl`, in order.
  static let all: [RecordedCall] = {
    let path = Bundle.module.bundlePath + "/Recorded/podman-4.3.jsonl"
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
    return text.split(separator: "\n").compactMap { line in
      guard case .object(let fields) = JSONValue(Array(line.utf8)), case .object(let environment) = fields["env"],
        let input = fields["stdin"], let answer = fields["resp"]
      else { return nil }
      let variables = environment.compactMapValues { if case .string(let text) = $0 { text } else { nil } }
      return RecordedCall(environment: variables, input: input.bytes, answer: answer)
    }
  }()
}

extension [UInt8] {
  fileprivate var hasPreviousResult: Bool {
    guard case .object(let fields) = JSONValue(self) else { return false }
    return fields["prevResult"] != nil
  }
}

@Suite struct RecordedTests {
  /// The addresses that host-local gave in the recording, as it would give them to us.
  private func lease(_ call: RecordedCall) -> String? {
    guard case .object(var fields) = call.answer, case .array(let addresses) = fields["ips"] else { return nil }
    fields["interfaces"] = nil
    fields["ips"] = .array(
      addresses.map { address in
        guard case .object(var fields) = address else { return address }
        fields["interface"] = nil
        return .object(fields)
      })
    return JSONValue.object(fields).text
  }

  @Test func everyCall() throws {
    #expect(RecordedCall.all.count == 30)
    let bench = PluginBench()
    bench.namespaces.contents["/run/netns/cnic"] = NamespaceContents(
      interfaces: [
        NamespaceContents.Interface(
          name: "eth0", mac: MACAddress("02:00:00:00:00:55"), isUp: true, addresses: [IPPrefix("10.97.0.2/24")!])
      ], routes: [])
    var commands: [String: Int] = [:]
    for call in RecordedCall.all {
      let command = call.environment["CNI_COMMAND"] ?? ""
      commands[command, default: 0] += 1
      if let lease = lease(call) { bench.manager.answer = lease }
      let answer = bench.run(environment: call.environment, input: call.input)
      switch command {
      case "VERSION":
        #expect(answer.output == call.answer)
      case "ADD":
        try checkAdd(answer, call)
        #expect(bench.service.shownEndpoints.count == 1, "the one before went with its DEL")
      case "CHECK" where call.input.hasPreviousResult:
        #expect(answer.status == 0 && answer.output == nil, "\(answer)")
      case "CHECK":
        // The recording's ADD had failed, and left no result.
        #expect(answer.code == 7)
      default:
        #expect(answer.status == 0 && answer.output == nil, "\(command): \(answer)")
      }
      // Another network comes with other addresses.
      if command == "DEL" { bench.service.shownNetworks = [] }
    }
    #expect(commands == ["VERSION": 11, "ADD": 7, "DEL": 8, "STATUS": 1, "CHECK": 2, "GC": 1])
  }

  private func checkAdd(_ answer: PluginBench.Answer, _ call: RecordedCall) throws {
    #expect(answer.status == 0, "\(answer)")
    guard case .object(let expected) = call.answer, expected["code"] == nil else { return }
    #expect(answer["cniVersion"] == expected["cniVersion"] && answer["dns"] == expected["dns"])
    // The recording's plugin named its host's interface as well.
    guard case .array(let addresses) = expected["ips"], case .array(let ours) = answer["ips"] else {
      Issue.record("no addresses")
      return
    }
    for (one, other) in zip(addresses, ours) {
      guard case .object(var fields) = one else { continue }
      fields["interface"] = .integer(0)
      #expect(other == .object(fields))
    }
    #expect(addresses.count == ours.count)
  }

  @Test func podmansCapabilities() throws {
    let bench = PluginBench()
    let call = try #require(RecordedCall.all.first { $0.environment["CNI_COMMAND"] == "ADD" })
    bench.manager.answer = try #require(lease(call))
    #expect(bench.run(environment: call.environment, input: call.input).status == 0)
    let request = try #require(bench.connects.first)
    #expect(request.publish == ["8080:80/tcp"] && request.aliases == ["web", "95e3c8a7e3b4", "q1"])
    #expect(request.mac == "02:00:00:00:00:21" && request.ip == "10.95.0.77" && request.mtu == 1400)
    #expect(request.sandbox == "/run/netns/netns-d3f833fa-7425-0f92-1bf4-7ac33a8bd5c4")
    #expect(bench.service.shownNetworks.map(\.name) == ["swcninet"])
  }
}
