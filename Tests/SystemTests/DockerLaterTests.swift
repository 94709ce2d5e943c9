import ControlModel
import Testing

extension SystemTests.Docker {
  /// Debian 12's Docker has none of it: `tools/engines` runs those that have.
  @Suite("What later releases of Docker brought")
  struct Later {
    private static func since(_ release: Int) -> ConditionTrait {
      .enabled(if: DockerEngine.release >= release, "Docker \(release) brought it: tools/engines runs later ones")
    }

    private func gateway(_ container: Container) throws -> String {
      try container.namespace.run("ip", "route", "show", "default")
    }

    @Test("docker run with several networks at once", since(25))
    func severalNetworks() throws {
      try withDocker { docker in
        try docker.network("one", "--subnet", "10.85.0.0/24")
        try docker.network("two", "--subnet", "10.86.0.0/24")
        let (left, right) = try (docker.container("left", on: "one"), docker.container("right", on: "two"))
        let both = try docker.container(
          "both", on: "name=one,ip=10.85.0.50", "--network", "name=two,mac-address=02:00:00:00:86:01",
          "--publish", "8080:80")
        #expect(try both.reaches("left") && both.reaches("right") && left.reaches("both") && right.reaches("both"))
        #expect(try docker.endpoints().contains { $0.mac == "02:00:00:00:86:01" && $0.ipv4.hasPrefix("10.86.0.") })
        #expect(try docker.endpoints().contains { $0.ipv4 == "10.85.0.50" })
        try both.namespace.serveWhoami("80")
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.address == UplinkBed.machine.ipv4)
      }
    }

    @Test("gw-priority says whose the default route and the published ports are", since(28))
    func gatewayPriority() throws {
      try withDocker { docker in
        try docker.network("one", "--subnet", "10.85.0.0/24")
        try docker.network("two", "--subnet", "10.86.0.0/24")
        try docker.network("three", "--subnet", "10.87.0.0/24")
        let both = try docker.container(
          "both", on: "name=one", "--network", "name=two,gw-priority=1", "--publish", "8080:80")
        #expect(try gateway(both).contains("via 10.86.0.1"))
        try both.namespace.serveWhoami("80")
        func expectPublished(by subnet: String) throws {
          let ids = try Set(docker.publications().map(\.endpoint))
          #expect(try docker.endpoints().filter { ids.contains($0.id) }.allSatisfy { $0.ipv4.hasPrefix(subnet) })
          #expect(ids.count == 1)
          let answer = try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080)
          #expect(answer?.address == UplinkBed.machine.ipv4, "by \(subnet): \(String(describing: answer))")
        }
        try expectPublished(by: "10.86.0.")
        // One with more comes, and goes.
        try docker.docker("network", "connect", "--gw-priority", "2", "three", "both")
        #expect(try gateway(both).contains("via 10.87.0.1"))
        try expectPublished(by: "10.87.0.")
        try docker.docker("network", "disconnect", "three", "both")
        #expect(try gateway(both).contains("via 10.86.0.1"))
        try expectPublished(by: "10.86.0.")
      }
    }

    @Test("--ipv4=false: IPv6 alone, with names and the way out", since(28))
    func withoutIPv4() throws {
      try withDocker { docker in
        try docker.network("six", "--ipv4=false", "--ipv6", "--subnet", "fd77::/64")
        let first = try docker.container("first", on: "six")
        let second = try docker.container("second", on: "six", "--publish", "8080:80")
        #expect(try first.namespace.run("ip", "-4", "addr", "show", "dev", "eth0").isEmpty)
        #expect(try first.lookUp("second", type: "aaaa") == second.addresses() && first.reaches("second"))
        try second.namespace.serveWhoami("80")
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv6, 8080)?.address == UplinkBed.machine.ipv6)
        try docker.machine.serveWhoami("81")
        #expect(try first.namespace.asksTCP(UplinkBed.machine.ipv6, 81) != nil)
      }
    }

    @Test("--ipv6 without a subnet: a unique local one", since(27))
    func uniqueLocal() throws {
      try withDocker { docker in
        try docker.network("six", "--ipv6")
        let first = try docker.container("first", on: "six")
        let second = try docker.container("second", on: "six")
        let address = try #require(second.addresses().first { $0.contains(":") })
        #expect(try address.hasPrefix("fd") && first.namespace.reaches(address))
      }
    }

    @Test("a /31 has two containers where no gateway takes an address of it", since(28))
    func withoutGateway() throws {
      try withDocker { docker in
        try docker.network(
          "pair", "--subnet", "10.88.0.0/31", "--opt", "com.docker.network.bridge.gateway_mode_ipv4=isolated",
          "--internal")
        let first = try docker.container("first", on: "pair")
        let second = try docker.container("second", on: "pair")
        #expect(try Set(first.addresses() + second.addresses()) == ["10.88.0.0", "10.88.0.1"])
        #expect(try first.reaches("second"))
      }
    }
  }
}
