import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("martlet top")
  struct Top {
    private struct Outcome: Decodable {
      var status: Int32
      var restored: Bool
      var output: String
    }

    private static let leavesTheScreen = "\u{1B}[?25h\u{1B}[?1049l"

    /// Of `martlet top` on a terminal of 120 columns and 20 rows.
    private func top(_ daemon: Daemon, _ words: [String], _ steps: String...) throws -> Outcome {
      let program = try ["env", "LC_ALL=C.UTF-8"] + daemon.commandLine(["top"] + words)
      let output = try daemon.namespace.start(
        Script.words("screen.py") + ["120", "20", "--"] + program, input: steps.map { $0 + "\n" }.joined()
      ).succeed()
      return try JSONDecoder().decode(Outcome.self, from: Data(output.utf8))
    }

    @Test("on a terminal: rates of real traffic, keys, another size; at the end the terminal is as it was")
    func terminal() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let one = try daemon.sandbox("one", on: "lab", "--ip", "10.9.0.10")
        _ = try daemon.sandbox("two", on: "lab", "--ip", "10.9.0.11")
        _ = try one.start("ping", "-q", "-i", "0.05", "10.9.0.11")
        let outcome = try top(
          daemon, ["--interval", "0.2"], "see \u{1B}[?1049h", "see RX BITS/S*", "see k ", "see ▁", "type n",
          "see 1 network every 0.20 s", "type >", "see TX FRAMES/S*", "type r", "see TX FRAMES/S^", "type p",
          "see INTERFACE", "forget", "resize 29 8", "see q quit   p ports   n networks\u{1B}[K", "see q quit", "type q")
        #expect(outcome.status == 0 && outcome.restored)
        #expect(outcome.output.contains(one.name) && outcome.output.hasSuffix(Self.leavesTheScreen))
      }
    }

    @Test("^C, a signal, the end of the samples, and of the daemon: each leaves the terminal as it was")
    func ends() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let endings = [
          ([], ["see q quit", "type \\x03"]), ([], ["see q quit", "signal \(SIGTERM)"]), (["-n", "2"], []),
        ]
        for (words, steps) in endings {
          let outcome = try top(daemon, ["--interval", "0.2"] + words, steps.joined(separator: "\n"))
          #expect(outcome.status == 0 && outcome.restored && outcome.output.hasSuffix(Self.leavesTheScreen))
        }
        let refused = try top(daemon, ["nowhere"])
        #expect(refused.status == 1 && refused.restored && !refused.output.contains("\u{1B}["))
        #expect(refused.output.contains("no network"))

        let pid = try #require(daemon.pid)
        let left = try top(
          daemon, ["--interval", "0.2"], "see q quit", "run kill \(pid)", "see \(Self.leavesTheScreen)")
        #expect(left.status == 1 && left.restored && left.output.contains("martlet: "))
      }
    }
  }
}
