import Testing

extension SystemTests {
  @Suite("Who reaches whom")
  struct Reachability {
    private func allowForwarding(_ namespace: Namespace) throws {
      try namespace.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    }

    @Test("host and container reach each other by the gateway")
    func gateway() throws {
      try withDaemon { daemon in
        try daemon.martlet("network", "create", "lab", "--ipv6")
        let a = try daemon.sandbox("a", on: "lab")
        let network = try daemon.network("lab")
        let endpoint = network.endpoints[0]
        #expect(try daemon.namespace.linkNames().contains(network.gatewayInterface!))
        let gateways = network.subnets.map { $0.gateway! }
        #expect(try a.answering(gateways) == gateways)
        let addresses = [endpoint.ipv4, endpoint.ipv6]
        #expect(try daemon.namespace.answering(addresses) == addresses)
      }
    }

    @Test("a network without a gateway has no interface on the host, and is a switch all the same")
    func noGateway() throws {
      try withDaemon { daemon in
        let before = try daemon.namespace.configuration()
        try daemon.martlet("network", "create", "plain", "--no-gateway", "--ipv6")
        let a = try daemon.sandbox("a", on: "plain")
        let b = try daemon.sandbox("b", on: "plain")
        #expect(try daemon.namespace.configuration() == before)
        let network = try daemon.network("plain")
        #expect(network.gatewayInterface == nil && network.subnets.allSatisfy { $0.gateway == nil })
        #expect(try a.run("ip", "route", "show", "default").isEmpty)
        let endpoint = try daemon.endpoint(of: b, on: "plain")
        let addresses = [endpoint.ipv4, endpoint.ipv6]
        #expect(try a.answering(addresses) == addresses)
      }
    }

    @Test("an internal network reaches its gateway and nothing beyond, though the host forwards")
    func `internal`() throws {
      try withDaemon { daemon in
        let host = daemon.namespace
        let outside = try makeOutside(of: host)
        try allowForwarding(host)
        try daemon.martlet("network", "create", "open", "--subnet", "10.1.0.0/24", "--subnet", "fd01::/64")
        try daemon.martlet(
          "network", "create", "closed", "--subnet", "10.2.0.0/24", "--subnet", "fd02::/64", "--internal")
        let a = try daemon.sandbox("a", on: "open", "--ip", "10.1.0.2", "--ip6", "fd01::2")
        let b = try daemon.sandbox("b", on: "closed", "--ip", "10.2.0.2", "--ip6", "fd02::2")
        // Without these the outcome below could be for want of a route.
        let (beyond, opened, closed) = (
          ["198.51.100.2", "2001:db8::2"], ["10.1.0.2", "fd01::2"], ["10.2.0.2", "fd02::2"]
        )
        // The kernel brings veth pairs up in its own time.
        try eventually("the host forwards") { try a.answering(beyond) == beyond }
        #expect(try outside.answering(opened) == opened)

        #expect(try b.run("ip", "route", "show", "default").isEmpty)
        try b.run("ip", "route", "add", "default", "via", "10.2.0.1")
        try b.run("ip", "-6", "route", "add", "default", "via", "fd02::1")
        let gateways = ["10.2.0.1", "fd02::1"]
        #expect(try b.answering(gateways) == gateways)
        #expect(try host.answering(closed) == closed)
        #expect(try b.answering(beyond + opened) == [])
        #expect(try outside.answering(closed) == [])
        #expect(try a.answering(closed) == [])
      }
    }

    /// A namespace behind a router's interface, with routes back to everything.
    private func makeOutside(of host: Namespace) throws -> Namespace {
      let outside = try host.testbed.makeNamespace("outside")
      try host.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", outside.name)
      for (namespace, number) in [(host, 1), (outside, 2)] {
        try namespace.run("ip", "addr", "add", "198.51.100.\(number)/24", "dev", "veth0")
        try namespace.run("ip", "addr", "add", "2001:db8::\(number)/64", "dev", "veth0", "nodad")
        try namespace.run("ip", "link", "set", "veth0", "up")
      }
      try outside.run("ip", "route", "add", "default", "via", "198.51.100.1")
      try outside.run("ip", "-6", "route", "add", "default", "via", "2001:db8::1")
      return outside
    }

    @Test("two networks cannot reach each other, though the host forwards")
    func networksApart() throws {
      try withDaemon { daemon in
        try allowForwarding(daemon.namespace)
        try daemon.martlet("network", "create", "one", "--subnet", "10.1.0.0/24", "--subnet", "fd01::/64")
        try daemon.martlet("network", "create", "two", "--subnet", "10.2.0.0/24", "--subnet", "fd02::/64")
        let a = try daemon.sandbox("a", on: "one", "--ip", "10.1.0.2", "--ip6", "fd01::2")
        let b = try daemon.sandbox("b", on: "two", "--ip", "10.2.0.2", "--ip6", "fd02::2")
        #expect(try a.run("ip", "route", "show", "default").contains("via 10.1.0.1"))
        let (first, second) = (["10.1.0.1", "fd01::1"], ["10.2.0.1", "fd02::1"])
        #expect(try a.answering(first) == first)
        #expect(try b.answering(second) == second)
        #expect(try a.answering(["10.2.0.2", "fd02::2"]) == [])
        #expect(try b.answering(["10.1.0.2", "fd01::2"]) == [])
      }
    }
  }
}
