import ControlModel
import FoundationEssentials
import Testing

extension SystemTests {
  @Suite("Sandboxes")
  struct Sandboxes {
    private func inspect(_ daemon: Daemon, _ sandbox: String) throws -> Sandbox {
      try daemon.ask([Sandbox].self, "sandbox", "inspect", sandbox)[0]
    }

    /// As `readlink /proc/PID/ns/net` says it.
    private func inode(_ link: String) -> UInt64? { UInt64(link.filter(\.isNumber)) }

    @Test("one that was made is a namespace to everyone, and commands run in it")
    func made() throws {
      try withDaemon { daemon in
        let a = try daemon.sandbox("a")
        #expect(try daemon.namespace.testbed.run(["ip", "netns", "list"]).contains(a.name))
        let sandbox = try inspect(daemon, a.name)
        #expect(sandbox.netns == a.path && sandbox.origin == "made")
        let link = ["readlink", "/proc/self/ns/net"]
        #expect(try inode(a.start(link).succeed()) == sandbox.inode)
        #expect(try inode(daemon.attempt(["sandbox", "exec", a.name, "--"] + link).output) == sandbox.inode)
        #expect(try daemon.martlet("sandbox", "exec", a.name, "--", "ls", "/sys/class/net") == "lo\n")
        #expect(try daemon.attempt(["sandbox", "exec", a.name, "--", "sh", "-c", "exit 7"]).status == 7)
        #expect(try daemon.attempt(["sandbox", "exec", a.name, "--", "no-such-program"]).status == 127)
        try daemon.martlet("sandbox", "rm", a.name)
        #expect(!FileManager.default.fileExists(atPath: a.path))
      }
    }

    @Test("a connected one has addresses, routes and name servers, and says so")
    func connected() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24", "--mtu", "1400")
        let a = try daemon.sandbox("a", on: "lab", "--ip", "10.9.0.7", "--mac", "02:00:00:00:00:07", "--ifname", "lab0")
        let link = try a.link("lab0")
        #expect(link.address == "02:00:00:00:00:07" && link.mtu == 1400)
        let sandbox = try inspect(daemon, a.name)
        #expect(sandbox.endpoints.map(\.addresses) == [["10.9.0.7/24"]])
        #expect(sandbox.routes.contains(Route(destination: "default", gateway: "10.9.0.1", interface: "lab0")))
        let resolver = try daemon.martlet("sandbox", "exec", a.name, "--", "cat", "/etc/resolv.conf")
        #expect(try resolver == String(contentsOfFile: "/etc/netns/\(a.name)/resolv.conf", encoding: .utf8))
        for server in sandbox.dns.servers { #expect(resolver.contains("nameserver \(server)")) }
        try daemon.disconnect(a, from: "lab")
        try daemon.disconnect(a, from: "lab")
        #expect(try a.linkNames() == ["lo"])
        #expect(try a.run("ip", "route").isEmpty)
      }
    }

    @Test("one that was there is adopted by its path, and left where it is")
    func adopted() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let there = try daemon.namespace.testbed.makeNamespace("there")
        try daemon.martlet("sandbox", "create", "called", "--netns", there.path)
        #expect(try inspect(daemon, "called").origin == "adopted")
        try daemon.martlet("network", "connect", "lab", "called")
        #expect(try there.reaches(daemon.network("lab").subnets[0].gateway!))
        try daemon.martlet("network", "disconnect", "lab", "called")
        try daemon.martlet("sandbox", "rm", "called")
        #expect(try there.linkNames() == ["lo"])

        // By connecting its path alone: a sandbox for as long as it is connected.
        try daemon.martlet("network", "connect", "lab", there.path)
        #expect(try there.reaches(daemon.network("lab").subnets[0].gateway!))
        #expect(try inspect(daemon, there.path).netns == there.path)
        try daemon.martlet("network", "disconnect", "lab", there.path)
        #expect(try daemon.martlet("sandbox", "ls", "--quiet").isEmpty)
        #expect(try there.linkNames() == ["lo"])
      }
    }

    @Test("one that is shared is the same namespace, for as long as one of both is there")
    func shared() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab")
        let first = try daemon.sandbox("first", on: "lab")
        let second = "\(first.name)-second"
        try daemon.martlet("sandbox", "create", second, "--share", first.name)
        let (one, other) = try (inspect(daemon, first.name), inspect(daemon, second))
        #expect(one.inode == other.inode && one.netns == other.netns)
        #expect(one.sharedWith == [second] && other.sharedWith == [first.name])
        #expect(other.origin == "shared")
        #expect(try daemon.martlet("sandbox", "exec", second, "--", "ls", "/sys/class/net").contains("eth0"))

        try daemon.disconnect(first, from: "lab")
        try daemon.martlet("sandbox", "rm", first.name)
        #expect(try inspect(daemon, second).inode == one.inode)
        try daemon.martlet("network", "connect", "lab", second)
        #expect(try first.reaches(daemon.network("lab").subnets[0].gateway!))
        try daemon.martlet("network", "disconnect", "lab", second)
        try daemon.martlet("sandbox", "rm", second)
        #expect(!FileManager.default.fileExists(atPath: first.path))
      }
    }

    @Test("with endpoints on two networks it reaches both, and keeps a default route when one goes")
    func twoNetworks() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "one", "--subnet", "10.1.0.0/24", "--subnet", "fd01::/64")
        try daemon.martlet("network", "create", "two", "--subnet", "10.2.0.0/24", "--subnet", "fd02::/64")
        let a = try daemon.sandbox("a", on: "one")
        try daemon.connect(a, to: "two")
        _ = try daemon.sandbox("b", on: "one", "--ip", "10.1.0.9", "--ip6", "fd01::9")
        _ = try daemon.sandbox("c", on: "two", "--ip", "10.2.0.9", "--ip6", "fd02::9")
        let all = ["10.1.0.9", "fd01::9", "10.2.0.9", "fd02::9"]
        #expect(try a.linkNames() == ["lo", "eth0", "eth1"])
        #expect(try a.answering(all) == all)
        #expect(try a.run("ip", "route", "show", "default").contains("via 10.1.0.1 dev eth0"))
        #expect(try a.run("ip", "-6", "route", "show", "default").contains("via fd01::1 dev eth0"))

        try daemon.disconnect(a, from: "one")
        #expect(try a.run("ip", "route", "show", "default").contains("via 10.2.0.1 dev eth1"))
        #expect(try a.run("ip", "-6", "route", "show", "default").contains("via fd02::1 dev eth1"))
        #expect(try a.answering(Array(all[2...])) == Array(all[2...]))
      }
    }

    @Test("many that are connected at the same time have addresses of their own")
    func atOnce() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--ipv6")
        let sandboxes = try (0..<8).map { try daemon.sandbox("s\($0)") }
        let testbed = daemon.namespace.testbed
        let commands = try sandboxes.map {
          try testbed.start(daemon.commandLine(["network", "connect", "lab", $0.name]))
        }
        for command in commands { try command.succeed() }
        let endpoints = try daemon.network("lab").endpoints
        let addresses = endpoints.flatMap { [$0.ipv4, $0.ipv6] }
        #expect(Set(addresses).count == 16)
        #expect(Set(endpoints.map(\.mac)).count == 8)
        #expect(try daemon.namespace.answering(addresses) == addresses)
      }
    }

    @Test("an endpoint without an address is up, and what it carries is the user's")
    func noAddress() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let a = try daemon.sandbox("a", on: "lab", "--no-address")
        #expect(try daemon.endpoint(of: a, on: "lab").addresses.isEmpty)
        #expect(try a.run("ip", "-4", "addr", "show", "eth0").isEmpty)
        #expect(try a.run("ip", "route").isEmpty)
        try a.run("ip", "addr", "add", "10.9.0.200/24", "dev", "eth0")
        #expect(try a.reaches("10.9.0.1"))
      }
    }

    @Test("the drivers none and host give no interface")
    func otherDrivers() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "nothing", "--driver", "none")
        try daemon.martlet("network", "create", "machine", "--driver", "host")
        let before = try daemon.namespace.configuration()
        let a = try daemon.sandbox("a", on: "nothing")
        #expect(try a.linkNames() == ["lo"])
        #expect(try daemon.endpoint(of: a, on: "nothing").interface.isEmpty)
        try daemon.martlet("sandbox", "create", "own", "--netns", daemon.namespace.path)
        try daemon.martlet("network", "connect", "machine", "own")
        #expect(try daemon.network("machine").endpoints.map(\.sandbox) == ["own"])
        #expect(try daemon.namespace.configuration() == before)
      }
    }
  }
}
