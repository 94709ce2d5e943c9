import ControlModel
import Glibc
import Testing

extension SystemTests {
  /// Podman 5 with netavark, which runs the plugin. Debian 12 has an older one: `tools/engines` unpacks it.
  @Suite(
    "PodmanEngine",
    .enabled(
      if: EngineRoom.has("usr/bin/podman", "usr/bin/conmon", "usr/lib/podman/netavark") && Podman.release >= 5,
      "tools/engines unpacks Podman 5 and netavark"))
  struct PodmanEngine {
    /// A host with an uplink, a machine outside, and Podman without containers and networks; so it must be again at the end.
    private struct Bed {
      let daemon: Daemon
      let machine: Namespace
      let podman: Podman

      func page(_ address: String, _ port: Int, from place: Namespace) throws -> String {
        let url = "http://\(address):\(port)/index.html"
        return try place.start(["curl", "--silent", "--noproxy", "*", "--max-time", "5", url]).end().output
      }

      func serve(_ name: String, _ options: String...) throws {
        let command = "mkdir -p /tmp/\(name); echo \(name) >/tmp/\(name)/index.html; httpd -f -p 80 -h /tmp/\(name)"
        try podman.run(name, options, command)
      }

      func endpoints() throws -> [Endpoint] { try daemon.ask([Endpoint].self, "endpoint", "ls") }
    }

    private func withPodman(_ body: (Bed) throws -> Void) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let machine = try testbed.makeNamespace("out")
        try UplinkBed.makeWire(from: daemon.namespace, to: machine)
        let podman = try Podman(EngineRoom(daemon), backend: .netavark)
        try daemon.start()
        try daemon.martlet("uplink", "set", UplinkBed.near)
        let before = try daemon.namespace.configuration()
        try body(Bed(daemon: daemon, machine: machine, podman: podman))
        try podman.podman("rm", "--force", "--all", "--time", "0")
        try podman.podman("network", "prune", "--force")
        #expect(try daemon.ask([Network].self, "network", "ls").isEmpty)
        #expect(try daemon.ask([Sandbox].self, "sandbox", "ls").isEmpty)
        #expect(try daemon.ask([Endpoint].self, "endpoint", "ls").isEmpty)
        #expect(try daemon.ask([Publication].self, "publish", "ls").isEmpty)
        #expect(try daemon.namespace.configuration() == before)
        #expect(try podman.room.run(["ls", "/run/netns"]).isEmpty)
      }
    }

    @Test("network create, run, names, ports, addresses that are asked for, restart, rm")
    func containers() throws {
      try withPodman { bed in
        let podman = bed.podman
        try podman.podman(
          "network", "create", "--driver", "martlet", "--subnet", "10.94.0.0/24", "--opt", "mtu=1400", "lan")
        #expect(try podman.podman("network", "inspect", "lan").contains(#""driver": "martlet""#))
        try bed.serve("web", "--publish", "8080:80", "--network-alias", "www")
        let web = try #require(bed.endpoints().first)
        #expect(web.aliases.contains("web") && web.aliases.contains("www"))
        #expect(try podman.podman("inspect", "web").contains(web.mac))
        try eventually("the published port answers") {
          try bed.page(UplinkBed.host.ipv4, 8080, from: bed.machine) == "web\n"
        }
        #expect(try bed.page("127.0.0.1", 8080, from: bed.daemon.namespace) == "web\n")
        #expect(try podman.podman("ps").contains("0.0.0.0:8080->80/tcp"))

        let text = try podman.command(
          podman.words(
            "client", ["--rm", "--ip", "10.94.0.99", "--mac-address", "02:00:00:00:00:99"],
            "ip -o addr; ip -o link; nslookup www; ping -c 2 web; wget -q -O - http://\(web.ipv4)/index.html"))
        #expect(text.contains("Name:\twww\nAddress: \(web.ipv4)\n"), "\(text)")
        #expect(text.contains("10.94.0.99/24") && text.contains("02:00:00:00:00:99"), "\(text)")
        #expect(text.contains("mtu 1400") && text.contains(" 0% packet loss") && text.hasSuffix("web\n"), "\(text)")
        #expect(try bed.endpoints().count == 1)

        try podman.podman("restart", "--time", "0", "web")
        try eventually("the port answers after a restart") {
          try bed.page(UplinkBed.host.ipv4, 8080, from: bed.machine) == "web\n"
        }
        #expect(try podman.refusal(podman.words("second", ["-d", "-p", "8080:80"], "true")).contains("8080"))
        #expect(try bed.endpoints().count == 1)
        let refusal = try podman.refusal(["network", "create", "--driver", "martlet", "--opt", "nonsense=1", "other"])
        #expect(refusal.contains("nonsense=1"))
      }
    }

    @Test("several networks: names of each, connect and disconnect while it runs, an internal one, IPv6")
    func networks() throws {
      try withPodman { bed in
        let podman = bed.podman
        try podman.podman("network", "create", "--driver", "martlet", "--subnet", "10.95.0.0/24", "lan")
        try podman.podman("network", "create", "--driver", "martlet", "--subnet", "10.96.0.0/24", "--internal", "back")
        try podman.podman("network", "create", "--driver", "martlet", "--ipv6", "six")
        try bed.serve("front")
        try bed.serve("store", "--network", "back")
        try bed.serve("both", "--network", "lan:ip=10.95.0.50,interface_name=lan0", "--network", "back:alias=middle")
        try bed.serve("six", "--network", "six")
        func reaches(_ name: String, from container: String) throws -> Bool {
          try podman.execute(in: container, "ping -c 1 -W 2 \(name)").contains(" 0% packet loss")
        }
        #expect(try podman.execute(in: "both", "ip -o addr").contains("10.95.0.50/24"))
        #expect(try reaches("front", from: "both") && reaches("store", from: "both"))
        #expect(try reaches("both", from: "front") && reaches("middle", from: "store"))
        #expect(try !reaches("store", from: "front") && !reaches(UplinkBed.machine.ipv4, from: "store"))
        #expect(try reaches(UplinkBed.machine.ipv4, from: "front"))
        #expect(try podman.execute(in: "store", "ip route").contains("default") == false)
        let six = try podman.execute(in: "six", "nslookup -type=aaaa six")
        #expect(six.contains("Address: fd"), "\(six)")

        try podman.podman("network", "connect", "--alias", "late", "back", "front")
        #expect(try reaches("store", from: "front") && reaches("late", from: "store"))
        try podman.podman("network", "disconnect", "back", "front")
        #expect(try !reaches("store", from: "front") && reaches("both", from: "front"))
        try podman.podman("network", "disconnect", "lan", "both")
        #expect(try reaches("store", from: "both"))
        #expect(try podman.refusal(["network", "rm", "lan"]).contains("lan"))
      }
    }

    @Test("a container that is killed leaves nothing, martletd may be away in between")
    func killed() throws {
      try withPodman { bed in
        let podman = bed.podman
        try podman.podman("network", "create", "--driver", "martlet", "--subnet", "10.97.0.0/24", "lan")
        try bed.serve("web", "--ip", "10.97.0.7", "--publish", "8080:80")
        try podman.podman("kill", "--signal", "KILL", "web")
        try eventually("its endpoint is gone") { try bed.endpoints().isEmpty }
        try podman.podman("start", "web")
        try podman.room.killDaemon()
        for words in [podman.words("late", ["--detach"], "true"), ["rm", "--force", "--time", "0", "web"]] {
          let refusal = try podman.refusal(words)
          #expect(refusal.contains("cannot reach martletd"), "\(refusal)")
        }
        try bed.daemon.start()
        try podman.podman("rm", "--force", "--ignore", "web", "late")
        try eventually("its endpoint and its port are gone") {
          try bed.endpoints().isEmpty && bed.daemon.ask([Publication].self, "publish", "ls").isEmpty
        }
        try bed.serve("again", "--ip", "10.97.0.7", "--publish", "8080:80")
        try eventually("address and port are another's") {
          try bed.page(UplinkBed.host.ipv4, 8080, from: bed.machine) == "again\n"
        }
      }
    }
  }
}
