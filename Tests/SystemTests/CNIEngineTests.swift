import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Engines that use CNI")
  struct CNIEngines {
    static let advice: Comment = "tools/test unpacks containerd, podman, conmon, runc and busybox-static below .build"

    @Test("containerd: ctr run --cni", .enabled(if: EngineRoom.has("usr/bin/containerd", "usr/bin/ctr"), advice))
    func containerd() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let room = try EngineRoom(daemon)
        try daemon.start()
        try room.configure("1.0.0")
        let socket = room.directory + "/containerd.sock"
        let configuration = room.directory + "/config.toml"
        try """
        version = 2
        root = "\(room.directory)/containerd"
        state = "\(room.directory)/state"
        disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
        [grpc]
        address = "\(socket)"
        """.write(toFile: configuration, atomically: true, encoding: .utf8)
        let containerd = try room.start(["containerd", "--config", configuration])
        try eventually("containerd answers") {
          guard containerd.isRunning else { throw Failure("containerd: \(containerd.complaintSoFar.suffix(2000))") }
          return try room.attempt(["ctr", "--address", socket, "version"]).status == 0
        }
        func words(_ name: String, _ options: [String], _ command: String) -> [String] {
          ["ctr", "--address", socket, "run", "--cni", "--cgroup", "/\(room.group)/\(name)"] + options
            + ["--rootfs", room.root, name, "/bin/sh", "-c", "export PATH=/bin; " + command]
        }
        try room.run(words("first", ["--detach"], "while true; do sleep 1000; done"))
        let first = try #require(try daemon.network("lan").endpoints.first)
        let text = try room.run(words("second", ["--rm"], "ip -o addr; ip route; ping -c 2 \(first.ipv4)"))
        #expect(text.contains("10.74.0.3/24") && text.contains("default via 10.74.0.1"), "\(text)")
        #expect(text.contains(" 0% packet loss"), "\(text)")
        // ctr has DEL run when the process is dead, and its namespace gone.
        #expect(try daemon.network("lan").endpoints.map(\.id) == [first.id])
        try room.run(["ctr", "--address", socket, "task", "kill", "--signal", "KILL", "first"])
        try eventually("the endpoint of a container that was killed is collected") {
          try daemon.network("lan").endpoints.isEmpty
        }
        #expect(try daemon.ask([Sandbox].self, "sandbox", "ls").isEmpty)
      }
    }

    @Test(
      "Podman 4: run, names, ports, restart, rm",
      .enabled(if: EngineRoom.has("usr/bin/podman", "usr/bin/conmon") && Podman.release < 5, advice))
    func podman() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let machine = try testbed.makeNamespace("out")
        try UplinkBed.makeWire(from: daemon.namespace, to: machine)
        let podman = try Podman(EngineRoom(daemon), backend: .cni)
        try daemon.start()
        try podman.room.configure("0.4.0")
        try daemon.martlet("uplink", "set", UplinkBed.near)
        try podman.run(
          "web", ["-p", "8080:80", "--network-alias", "www"],
          "mkdir -p /tmp/w; echo hello >/tmp/w/index.html; httpd -f -p 80 -h /tmp/w")
        let web = try #require(try daemon.network("lan").endpoints.first)
        #expect(web.aliases.contains("web") && web.aliases.contains("www"))
        func page(_ address: String, _ port: Int) throws -> String {
          let url = "http://\(address):\(port)/index.html"
          return try machine.start(["curl", "--silent", "--noproxy", "*", "--max-time", "5", url]).end().output
        }
        try eventually("the published port answers") { try page(UplinkBed.host.ipv4, 8080) == "hello\n" }
        #expect(try podman.command(["ps"]).contains("0.0.0.0:8080->80/tcp"))

        let text = try podman.command(
          podman.words(
            "client", ["--rm", "--ip", "10.74.0.99", "--mac-address", "02:00:00:00:00:99"],
            "ip -o addr; ip -o link; nslookup www; ping -c 2 \(web.ipv4); wget -q -O - http://\(web.ipv4)/index.html"))
        #expect(text.contains("Name:\twww\nAddress: \(web.ipv4)\n"), "\(text)")
        #expect(text.contains("10.74.0.99/24") && text.contains("02:00:00:00:00:99"), "\(text)")
        #expect(text.contains(" 0% packet loss") && text.hasSuffix("hello\n"), "\(text)")
        #expect(try daemon.network("lan").endpoints.count == 1)

        try podman.command(["restart", "--time", "0", "web"])
        try eventually("the port answers after a restart") { try page(UplinkBed.host.ipv4, 8080) == "hello\n" }
        let taken = try podman.refusal(podman.words("second", ["-d", "-p", "8080:80"], "sleep 1000"))
        #expect(taken.contains("8080"), "\(taken)")
        try podman.command(["rm", "--force", "--all", "--time", "0"])
        #expect(try daemon.network("lan").endpoints.isEmpty)
        #expect(try daemon.ask([Publication].self, "publish", "ls").isEmpty)
        #expect(try daemon.ask([Sandbox].self, "sandbox", "ls").isEmpty)
        #expect(try podman.room.run(["ls", "/run/netns"]).isEmpty)
      }
    }
  }
}
