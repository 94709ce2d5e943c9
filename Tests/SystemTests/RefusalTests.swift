import ControlModel
import Glibc
import Testing

extension SystemTests {
  /// A command line that must be refused, beside a network `lab` (10.9.0.0/24, fd09::/64) whose sandbox SANDBOX has 10.9.0.5 and
  /// 02:00:00:00:00:05, and a sandbox FREE that is connected to nothing.
  struct Refused: Sendable {
    let words: String
    /// What the refusal must name.
    let reason: String
    init(_ words: String, _ reason: String) { (self.words, self.reason) = (words, reason) }
  }

  @Suite("What is refused changes nothing")
  struct Refusals {
    private static let longName = String(repeating: "n", count: 129)

    private static let networks = [
      Refused("network create -- -lab", "name"),
      Refused("network create la/b", "name"),
      Refused("network create \(longName)", "name"),
      Refused("network create lab", "exists"),
      Refused("network create x --driver frob", "driver"),
      Refused("network create x --subnet 10.9.1", "CIDR"),
      Refused("network create x --subnet 10.9.1.1/24", "host bits"),
      Refused("network create x --subnet 10.9.0.0/16", "network lab"),
      Refused("network create x --subnet 10.9.0.128/25", "network lab"),
      Refused("network create x --subnet fd09::/48", "network lab"),
      Refused("network create x --subnet 10.77.1.0/24", "route of the host"),
      Refused("network create x --subnet 127.1.0.0/16", "loopback"),
      Refused("network create x --subnet 224.1.0.0/16", "multicast"),
      Refused("network create x --subnet 10.8.0.0/32", "room"),
      Refused("network create x --subnet 10.8.0.0/24 --gateway 10.7.0.1", "10.7.0.1"),
      Refused("network create x --subnet 10.8.0.0/24 --gateway 10.8.0.0", "10.8.0.0"),
      Refused("network create x --subnet 10.8.0.0/24 --gateway 10.8.0.255", "10.8.0.255"),
      Refused("network create x --subnet 10.8.0.0/24 --ip-range 10.7.0.0/25", "ip-range"),
      Refused("network create x --subnet 10.8.0.0/24 --aux-address p=10.7.0.9", "aux-address"),
      Refused("network create x --mtu 67", "MTU"),
      Refused("network create x --mtu 9001", "MTU"),
      Refused("network create x --mtu 1279 --ipv6", "MTU"),
      Refused("network create x --ageing 0", "ageing"),
      Refused("network create x --fdb-limit 1000001", "MAC table"),
      Refused("network create x -o frob=1", "frob"),
      Refused("network rm lab", "SANDBOX"),
      Refused("network rm x", "x"),
      Refused("network inspect x", "x"),
      Refused("network set lab --mtu 100", "MTU"),
      Refused("network set x --ageing 9", "x"),
    ]

    private static let sandboxes = [
      Refused("sandbox create SANDBOX", "exists"),
      Refused("sandbox create ../x", "name"),
      Refused("sandbox create x --netns /run/netns/no-such", "no-such"),
      Refused("sandbox create x --netns relative", "absolute"),
      Refused("sandbox create x --netns /etc/passwd", "no network namespace"),
      Refused("sandbox create x --netns NAMESPACE", "--share"),
      Refused("sandbox create x --share no-such", "no-such"),
      Refused("sandbox rm SANDBOX", "lab"),
      Refused("sandbox rm no-such", "no-such"),
      Refused("sandbox exec no-such -- true", "no-such"),
    ]

    private static let endpoints = [
      Refused("network connect x FREE", "x"),
      Refused("network connect lab no-such", "no-such"),
      Refused("network connect lab SANDBOX", "already"),
      Refused("network connect lab FREE --ip 10.8.0.2", "subnet"),
      Refused("network connect lab FREE --ip 10.9.0.5", "taken"),
      Refused("network connect lab FREE --ip 10.9.0.1", "taken"),
      Refused("network connect lab FREE --ip 10.9.0.0", "network address"),
      Refused("network connect lab FREE --ip 10.9.0.255", "broadcast"),
      Refused("network connect lab FREE --ip 10.9.0.256", "10.9.0.256"),
      Refused("network connect lab FREE --ip6 fd08::2", "subnet"),
      Refused("network connect lab FREE --ip fd09::2", "IPv4"),
      Refused("network connect lab FREE --mac 02:00:00:00:00:05", "taken"),
      Refused("network connect lab FREE --mac 01:00:5e:00:00:01", "group"),
      Refused("network connect lab FREE --mac 00:00:00:00:00:00", "zero"),
      Refused("network connect lab FREE --mac 02:00:00", "MAC"),
      Refused("network connect lab FREE --ifname lo", "lo"),
      Refused("network connect lab FREE --ifname sixteen-letters-", "15 bytes"),
      Refused("network connect lab FREE --ifname a/b", "interface name"),
      Refused("network connect other SANDBOX --ifname eth0", "eth0"),
      Refused("network connect lab FREE --mtu 1501", "MTU"),
      Refused("network connect lab FREE --mtu 1000", "MTU"),
      Refused("network connect lab /run/netns/no-such", "no-such"),
      Refused("network connect lab DAEMON", "daemon's own"),
      Refused("network connect small FREE", "address"),
      Refused("network disconnect x SANDBOX", "x"),
      Refused("endpoint inspect 0000", "0000"),
      Refused("endpoint set 0000 --isolated on", "0000"),
      Refused("fdb show x", "x"),
      Refused("fdb add lab 01:00:00:00:00:01 gateway", "unicast"),
      Refused("fdb add lab 02:00:00:00:00:99 0000", "0000"),
      Refused("fdb rm lab 02:00:00:00:00:99", "02:00:00:00:00:99"),
      Refused("fdb flush lab --port 0000", "0000"),
      Refused("stats x", "x"),
    ]

    private static let commands = ["networks": networks, "sandboxes": sandboxes, "endpoints": endpoints]

    @Test("with status 1 and one line that says why", arguments: commands.keys.sorted())
    func refusals(about subject: String) throws {
      try withDaemon { daemon in
        let host = daemon.namespace
        try host.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
        try host.run("ip", "link", "set", "veth1", "up")
        try host.run("ip", "link", "set", "veth0", "up")
        try host.run("ip", "addr", "add", "10.77.0.1/16", "dev", "veth0")
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24", "--subnet", "fd09::/64")
        try daemon.martlet("network", "create", "other", "--subnet", "10.10.0.0/24")
        // Room for the gateway and one endpoint.
        try daemon.martlet("network", "create", "small", "--subnet", "10.11.0.0/30")
        let sandbox = try daemon.sandbox("sandbox", on: "lab", "--ip", "10.9.0.5", "--mac", "02:00:00:00:00:05")
        try daemon.connect(sandbox, to: "small")
        let free = try daemon.sandbox("free")
        let placeholders = [
          "SANDBOX": sandbox.name, "FREE": free.name, "NAMESPACE": sandbox.path, "DAEMON": host.path,
        ]
        func state() throws -> String {
          let networks = try daemon.ask([Network].self, "network", "ls").map(\.withoutCounters)
          let sandboxes = try daemon.martlet("sandbox", "ls", "--no-trunc")
          return try "\(networks)\(sandboxes)" + host.configuration() + sandbox.configuration() + free.configuration()
            + host.testbed.run(["ls", "/run/netns"])
        }
        let before = try state()
        for command in Self.commands[subject]! {
          let outcome = try daemon.attempt(
            command.words.split(separator: " ").map { placeholders[String($0)] ?? String($0) })
          let reason = placeholders[command.reason] ?? command.reason
          #expect(outcome.status == 1, "\(command.words): \(outcome.complaint)")
          #expect(outcome.complaint.split(separator: "\n").count == 1, "\(command.words): \(outcome.complaint)")
          #expect(outcome.complaint.contains(reason), "\(command.words): \(outcome.complaint)")
        }
        let after = try state()
        let changed = after.split(separator: "\n").difference(from: before.split(separator: "\n"))
        #expect(changed.isEmpty)
      }
    }

    @Test(
      "wrong usage has status 64",
      arguments: [
        "", "frob", "network", "network create", "network create a b", "network create a --frob", "network connect lab",
        "network create a --mtu much", "endpoint set 0000", "sandbox exec a", "sandbox create a --netns /x --share b",
      ])
    func usage(words: String) throws {
      let client = try Binaries.path("martlet")
      for flag in [[], ["--json"]] {
        let outcome = try Program(
          [client, "--socket", "/nowhere"] + flag + words.split(separator: " ").map(String.init)
        ).end()
        // A command group alone shows its help, as git and docker do.
        if ["", "network"].contains(words) {
          #expect(outcome.output.contains("USAGE:") || outcome.complaint.contains("USAGE:"))
          continue
        }
        #expect(outcome.status == 64)
        #expect(outcome.output.isEmpty)
        #expect(outcome.complaint.hasPrefix(flag.isEmpty ? "martlet: " : #"{"error":"#))
      }
    }

    @Test("without a daemon there is one line that says so")
    func noDaemon() throws {
      let outcome = try Program([Binaries.path("martlet"), "--socket", "/nowhere", "network", "ls"]).end()
      #expect(outcome.status == 1)
      #expect(outcome.complaint.split(separator: "\n").count == 1)
      #expect(outcome.complaint.contains("/nowhere"))
    }

    @Test("requests that are no requests are answered as such, and the daemon goes on")
    func malformedRequests() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        func ask(_ request: String) throws -> String {
          try Program(["socat", "-t", "10", "-", "UNIX-CONNECT:\(daemon.socket)"], input: request).succeed()
        }
        func post(_ body: String) throws -> String {
          try ask(
            "POST /v1/networks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
              + body)
        }
        let oversized = "POST /v1/networks HTTP/1.1\r\nHost: x\r\nContent-Length: \(2 << 20)\r\n\r\n"
        #expect(try ask("no request at all\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        #expect(try post(#"{"name": "#).hasPrefix("HTTP/1.1 400 "))
        #expect(try post(#"{"name": 7}"#).hasPrefix("HTTP/1.1 400 "))
        #expect(try post(#"{"name": "\u0000"}"#).hasPrefix("HTTP/1.1 400 "))
        #expect(try ask(oversized).hasPrefix("HTTP/1.1 413 "))
        #expect(try ask("GET /v1/frob HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").hasPrefix("HTTP/1.1 404 "))
        #expect(try ask("PUT /v1/networks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").hasPrefix("HTTP/1.1 405 "))
        #expect(try daemon.ask([Network].self, "network", "ls").map(\.name) == ["lab"])
      }
    }
  }
}
