import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests.Docker {
  @Suite("Calls of Docker in which martletd or dockerd is killed")
  struct Calls {
    /// `docker run` of a short container, with all that calls for: an address, a MAC and a port that another may not have meanwhile.
    private static let words = [
      "run", "--rm", "--name", "short", "--network", "lab", "--ip", "10.84.0.84", "--mac-address", "02:00:00:00:84:84",
      "--publish", "8084:80", DockerEngine.image, "true",
    ]

    private func withProxy(_ docker: DockerBed, _ body: (CallProxy) throws -> Void) throws {
      let daemon = docker.daemon
      let (place, directory) = (daemon.dockerPlugin, docker.testbed.directory)
      try daemon.end(by: SIGTERM)
      daemon.dockerPlugin = directory + "/driver"
      try daemon.start()
      let proxy = CallProxy(docker.engine, at: place, driver: daemon.dockerPlugin, directory: directory)
      try proxy.start()
      try body(proxy)
      proxy.stop()
      try daemon.end(by: SIGTERM)
      daemon.dockerPlugin = place
      try daemon.start()
    }

    /// Goes through the calls of a `docker run`, the first of them, the second, until it has no more; returns how many there were.
    private func atEachCall(
      _ docker: DockerBed, _ proxy: CallProxy, plan: (Int) throws -> String, mend: (Program) throws -> Void
    ) throws -> Int {
      for number in 1... {
        try proxy.plan(plan(number))
        let run = try docker.testbed.start(docker.engine.commandLine(Self.words))
        try eventually("call \(number) comes, or the run ends") { !proxy.isPlanned || !run.isRunning }
        if proxy.isPlanned {
          proxy.withdraw()
          return number - 1
        }
        try mend(run)
        _ = try docker.engine.attempt(["rm", "--force", "short"])
        try eventually("only what runs has an endpoint after call \(number): \(proxy.calls)") {
          try Set(docker.endpoints().map(\.id)) == docker.endpointsOfEngine()
            && docker.publications().allSatisfy { $0.published.hostPort != 8084 }
        }
      }
      return 0
    }

    @Test(
      "martletd is killed at each call of a docker run: nothing of it stays, and the next goes well",
      arguments: ["amid", "after"])
    func daemonKilled(moment: String) throws {
      try withDocker { docker in
        try docker.network("lab", "--subnet", "10.84.0.0/24", "--ipam-driver", DockerBed.driver)
        let peer = try docker.container("peer", on: "lab")
        try withProxy(docker) { proxy in
          let calls = try atEachCall(docker, proxy) { number in
            "\(moment) \(number) \(try #require(docker.daemon.pid))"
          } mend: { run in
            try docker.daemon.end(by: 0)
            try docker.daemon.start()
            // Docker repeats a call that was under way without its content: the run may fail, but nothing of it may stay.
            let outcome = try run.end()
            if outcome.status != 0 { #expect(outcome.complaint.contains("try again"), "\(outcome.complaint)") }
          }
          #expect(calls >= 8)
        }
        try docker.container("again", on: "lab", "--ip", "10.84.0.84", "--publish", "8084:80")
        #expect(try peer.reaches("again"))
      }
    }

    @Test(
      "dockerd is killed at each call of a docker run: the next has the address, the MAC and the port",
      arguments: [("before", DockerBed.driver), ("after", "default")])
    func engineKilled(moment: String, addresses: String) throws {
      try withDocker { docker in
        try docker.network("lab", "--subnet", "10.84.0.0/24", "--ipam-driver", addresses)
        try docker.container("always", on: "lab", "--restart", "always", "--publish", "8081:80")
        try withProxy(docker) { proxy in
          let calls = try atEachCall(docker, proxy) { number in
            "\(moment) \(number) \(try #require(docker.engine.pid))"
          } mend: { run in
            try docker.engine.end(by: 0)
            _ = try run.end()
            try docker.engine.start()
            _ = try docker.engine.attempt(["rm", "--force", "short"])
            let again = try docker.engine.attempt(Self.words)
            #expect(again.status == 0, "\(again.complaint) \(proxy.complaint)")
          }
          #expect(calls >= 6)
        }
        try docker.container("again", on: "lab", "--ip", "10.84.0.84", "--publish", "8084:80")
        #expect(try Container("always", bed: docker).reaches("again"))
      }
    }

    @Test("docker rm of what runs, while martletd is away: then nothing of it is left")
    func removedMeanwhile() throws {
      try withDocker { docker in
        try docker.network("lab", "--subnet", "10.84.0.0/24")
        let peer = try docker.container("peer", on: "lab")
        try withProxy(docker) { proxy in
          let descriptors = try docker.daemon.tapDescriptors
          for _ in 1...2 {
            try docker.container("gone", on: "lab", "--ip", "10.84.0.84", "--publish", "8084:80")
            // Of one that martletd has not seen there yet it cannot know whether it is still to come, and waits two minutes.
            try eventually("martletd has seen it in its place") {
              try docker.endpoints().allSatisfy { $0.interface == "eth0" }
            }
            try docker.daemon.end(by: SIGKILL)
            try proxy.plan("refuse")
            try docker.docker("rm", "--force", "gone")
            proxy.withdraw()
            try docker.daemon.start()
            try eventually("its endpoint, port and interface are gone", within: .seconds(10)) {
              try docker.endpoints().count == 1 && docker.publications().isEmpty
                && docker.daemon.tapDescriptors == descriptors
            }
          }
          let again = try docker.container("again", on: "lab", "--ip", "10.84.0.84", "--publish", "8084:80")
          #expect(try again.reaches("peer") && peer.reaches("again"))
        }
      }
    }
  }
}
