import ControlModel
import Glibc
import Testing

extension SystemTests.Docker {
  @Suite("Containers, dockerd and martletd that end and start again")
  struct Restarts {
    @Test("a container that is started again has an endpoint of its own, the MAC that was asked for, and its port")
    func container() throws {
      try withDocker { docker in
        try docker.network("lab", "--subnet", "10.80.0.0/24")
        let peer = try docker.container("peer", on: "lab")
        try docker.container(
          "server", on: "lab", "--mac-address", "02:00:00:00:80:01", "--publish", "8080:80", "--ip", "10.80.0.80")
        let before = try docker.endpoints().first { $0.mac == "02:00:00:00:80:01" }
        #expect(try peer.reaches("server"))
        for words in [["restart", "server"], ["kill", "server"], ["start", "server"]] {
          try docker.engine.command(words)
          let there = words[0] != "kill"
          try eventually("the endpoints are those of what runs") { try docker.endpoints().count == (there ? 2 : 1) }
          guard there else { continue }
          let server = try Container("server", bed: docker)
          #expect(try server.namespace.link().address == "02:00:00:00:80:01" && server.addresses() == ["10.80.0.80"])
          #expect(try docker.endpoints().first { $0.mac == "02:00:00:00:80:01" }?.id != before?.id)
          #expect(try peer.reaches("server"))
          try server.namespace.serveWhoami("80")
          #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 80)
        }
        // Another that has its address, and not its MAC.
        try docker.docker("rm", "--force", "server")
        try docker.container("other", on: "lab", "--ip", "10.80.0.80", "--mac-address", "02:00:00:00:80:02")
        try eventually("neighbours are told", within: .seconds(10)) {
          try peer.namespace.reaches("10.80.0.80", count: 1)
        }
      }
    }

    @Test("a container that is paused answers again when it is not")
    func paused() throws {
      try withDocker { docker in
        try docker.network("lab")
        let peer = try docker.container("peer", on: "lab")
        try docker.container("server", on: "lab")
        try docker.docker("pause", "server")
        try docker.docker("unpause", "server")
        #expect(try peer.reaches("server"))
      }
    }

    @Test("one whose process is killed is gone from its network, or back on it where its policy says so")
    func killed() throws {
      try withDocker { docker in
        try docker.network("lab")
        let peer = try docker.container("peer", on: "lab")
        let once = try docker.container("once", on: "lab")
        let always = try docker.container("always", on: "lab", "--restart", "always")
        let ids = try Set(docker.endpoints().map(\.id))
        for container in [once, always] { kill(container.pid, SIGKILL) }
        try eventually("one endpoint is gone, and another new") {
          let now = try Set(docker.endpoints().map(\.id))
          return now.count == 2 && now.intersection(ids).count == 1
        }
        try eventually("it is reached again") { try peer.reaches("always") }
        #expect(try peer.lookUp("once").isEmpty)
        try eventually("no TAP is left in the host's namespace") {
          try docker.host.linkNames().count { $0.hasPrefix("mt") } <= 1
        }
      }
    }

    /// After dockerd has started again: what the networks had is free, what restarts is back, and all of it works.
    private func expectWorking(_ docker: DockerBed) throws {
      try eventually("what is to run always runs") {
        try docker.docker("ps", "--quiet", "--filter", "name=always").isEmpty == false
      }
      try eventually("the endpoints are those of what runs: \((try? docker.endpoints().map(\.addresses)) ?? [])") {
        try Set(docker.endpoints().map(\.id)) == docker.endpointsOfEngine()
      }
      let always = try Container("always", bed: docker)
      try always.namespace.serveWhoami("80")
      #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8081)?.address == UplinkBed.machine.ipv4)
      let again = try docker.container("again", on: "one", "--ip", "10.81.0.81", "--publish", "8080:80")
      #expect(try again.reaches("always") && always.reaches("again"))
      try again.namespace.serveWhoami("80")
      #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.address == UplinkBed.machine.ipv4)
      try docker.docker("rm", "--force", "again")
    }

    @Test(
      "dockerd ends and starts: endpoints, addresses and ports of what it had are free", arguments: [SIGTERM, SIGKILL])
    func engine(signal: Int32) throws {
      try withDocker { docker in
        try docker.network("one", "--subnet", "10.81.0.0/24")
        try docker.network("two", "--ipam-driver", DockerBed.driver, "--subnet", "10.82.0.0/24")
        try docker.container("server", on: "one", "--ip", "10.81.0.81", "--publish", "8080:80", "--rm")
        try docker.container("always", on: "one", "--restart", "always", "--publish", "8081:80")
        try docker.docker("network", "connect", "two", "always")
        try docker.container("other", on: "two")
        for _ in 1...2 {
          try docker.engine.end(by: signal)
          try docker.engine.start()
          try expectWorking(docker)
        }
      }
    }

    @Test("dockerd is killed while containers start and stop: afterwards nothing of them is left")
    func engineKilledAmid() throws {
      try withDocker { docker in
        try docker.network("one", "--subnet", "10.81.0.0/24")
        try docker.container("always", on: "one", "--restart", "always", "--publish", "8081:80")
        let steps: [useconds_t] = [50_000, 150_000, 250_000, 350_000]
        for (round, delay) in steps.enumerated() {
          let programs = try (0..<3).map { number in
            try docker.testbed.start(
              docker.engine.commandLine(
                ["run", "--rm", "--network", "one", "--name", "c\(round)x\(number)"]
                  + [DockerEngine.image, "true"]))
          }
          usleep(delay)
          try docker.engine.end(by: SIGKILL)
          for program in programs { _ = try program.end() }
          try docker.engine.start()
        }
        try expectWorking(docker)
      }
    }

    @Test("live-restore: containers run on without dockerd, and go on with it", arguments: [SIGTERM, SIGKILL])
    func liveRestore(signal: Int32) throws {
      try withDocker { docker in
        try docker.engine.end(by: SIGTERM)
        try docker.engine.configure(["live-restore": true])
        try docker.engine.start()
        defer { try? docker.engine.configure() }
        try docker.network("lab")
        let server = try docker.container("server", on: "lab", "--publish", "8080:80")
        let peer = try docker.container("peer", on: "lab")
        try server.namespace.serveWhoami("80")
        let held = try [
          docker.machine.hold(UplinkBed.host.ipv4, 8080), peer.namespace.hold(server.addresses()[0], 80),
        ]
        let before = try held.map { try $0.answer() }
        #expect(before.allSatisfy { $0 != nil })
        let ids = try docker.endpoints().map(\.id)
        try docker.engine.end(by: signal)
        #expect(try held.map { try $0.answer() } == before)
        try docker.engine.start()
        #expect(try held.map { try $0.answer() } == before)
        #expect(try docker.endpoints().map(\.id) == ids)
        #expect(try peer.reaches("server"))
        try docker.docker("rm", "--force", "server", "peer")
        #expect(try docker.endpoints().isEmpty)
        try docker.engine.end(by: SIGTERM)
        try docker.engine.configure()
        try docker.engine.start()
      }
    }

    @Test(
      "martletd ends and starts: containers keep their interface, and traffic goes on", arguments: [SIGTERM, SIGKILL])
    func daemon(signal: Int32) throws {
      try withDocker { docker in
        try docker.network("lab")
        let server = try docker.container("server", on: "lab", "--publish", "8080:80")
        let peer = try docker.container("peer", on: "lab")
        try server.namespace.serveWhoami("80")
        try docker.machine.serveWhoami("81")
        let held = try [
          docker.machine.hold(UplinkBed.host.ipv4, 8080), peer.namespace.hold(server.addresses()[0], 80),
          peer.namespace.hold(UplinkBed.machine.ipv4, 81),
        ]
        let before = try held.map { try $0.answer() }
        #expect(before.allSatisfy { $0 != nil })
        let endpoints = try docker.endpoints().map(\.id)
        for _ in 1...2 {
          try docker.daemon.end(by: signal)
          #expect(try server.namespace.linkNames() == ["lo", "eth0"])
          try docker.daemon.start()
          #expect(try held.map { try $0.answer() } == before)
          #expect(try docker.endpoints().map(\.id) == endpoints)
          #expect(try peer.reaches("server"))
          #expect(try docker.host.asksTCP("127.0.0.1", 8080)?.serverPort == 80)
        }
        // Everything goes on as before: new ones, disconnecting, removing.
        let later = try docker.container("later", on: "lab")
        #expect(try later.reaches("server"))
        try docker.docker("network", "disconnect", "lab", "peer")
        #expect(try peer.namespace.linkNames() == ["lo"])
        try docker.docker("restart", "server")
        #expect(try later.reaches("server"))
      }
    }

    @Test("while martletd is away, docker run waits for it, and what was killed meanwhile is collected")
    func daemonAway() throws {
      try withDocker { docker in
        try docker.network("lab")
        let lost = try docker.container("lost", on: "lab")
        try docker.daemon.end(by: SIGKILL)
        kill(lost.pid, SIGKILL)
        let run = try docker.testbed.start(docker.engine.commandLine(DockerBed.start("waits", on: "lab", [])))
        usleep(300_000)
        #expect(run.isRunning)
        try docker.daemon.start()
        try run.succeed()
        try eventually("only what runs has an endpoint") { try docker.endpoints().count == 1 }
        #expect(try Container("waits", bed: docker).namespace.linkNames() == ["lo", "eth0"])
      }
    }

    @Test("martletd is killed while containers start and stop: afterwards nothing of them is left")
    func daemonKilledAmid() throws {
      try withDocker { docker in
        try docker.network("lab", "--subnet", "10.83.0.0/24")
        let peer = try docker.container("peer", on: "lab")
        for (round, delay) in [useconds_t(50_000), 150_000, 250_000, 350_000].enumerated() {
          let programs = try (0..<3).map { number in
            try docker.testbed.start(
              docker.engine.commandLine(
                ["run", "--rm", "--network", "lab", "--name", "c\(round)x\(number)"]
                  + [DockerEngine.image, "true"]))
          }
          usleep(delay)
          try docker.daemon.end(by: SIGKILL)
          try docker.daemon.start()
          for program in programs { _ = try program.end() }
        }
        try eventually("only what runs has an endpoint: \((try? docker.endpoints().map(\.addresses)) ?? [])") {
          try docker.endpoints().count == 1
        }
        try docker.container("again", on: "lab")
        #expect(try peer.reaches("again"))
      }
    }
  }
}
