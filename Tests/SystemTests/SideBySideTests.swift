import Glibc
import Testing

extension SystemTests {
  @Suite("Two daemons side by side")
  struct SideBySide {
    @Test("have the same networks and addresses, and the end of one is nothing to the other")
    func independence() throws {
      try withTestbed { testbed in
        let daemons = try [testbed.makeDaemon("d1"), testbed.makeDaemon("d2")]
        var sandboxes: [Namespace] = []
        for (number, daemon) in daemons.enumerated() {
          try daemon.start()
          try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
          sandboxes.append(try daemon.sandbox("a\(number)", on: "lab", "--ip", "10.9.0.2"))
          _ = try daemon.sandbox("b\(number)", on: "lab", "--ip", "10.9.0.3")
        }
        for sandbox in sandboxes { #expect(try sandbox.reaches("10.9.0.3")) }
        let before = try (daemons[1].network("lab").withoutCounters, daemons[1].namespace.configuration())
        let ping = try sandboxes[1].start("ping", "-n", "-i", "0.02", "-W", "5", "10.9.0.3")
        try daemons[0].end(by: SIGKILL)
        try daemons[0].start()
        try daemons[0].purge()
        ping.signal(SIGINT)
        let outcome = try ping.end()
        #expect(outcome.output.contains(" 0% packet loss"))
        #expect(try daemons[1].network("lab").withoutCounters == before.0)
        #expect(try daemons[1].namespace.configuration() == before.1)
        #expect(try sandboxes[1].reaches("10.9.0.3"))
      }
    }
  }
}
