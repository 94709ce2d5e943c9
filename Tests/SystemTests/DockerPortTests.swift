import ControlModel
import Testing

extension SystemTests.Docker {
  @Suite("Published ports of Docker")
  struct Ports {
    @Test("from outside, with the client's own address, and from the host by each of its addresses")
    func published() throws {
      try withDocker { docker in
        try docker.network("lab", "--ipv6", "--subnet", "10.70.0.0/24", "--subnet", "fd77::/64")
        let server = try docker.container("server", on: "lab", "--publish", "8080:80", "--publish", "8080:80/udp")
        try server.namespace.serveWhoami("80")
        for (host, client) in [UplinkBed.host, UplinkBed.machine].pairs {
          #expect(try docker.machine.asksTCP(host, 8080)?.address == client)
          #expect(try docker.machine.asksUDP(host, 8080)?.address == client)
        }
        for place in ["127.0.0.1", "::1", UplinkBed.host.ipv4, UplinkBed.host.ipv6, "10.70.0.1"] {
          #expect(try docker.host.asksTCP(place, 8080)?.serverPort == 80, "\(place)")
          #expect(try docker.host.asksUDP(place, 8080)?.serverPort == 80, "\(place)")
        }
        // From a container, of this network and of another, and the one that publishes.
        try docker.network("far")
        for client in [server, try docker.container("near", on: "lab"), try docker.container("away", on: "far")] {
          #expect(try client.namespace.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 80, "\(client.name)")
          #expect(try client.namespace.asksUDP(UplinkBed.host.ipv4, 8080)?.serverPort == 80, "\(client.name)")
        }
        // What is not published is not there, and the container's own address is not reached from outside.
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 80, patience: "1") == nil)
        try docker.machine.run("ip", "route", "add", "10.70.0.0/24", "via", UplinkBed.host.ipv4)
        defer { _ = try? docker.machine.run("ip", "route", "del", "10.70.0.0/24") }
        #expect(try docker.machine.asksTCP(server.addresses()[0], 80, patience: "1") == nil)
        let shown = try docker.publications().map(\.published)
        #expect(
          Set(shown.map { "\($0.hostIP) \($0.hostPort) \($0.port)/\($0.protocol)" }) == [
            "0.0.0.0 8080 80/tcp", ":: 8080 80/tcp", "0.0.0.0 8080 80/udp", ":: 8080 80/udp",
          ])
      }
    }

    @Test("on one address, on loopback alone, in a range, and where Martlet chooses")
    func places() throws {
      try withDocker { docker in
        try docker.network("lab")
        let server = try docker.container(
          "server", on: "lab", "--publish", "127.0.0.1:8081:80", "--publish", "\(UplinkBed.host.ipv4):8082:80",
          "--publish", "9001-9003:9001-9003", "--publish", "80")
        try server.namespace.serveWhoami("80", "9001-9003")
        #expect(try docker.host.asksTCP("127.0.0.1", 8081)?.serverPort == 80)
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8081, patience: "1") == nil)
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8082)?.serverPort == 80)
        #expect(try docker.host.asksTCP("127.0.0.1", 8082, patience: "1") == nil)
        for port in 9001...9003 { #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, port)?.serverPort == port) }
        let chosen = try docker.publications().map(\.published).filter { $0.port == 80 && $0.hostIP == "0.0.0.0" }
        #expect(chosen.count == 1)
        let port = try #require(chosen.first?.hostPort)
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, port)?.serverPort == 80)
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv6, port)?.serverPort == 80, "by IPv6 to one without")
      }
    }

    @Test("EXPOSE with --publish-all, and a second container that takes the next port of a range")
    func publishAll() throws {
      try withDocker { docker in
        try docker.network("lab")
        let all = try docker.container("all", on: "lab", "--expose", "80", "--expose", "81/udp", "--publish-all")
        try all.namespace.serveWhoami("80-81")
        let shown = try docker.publications().map(\.published).filter { $0.hostIP == "0.0.0.0" }
        #expect(Set(shown.map { "\($0.port)/\($0.protocol)" }) == ["80/tcp", "81/udp"])
        for port in shown {
          let answer =
            port.protocol == "tcp"
            ? try docker.machine.asksTCP(UplinkBed.host.ipv4, port.hostPort)
            : try docker.machine.asksUDP(UplinkBed.host.ipv4, port.hostPort)
          #expect(answer?.serverPort == port.port)
        }
        for name in ["one", "two"] {
          let server = try docker.container(name, on: "lab", "--publish", "9000-9001:80")
          try server.namespace.serveWhoami("80")
        }
        for port in [9000, 9001] { #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, port) != nil, "\(port)") }
      }
    }

    @Test("a port that is in use: docker run says so in our words, and leaves nothing")
    func inUse() throws {
      try withDocker { docker in
        try docker.network("lab")
        let program = try docker.host.serveWhoami("9100")
        let taken = try docker.engine.attempt(DockerBed.start("late", on: "lab", ["--publish", "9100:80"]))
        #expect(taken.status == 125)
        #expect(taken.complaint.contains("port 9100/tcp is already in use by"), "\(taken.complaint)")
        #expect(try docker.endpoints().isEmpty && docker.publications().isEmpty)
        program.stop()
        try docker.docker("start", "late")
        #expect(try docker.publications().contains { $0.published.hostPort == 9100 })

        let again = try docker.engine.attempt(DockerBed.start("later", on: "lab", ["--publish", "9100:81"]))
        #expect(again.complaint.contains("port 9100/tcp is already in use by"), "\(again.complaint)")
        #expect(try docker.endpoints().count == 1)
      }
    }

    @Test("when its container goes, a port is free and its connections end")
    func withdrawn() throws {
      try withDocker { docker in
        try docker.network("lab")
        let server = try docker.container("server", on: "lab", "--publish", "8080:80", "--publish", "8080:80/udp")
        try server.namespace.serveWhoami("80")
        let held = try [
          docker.machine.hold(UplinkBed.host.ipv4, 8080, "--seconds", "1"),
          docker.machine.hold(UplinkBed.host.ipv4, 8080, "--seconds", "1", "--udp"),
        ]
        for connection in held { #expect(try connection.answer()?.address == UplinkBed.machine.ipv4) }
        try docker.docker("rm", "--force", "server")
        #expect(try docker.daemon.answer([Session].self, ["session", "ls"]).isEmpty)
        for connection in held { #expect(try connection.answer() == nil) }
        let other = try docker.container("other", on: "lab", "--publish", "8080:81", "--publish", "8080:81/udp")
        try other.namespace.serveWhoami("81")
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 81)
        #expect(try held[1].answer()?.serverPort == 81)
      }
    }

    @Test("outward: a container is seen by the host's address, and names of outside are asked of the host's servers")
    func outward() throws {
      try withDocker { docker in
        try docker.network("lab")
        let client = try docker.container("client", on: "lab")
        try docker.machine.serveWhoami("80")
        for address in [UplinkBed.machine.ipv4, UplinkBed.beyond.ipv4] {
          #expect(try client.namespace.asksTCP(address, 80)?.address == UplinkBed.host.ipv4)
          #expect(try client.namespace.asksUDP(address, 80)?.address == UplinkBed.host.ipv4)
        }
        let (name, address) = DockerBed.outsideName
        #expect(try client.lookUp(name) == [address])
      }
    }

    @Test("sctp is refused in words")
    func sctp() throws {
      try withDocker { docker in
        try docker.network("lab")
        let outcome = try docker.engine.attempt(DockerBed.start("late", on: "lab", ["--publish", "9100:80/sctp"]))
        #expect(outcome.status == 125 && outcome.complaint.contains("sctp"), "\(outcome.complaint)")
        #expect(try docker.endpoints().isEmpty)
      }
    }
  }
}
