import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Names")
  struct Names {
    /// What dig says, a line each.
    private func dig(_ sandbox: Namespace, at server: String, _ words: String...) throws -> [String] {
      let all = ["dig", "+short", "+time=3", "+tries=1", "@\(server)"] + words
      return try sandbox.start(all).succeed().split(separator: "\n").map(String.init)
    }

    private func status(_ sandbox: Namespace, at server: String, _ name: String) throws -> String {
      let text = try sandbox.start(["dig", "+time=3", "+tries=1", "@\(server)", name]).succeed()
      return String(text.split(separator: "status: ").last?.prefix { $0 != "," } ?? "")
    }

    @Test("a sandbox finds its peers by name, alias, NAME.NETWORK and address, over UDP, TCP and IPv6")
    func peers() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "web", "--subnet", "10.9.0.0/24", "--subnet", "fd09::/64")
        let a = try daemon.sandbox("a", on: "web")
        let b = try daemon.sandbox("b", on: "web", "--ip", "10.9.0.9", "--ip6", "fd09::9", "--alias", "www")
        for server in ["10.9.0.1", "fd09::1"] {
          for transport in ["+notcp", "+tcp"] {
            for name in [b.name, "WWW", "www.web", "\(b.name).web"] {
              #expect(try dig(a, at: server, transport, name) == ["10.9.0.9"])
              #expect(try dig(a, at: server, transport, name, "AAAA") == ["fd09::9"])
            }
            for address in ["10.9.0.9", "fd09::9"] {
              #expect(try dig(a, at: server, transport, "-x", address) == ["\(b.name).web."])
            }
          }
        }
        // By the C library, and the resolv.conf that the sandbox was given.
        let found = try daemon.martlet("sandbox", "exec", a.name, "--", "getent", "ahosts", "www")
        #expect(found.contains("10.9.0.9") && found.contains("fd09::9"))
        let address = try daemon.martlet("sandbox", "exec", a.name, "--", "getent", "hosts", "10.9.0.9")
        #expect(address.contains("\(b.name).web"))
      }
    }

    @Test("answers are right at once, and of one's own networks alone; several of one name rotate")
    func atOnce() throws {
      try withDaemon { daemon in
        for (name, subnet) in [("one", "10.1.0.0/24"), ("two", "10.2.0.0/24")] {
          try daemon.martlet("network", "create", name, "--subnet", subnet)
        }
        let a = try daemon.sandbox("a", on: "one")
        let b = try daemon.sandbox("b", on: "two", "--ip", "10.2.0.9", "--alias", "db")
        #expect(try dig(a, at: "10.1.0.1", "db") == [], "of another network")
        try daemon.connect(a, to: "two")
        #expect(try dig(a, at: "10.1.0.1", "db") == ["10.2.0.9"], "any of its gateways knows all of its networks")
        try daemon.connect(b, to: "one", ["--ip", "10.1.0.9", "--alias", "db"])
        #expect(try dig(a, at: "10.1.0.1", "db.one") == ["10.1.0.9"])
        let c = try daemon.sandbox("c", on: "one", "--ip", "10.1.0.10", "--alias", "db")
        var first: Set<String> = []
        for _ in 0..<20 {
          let both = try dig(a, at: "10.1.0.1", "db.one")
          #expect(both.sorted() == ["10.1.0.10", "10.1.0.9"])
          first.insert(both[0])
        }
        #expect(first.count == 2)
        try daemon.disconnect(c, from: "one")
        #expect(try dig(a, at: "10.1.0.1", "db.one") == ["10.1.0.9"])
        // A killed daemon answers again when it is back.
        try daemon.end(by: SIGKILL)
        try daemon.start()
        #expect(try dig(a, at: "10.1.0.1", "db.one") == ["10.1.0.9"])
        #expect(try dig(a, at: "10.1.0.1", "db.two") == ["10.2.0.9"])
      }
    }

    @Test(
      "where there is no gateway to ask, they ask in their own namespace, which goes all the same",
      arguments: [["--no-gateway"], ["--gateway-mode", "isolated"], ["--driver", "macvlan", "-o", "parent=par0"]])
    func ownNamespace(options: [String]) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        try daemon.namespace.batch("link add par0 type veth peer name par1", "link set par0 up", "link set par1 up")
        try daemon.start()
        try daemon.command(["network", "create", "flat", "--subnet", "10.3.0.0/24"] + options)
        let a = try daemon.sandbox("a", on: "flat")
        _ = try daemon.sandbox("b", on: "flat", "--ip", "10.3.0.9", "--alias", "www")
        #expect(try dig(a, at: "127.0.0.11", "www") == ["10.3.0.9"])
        #expect(try dig(a, at: "127.0.0.11", "+tcp", "www.flat") == ["10.3.0.9"])
        let found = try daemon.martlet("sandbox", "exec", a.name, "--", "getent", "hosts", "www")
        #expect(found.contains("10.3.0.9"))
        // Its sockets keep the namespace until it is missed.
        try a.remove()
        try eventually("its endpoint is collected") { try daemon.network("flat").endpoints.count == 1 }
      }
    }

    @Test("what is not a sandbox's name goes to the host's resolvers")
    func forwarded() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let machine = try testbed.makeNamespace("out")
        try UplinkBed.makeWire(from: daemon.namespace, to: machine)
        try machine.serve("dnsserver.py", "known.example", "192.0.2.99")
        // Made beforehand: of what the daemon mounts in its own room, nobody else sees anything.
        let (a, b) = try (testbed.makeNamespace("a"), testbed.makeNamespace("b"))
        // The first resolver is silent: nobody has the address.
        let file = testbed.directory + "/resolv.conf"
        try "nameserver 192.0.2.77\nnameserver \(UplinkBed.machine.ipv4)\noptions timeout:1\n".write(
          toFile: file, atomically: true, encoding: .utf8)
        daemon.wrapper = [
          "unshare", "--mount", "sh", "-c", "mount --bind \(file) /etc/resolv.conf && exec \"$@\"", "sh",
        ]
        try daemon.start()
        try daemon.martlet("network", "create", "web", "--subnet", "10.9.0.0/24")
        try daemon.martlet("network", "connect", "web", a.path, "--alias", "www")
        for transport in ["+notcp", "+tcp"] {
          #expect(try dig(a, at: "10.9.0.1", transport, "known.example") == ["192.0.2.99"])
        }
        #expect(try status(a, at: "10.9.0.1", "unknown.example") == "NXDOMAIN")
        #expect(try dig(a, at: "10.9.0.1", "www") == ["10.9.0.2"])
        // Another network's sandbox, and the machine outside, are strangers at this gateway.
        try daemon.martlet("network", "create", "other", "--subnet", "10.8.0.0/24")
        try daemon.martlet("network", "connect", "other", b.path)
        #expect(try status(b, at: "10.9.0.1", "www") == "REFUSED")
        #expect(try status(b, at: "10.9.0.1", "known.example") == "REFUSED")
      }
    }
  }
}
