import ControlModel
import Glibc
import Testing

extension SystemTests {
  @Suite("Services")
  struct Services {
    /// Tells each client its own name at port 80.
    private func serve(_ name: String, in container: Namespace) throws {
      _ = try container.start([
        "socat", "TCP6-LISTEN:80,fork,reuseaddr,ipv6only=0,backlog=64", "SYSTEM:printf \(name)",
      ])
      try container.serveWhoami("81")
      try eventually("\(name) serves") { try asked("127.0.0.1", 80, by: container) == name }
    }

    /// The name of who answers; nil: nobody.
    private func asked(_ address: String, _ port: Int, by client: Namespace) throws -> String? {
      let host = address.contains(":") ? "TCP6:[\(address)]" : "TCP4:\(address)"
      let outcome = try client.start(["socat", "-u", "\(host):\(port),connect-timeout=3", "-"]).end()
      return outcome.status == 0 && !outcome.output.isEmpty ? outcome.output : nil
    }

    private func askers(_ count: Int, _ address: String, _ port: Int, by client: Namespace) throws -> Set<String?> {
      var names: Set<String?> = []
      for _ in 0..<count { names.insert(try asked(address, port, by: client)) }
      return names
    }

    private func isRefused(_ address: String, _ port: Int, by client: Namespace) throws -> Bool {
      // curl: 7, could not connect.
      let words = ["curl", "--silent", "--globoff", "--noproxy", "*", "--max-time", "3"]
      return try client.start(words + ["http://\(address):\(port)/"]).end().status == 7
    }

    @Test("new connections spread over members; one that is removed takes no new ones, and keeps those it has")
    func membersComeAndGo() throws {
      try withUplink { bed in
        let (a, b, c) = (bed.container, try bed.container("b"), try bed.container("c"))
        for (name, container) in [("a", a), ("b", b), ("c", c)] { try serve(name, in: container) }
        try bed.daemon.martlet(
          "service", "create", "web", "--network", "lan", "--publish", "8080:80", "--publish", "8081:81",
          "--publish", "8081:81/udp", "--endpoint", a.name, "--endpoint", b.name, "--endpoint", c.name)
        let machine = bed.machine
        for address in [UplinkBed.host.ipv4, UplinkBed.host.ipv6] {
          #expect(try askers(30, address, 8080, by: machine) == ["a", "b", "c"], "\(address)")
        }
        // The members see who asks.
        #expect(try machine.asksTCP(UplinkBed.host.ipv4, 8081)?.address == UplinkBed.machine.ipv4)
        #expect(try machine.asksUDP(UplinkBed.host.ipv6, 8081)?.serverPort == 81)
        let held = try (0..<12).map { _ in try machine.hold(UplinkBed.host.ipv4, 8081) }
        // One that has ended says nothing more.
        func answered() -> Int { held.count { ((try? $0.answer()) ?? nil) != nil } }
        #expect(answered() == 12)

        try bed.daemon.martlet("service", "set", "web", "--rm-endpoint", c.name)
        #expect(try askers(20, UplinkBed.host.ipv4, 8080, by: machine) == ["a", "b"])
        #expect(answered() == 12, "c is no member, and lives")
        try bed.daemon.martlet("network", "disconnect", "lan", b.name)
        #expect(try askers(12, UplinkBed.host.ipv4, 8080, by: machine) == ["a"])
        let left = answered()
        #expect(left > 0 && left < 12, "b's have gone, the others go on")

        try bed.daemon.martlet("service", "set", "web", "--rm-endpoint", a.name)
        for address in [UplinkBed.host.ipv4, "[\(UplinkBed.host.ipv6)]"] {
          #expect(try isRefused(address, 8080, by: machine), "\(address)")
        }
        #expect(answered() == left)
        try bed.daemon.martlet("service", "rm", "web")
        #expect(try isRefused(UplinkBed.host.ipv4, 8080, by: machine))
        #expect(answered() == 0)
      }
    }

    @Test("from inside, by name: the virtual address leads to members, itself too", arguments: workerCounts)
    func virtualAddress(workers: Int) throws {
      try withUplink(workers: workers) { bed in
        let (a, b) = (bed.container, try bed.container("b"))
        for (name, container) in [("a", a), ("b", b)] { try serve(name, in: container) }
        let client = try bed.container("client")
        try bed.daemon.martlet(
          "service", "create", "web", "--network", "lan", "--publish", "8080:80", "--endpoint", a.name, "--endpoint",
          b.name)
        let service = try bed.daemon.service("web")
        #expect(service.state == "up" && service.virtualAddresses.count == 2)
        for from in [client, a] {
          for address in service.virtualAddresses {
            for port in [80, 8080] {
              #expect(try askers(16, address, port, by: from) == ["a", "b"], "\(address) \(port)")
            }
          }
          #expect(try from.answering(service.virtualAddresses) == service.virtualAddresses)
        }
        let found = try bed.daemon.martlet("sandbox", "exec", client.name, "--", "getent", "ahostsv4", "web")
        #expect(found.hasPrefix(service.virtualAddresses[0] + " "))
        #expect(try askers(16, UplinkBed.host.ipv4, 8080, by: client) == ["a", "b"], "by the host's port")
        #expect(try asked(UplinkBed.host.ipv4, 8080, by: bed.host) != nil, "the host itself")
        try bed.restart(by: SIGKILL)
        for address in service.virtualAddresses { #expect(try askers(16, address, 80, by: client) == ["a", "b"]) }
        #expect(try askers(16, UplinkBed.host.ipv4, 8080, by: bed.machine) == ["a", "b"])
      }
    }

    @Test("a host that runs no member answers with those of another")
    func ingress() throws {
      try withTestbed { testbed in
        let (first, second) = (try testbed.makeDaemon("h1"), try testbed.makeDaemon("h2"))
        let machine = try testbed.makeNamespace("out")
        try UplinkBed.makeWire(from: first.namespace, to: machine)
        try first.namespace.batch("link add w0 type veth peer name w0 netns \(second.namespace.name)")
        var members: [Namespace] = []
        for (index, host) in [first, second].enumerated() {
          try host.namespace.batch("address add 198.51.100.\(index + 1)/24 dev w0", "link set w0 up")
          try host.start()
          let half = index * 128
          try host.command([
            "network", "create", "lab", "--driver", "overlay", "-o", "vni=42", "-o",
            "local=198.51.100.\(index + 1)", "--subnet", "10.42.0.0/24", "--gateway", "10.42.0.\(half + 1)",
            "--ip-range", "10.42.0.\(half)/25",
          ])
          try host.martlet("overlay", "peer", "add", "lab", "198.51.100.\(2 - index)")
          members.append(try host.sandbox("c\(index + 1)", on: "lab", "--ip", "10.42.0.\(half + 50)"))
          try serve("c\(index + 1)", in: members[index])
        }
        try first.martlet("uplink", "set", UplinkBed.near)
        try first.martlet(
          "service", "create", "web", "--network", "lab", "--publish", "8080:80", "--publish", "8081:81",
          "--publish", "8081:81/udp", "--publish", "8082:82/udp", "--publish", "8083:83", "--endpoint", "10.42.0.178")
        try eventually("the member is there") { try first.service("web").state == "up" }
        #expect(try askers(8, UplinkBed.host.ipv4, 8080, by: machine) == ["c2"])
        #expect(try machine.asksTCP(UplinkBed.host.ipv4, 8081)?.address.hasPrefix("10.42.0.") == true)
        #expect(try machine.asksUDP(UplinkBed.host.ipv4, 8081)?.serverPort == 81)
        // 2: the port is refused, as the member's kernel says.
        let refused = try machine.start(Script.words("whoami.py") + ["ask", UplinkBed.host.ipv4, "8082"]).end()
        #expect(refused.status == 2)
        // Both ways, in large frames, to the byte.
        let bytes = 20_000_000
        _ = try members[1].start(["socat", "TCP4-LISTEN:83,fork,reuseaddr", "EXEC:cat"])
        let echoed = try machine.run(
          "sh", "-c",
          "head -c \(bytes) /dev/zero | timeout 60 socat -t 10 - TCP4:\(UplinkBed.host.ipv4):8083 | wc -c"
        )
        #expect(echoed.filter(\.isNumber) == "\(bytes)")
        // By the virtual address, from the host's own container, and now by both members.
        let virtual = try first.service("web").virtualAddresses[0]
        #expect(try askers(8, virtual, 80, by: members[0]) == ["c2"])
        try first.martlet("service", "set", "web", "--add-endpoint", members[0].name)
        for (client, address, port) in [(machine, UplinkBed.host.ipv4, 8080), (members[0], virtual, 80)] {
          #expect(try askers(16, address, port, by: client) == ["c1", "c2"])
        }
        let held = try (0..<8).map { _ in try machine.hold(UplinkBed.host.ipv4, 8081) }
        try first.martlet("service", "set", "web", "--rm-endpoint", "10.42.0.178")
        #expect(try askers(8, UplinkBed.host.ipv4, 8080, by: machine) == ["c1"])
        for connection in held { #expect(try connection.answer() != nil, "no member, and lives") }
        // Mode host: only who runs one accepts.
        try first.martlet("service", "set", "web", "--mode", "host", "--add-endpoint", "10.42.0.178")
        #expect(try askers(8, UplinkBed.host.ipv4, 8080, by: machine) == ["c1"])
        try first.martlet("network", "disconnect", "lab", members[0].name)
        #expect(try isRefused(UplinkBed.host.ipv4, 8080, by: machine))
      }
    }
  }
}

extension Daemon {
  func service(_ name: String) throws -> Service { try answer([Service].self, ["service", "inspect", name])[0] }
}
