import ControlModel
import Testing

extension SystemTests.Docker {
  @Suite("Options of Docker's networks")
  struct Options {
    @Test("driver.mtu is the interface's, and frames of that size pass")
    func mtu() throws {
      try withDocker { docker in
        try docker.network("lab", "--opt", "com.docker.network.driver.mtu=1400")
        let first = try docker.container("first", on: "lab")
        let second = try docker.container("second", on: "lab")
        #expect(try first.namespace.link().mtu == 1400)
        let address = try second.addresses()[0]
        #expect(try first.namespace.reaches(address, options: "-s", "1372", "-M", "do"))
        #expect(try !first.namespace.reaches(address, count: 1, options: "-s", "1373", "-M", "do"))
      }
    }

    @Test("enable_icc=false: peers are not reached, the gateway and outside are")
    func enableICC() throws {
      try withDocker { docker in
        try docker.network("lab", "--opt", "com.docker.network.bridge.enable_icc=false", "--subnet", "10.60.0.0/24")
        let first = try docker.container("first", on: "lab")
        let second = try docker.container("second", on: "lab")
        #expect(try !first.namespace.reaches(second.addresses()[0]))
        #expect(try first.namespace.reaches("10.60.0.1"))
        try docker.machine.serveWhoami("80")
        #expect(try first.namespace.asksTCP(UplinkBed.machine.ipv4, 80)?.address == UplinkBed.host.ipv4)
      }
    }

    @Test("enable_ip_masquerade=false leaves sources as they are")
    func masquerade() throws {
      try withDocker { docker in
        try docker.network(
          "lab", "--opt", "com.docker.network.bridge.enable_ip_masquerade=false", "--subnet", "10.61.0.0/24")
        try docker.machine.run("ip", "route", "add", "10.61.0.0/24", "via", UplinkBed.host.ipv4)
        defer { _ = try? docker.machine.run("ip", "route", "del", "10.61.0.0/24") }
        let first = try docker.container("first", on: "lab")
        try docker.machine.serveWhoami("80")
        #expect(try first.namespace.asksTCP(UplinkBed.machine.ipv4, 80)?.address == first.addresses()[0])
      }
    }

    @Test("gateway modes: routed ports are the endpoint's own, isolated ones have no way to the host")
    func gatewayModes() throws {
      try withDocker { docker in
        try docker.network(
          "open", "--opt", "com.docker.network.bridge.gateway_mode_ipv4=routed", "--subnet", "10.62.0.0/24")
        try docker.machine.run("ip", "route", "add", "10.62.0.0/24", "via", UplinkBed.host.ipv4)
        defer { _ = try? docker.machine.run("ip", "route", "del", "10.62.0.0/24") }
        let server = try docker.container("server", on: "open", "--publish", "80")
        try server.namespace.serveWhoami("80-81")
        let address = try server.addresses()[0]
        #expect(try docker.machine.asksTCP(address, 80)?.address == UplinkBed.machine.ipv4)
        #expect(try docker.machine.asksTCP(address, 81, patience: "1") == nil)

        try docker.network(
          "closed", "--internal", "--opt", "com.docker.network.bridge.gateway_mode_ipv4=isolated",
          "--subnet", "10.63.0.0/24")
        let first = try docker.container("first", on: "closed")
        try docker.container("second", on: "closed")
        #expect(try first.reaches("second"))
        // Docker 28 gives the gateway's address to a container.
        let gateway = "10.63.0.1"
        #expect(try first.addresses() == [gateway] || !first.namespace.reaches(gateway, count: 1))
        #expect(try !docker.host.run("ip", "-o", "address").contains("10.63.0."))
      }
    }

    @Test("host_binding_ipv4 is where ports are published that name no address")
    func hostBinding() throws {
      try withDocker { docker in
        try docker.network("lab", "--opt", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1")
        let server = try docker.container("server", on: "lab", "--publish", "8080:80")
        try server.namespace.serveWhoami("80")
        #expect(try docker.host.asksTCP("127.0.0.1", 8080)?.serverPort == 80)
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080, patience: "1") == nil)
        #expect(try docker.publications().map(\.published.hostIP) == ["127.0.0.1"])
      }
    }

    @Test("an interface's prefix, and the gateway's name")
    func interfaceNames() throws {
      try withDocker { docker in
        try docker.network(
          "lab", "--opt", "com.docker.network.container_iface_prefix=lab", "--opt",
          "com.docker.network.bridge.name=mygate0")
        let first = try docker.container("first", on: "lab")
        #expect(try first.namespace.linkNames() == ["lo", "lab0"])
        #expect(try docker.host.linkNames().contains("mygate0"))
      }
    }

    @Test("an option that is unknown, or whose value is none, is refused by name and changes nothing")
    func refused() throws {
      try withDocker { docker in
        let refused = [
          "com.docker.network.bridge.no_such_option=1": "no_such_option", "nonsense=1": "nonsense",
          "com.docker.network.driver.mtu=67": "MTU 67", "com.docker.network.bridge.enable_icc=perhaps": "enable_icc",
          "com.docker.network.bridge.gateway_mode_ipv4=sideways": "sideways",
        ]
        for (option, word) in refused {
          let words = try docker.refusal("network", "create", "--driver", DockerBed.driver, "--opt", option, "lab")
          #expect(words.contains(word), "\(option): \(words)")
          #expect(try docker.docker("network", "ls", "--quiet", "--filter", "name=lab").isEmpty)
        }
      }
    }
  }
}
