import ControlModel
import Testing

extension SystemTests.Docker {
  @Suite("Many containers of Docker at once")
  struct Crowds {
    /// Runs the commands side by side, so many at a time.
    private func runAll(_ docker: DockerBed, _ commands: [[String]], atOnce: Int = 25) throws {
      var rest = commands[...]
      while !rest.isEmpty {
        let programs = try rest.prefix(atOnce).map { try docker.testbed.start(docker.engine.commandLine($0)) }
        rest = rest.dropFirst(atOnce)
        for program in programs { try program.succeed(within: .seconds(120)) }
      }
    }

    @Test("a hundred are started at the same time, all reach each other, all are removed, and nothing is left")
    func startAndRemove() throws {
      try withDocker { docker in
        try docker.network("lab", "--subnet", "10.90.0.0/24")
        let names = (0..<100).map { "c\($0)" }
        let clock = ContinuousClock()
        let starting = try clock.measure {
          try runAll(docker, names.map { DockerBed.start($0, on: "lab", ["--publish", "80"]) })
        }
        let endpoints = try docker.endpoints()
        #expect(endpoints.count == names.count && Set(endpoints.map(\.mac)).count == names.count)
        #expect(Set(endpoints.map(\.ipv4)).count == names.count)
        #expect(Set(try docker.publications().map(\.published.hostPort)).count >= names.count)
        let first = try Container("c0", bed: docker)
        #expect(try first.namespace.answering(endpoints.map(\.ipv4)).count == names.count)
        let removing = try clock.measure { try runAll(docker, names.map { ["rm", "--force", $0] }) }
        #expect(try docker.endpoints().isEmpty && docker.publications().isEmpty)
        print("\(names.count) containers: started in \(starting), removed in \(removing)")
      }
    }

    @Test("fifty short ones that come and go beside each other")
    func comeAndGo() throws {
      try withDocker { docker in
        try docker.network("lab")
        let run = ["run", "--rm", "--network", "lab", DockerEngine.image, "true"]
        try runAll(docker, Array(repeating: run, count: 50))
        try eventually("no endpoint is left") { try docker.endpoints().isEmpty }
      }
    }
  }
}
