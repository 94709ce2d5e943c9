import Foundation
import Testing

@testable import CNI

/// Real processes.
@Suite struct AddressManagerProgramTests {
  private func run(
    _ script: String, _ command: String = "ADD", input: String = "{}", plugin: String = "plugin"
  ) throws -> Result<String, CNIError> {
    let directory = NSTemporaryDirectory() + "martlet-cni-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/plugin"
    try Self.write("#!/bin/sh\n\(script)\n", asProgram: path)
    var environment = PluginBench.environment
    environment["CNI_COMMAND"] = command
    environment["CNI_PATH"] = "/nowhere:\(directory)"
    environment["PATH"] = "/usr/bin:/bin"
    let invocation = try Invocation(environment: environment)
    // On a rollback the command is another than the process's own.
    environment["CNI_COMMAND"] = "of the process"
    do throws(CNIError) {
      let output = try AddressManagerProgram(environment: environment)
        .run(plugin, invocation, input: Array(input.utf8))
      return .success(String(decoding: output, as: UTF8.self))
    } catch {
      return .failure(error)
    }
  }

  /// By another process: a child that a test beside this one starts meanwhile would inherit our descriptor for writing, and what
  /// is open for writing cannot be run (ETXTBSY).
  private static func write(_ text: String, asProgram path: String) throws {
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments = ["-c", #"printf %s "$1" >"$2" && chmod 755 "$2""#, "sh", text, path]
    try shell.run()
    shell.waitUntilExit()
    try #require(shell.terminationStatus == 0)
  }

  @Test func getsWhatWeGot() throws {
    let script = #"echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME $#"; cat"#
    #expect(try run(script, "DEL", input: "conf").get() == "DEL ctr1 /run/netns/cnic eth0 0\nconf")
    let large = String(repeating: "x", count: 900_000)
    #expect(try run("cat", input: large).get() == large, "more than a pipe holds")
  }

  @Test func saysWhyItFailed() throws {
    let error = #"{"cniVersion": "1.0.0", "code": 11, "msg": "later", "details": "much"}"#
    #expect(
      try run("echo '\(error)'; exit 1") == .failure(CNIError(.tryAgainLater, "later", details: "much")))
    for (script, word) in [("exit 3", "status 3"), ("kill -9 $$", "status 137"), ("echo '{}'; exit 1", "status 1")] {
      let result = try run(script)
      guard case .failure(let error) = result else {
        Issue.record("\(script) succeeded")
        continue
      }
      #expect(error.code == .system && error.message.contains(word))
    }
  }

  @Test func isNotThere() throws {
    for (command, code) in [("ADD", CNIError.Code.invalidEnvironment), ("STATUS", .notAvailable)] {
      guard case .failure(let error) = try run("true", command, plugin: "absent") else {
        Issue.record("found")
        continue
      }
      #expect(error.code == code && error.message.contains("absent") && error.message.contains("CNI_PATH"))
    }
  }

  @Test func floods() throws {
    guard case .failure(let error) = try run("head -c 2000000 /dev/zero") else {
      Issue.record("taken")
      return
    }
    #expect(error.code == .ioFailure)
  }
}
