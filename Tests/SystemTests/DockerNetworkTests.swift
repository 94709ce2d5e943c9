import ControlModel
import Testing

extension SystemTests.Docker {
  @Suite("Networks of Docker")
  struct Networks {
    @Test("containers of one network reach each other by name, alias, address and reverse; those of two do not")
    func names() throws {
      try withDocker { docker in
        try docker.network("one")
        try docker.network("two")
        let first = try docker.container("first", on: "one")
        let second = try docker.container("second", on: "one", "--network-alias", "store", "--hostname", "host2")
        let other = try docker.container("other", on: "two")
        let address = try second.addresses()
        for name in ["second", "store", "second.one"] {
          #expect(try first.lookUp(name) == address, "\(name)")
          #expect(try first.reaches(name), "\(name)")
        }
        #expect(try first.lookUpNames(of: address[0]).contains("second.one"))
        #expect(try second.reaches("first") && second.reaches("second"))
        let linked = try docker.container("linked", on: "one", "--link", "second:friend")
        #expect(try linked.lookUp("friend") == address && first.lookUp("friend").isEmpty)
        #expect(try second.run("cat", "/etc/hosts").contains("\(address[0])\thost2"))
        #expect(try second.run("cat", "/etc/resolv.conf").contains("nameserver 127.0.0.11"))

        #expect(try first.lookUp("other").isEmpty)
        let (near, far) = try (first.addresses()[0], other.addresses()[0])
        #expect(try !first.namespace.reaches(far) && !other.namespace.reaches(near))
        #expect(try docker.host.answering([near, far]) == [near, far], "the host reaches both")
      }
    }

    @Test("Martlet shows Docker's networks, endpoints and addresses, under Docker's own ids")
    func records() throws {
      try withDocker { docker in
        try docker.network("one", "--subnet", "10.50.0.0/24")
        let record = try docker.record("one")
        #expect(try record.id == docker.docker("network", "inspect", "--format", "{{.Id}}", "one"))
        #expect(record.subnets.map(\.subnet) == ["10.50.0.0/24"] && record.subnets[0].gateway == "10.50.0.1")
        let container = try docker.container("first", on: "one")
        let settings = "{{range .NetworkSettings.Networks}}{{.EndpointID}} {{.IPAddress}} {{.MacAddress}}{{end}}"
        let words = try docker.docker("inspect", "--format", settings, "first").split(separator: " ").map(String.init)
        let endpoint = try #require(docker.endpoints().first)
        let link = try container.namespace.link()
        #expect(words == [endpoint.id, endpoint.ipv4, endpoint.mac])
        #expect(try container.addresses() == [endpoint.ipv4] && link.address == endpoint.mac)
        #expect(try container.run("ip", "route").contains("default via 10.50.0.1 dev eth0"))
      }
    }

    @Test("on an internal network peers are reached, and nothing else")
    func `internal`() throws {
      try withDocker { docker in
        try docker.network("lab", "--internal", "--subnet", "10.51.0.0/24")
        let first = try docker.container("first", on: "lab")
        try docker.container("second", on: "lab")
        try docker.machine.serveWhoami("80")
        #expect(try first.reaches("second") && first.namespace.reaches("10.51.0.1"))
        #expect(try first.namespace.run("ip", "route", "show", "default").isEmpty)
        #expect(try first.namespace.asksTCP(UplinkBed.machine.ipv4, 80, patience: "1") == nil)
        // Whoever gives itself a route has no way out either.
        try first.namespace.run("ip", "route", "add", "default", "via", "10.51.0.1")
        #expect(try first.namespace.asksTCP(UplinkBed.machine.ipv4, 80, patience: "1") == nil)
        #expect(try first.lookUp("second") == ["10.51.0.3"])
      }
    }

    @Test("addresses: one that is asked for, ranges, reserved ones, and those that cannot be")
    func addresses() throws {
      try withDocker { docker in
        try docker.network(
          "lab", "--subnet", "10.52.0.0/16", "--ip-range", "10.52.5.0/24", "--gateway", "10.52.0.254",
          "--aux-address", "router=10.52.5.1")
        let ranged = try docker.container("ranged", on: "lab")
        #expect(try ranged.addresses()[0].hasPrefix("10.52.5."))
        #expect(try !["10.52.5.1", "10.52.0.254"].contains(ranged.addresses()[0]))
        let fixed = try docker.container(
          "fixed", on: "lab", "--ip", "10.52.9.9", "--mac-address", "02:11:22:33:44:55")
        #expect(try fixed.addresses() == ["10.52.9.9"])
        #expect(try fixed.namespace.link().address == "02:11:22:33:44:55")
        #expect(try docker.endpoints().contains { $0.mac == "02:11:22:33:44:55" && $0.ipv4 == "10.52.9.9" })
        #expect(try ranged.reaches("fixed"))
        #expect(try ranged.namespace.run("ip", "route", "show", "default").contains("via 10.52.0.254"))
        let local = try docker.container("local", on: "lab", "--link-local-ip", "169.254.7.1")
        try docker.container("local2", on: "lab", "--link-local-ip", "169.254.7.2")
        #expect(try local.namespace.reaches("169.254.7.2"))

        let run = DockerBed.start("more", on: "lab", ["--ip", "10.52.9.9"])
        #expect(try docker.engine.attempt(run).complaint.contains("Address already in use"))
        try docker.docker("rm", "more")
        #expect(try docker.engine.attempt(DockerBed.start("more", on: "lab", ["--ip", "10.53.0.1"])).status != 0)
        #expect(
          try docker.refusal("network", "create", "--driver", DockerBed.driver, "--subnet", "10.52.7.0/24", "over")
            .contains("overlap"))
      }
    }

    @Test("IPv6: addresses, names and the way out; none where it is not asked for")
    func ipv6() throws {
      try withDocker { docker in
        try docker.network("six", "--ipv6", "--subnet", "10.54.0.0/24", "--subnet", "fd77::/64")
        try docker.network("four", "--subnet", "10.55.0.0/24")
        let first = try docker.container("first", on: "six")
        let second = try docker.container("second", on: "six", "--ip6", "fd77::99")
        #expect(try second.addresses().contains("fd77::99"))
        #expect(try first.lookUp("second", type: "aaaa") == ["fd77::99"])
        #expect(try first.attempt("ping", "-6", "-c", "1", "-W", "2", "second").status == 0)
        let linkLocal = try second.namespace.run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link")
        let neighbour = try #require(
          linkLocal.split(separator: " ").first { $0.hasPrefix("fe80:") }?.prefix { $0 != "/" })
        try eventually("its link-local address is no longer tentative", within: .seconds(10)) {
          try first.namespace.reaches("\(neighbour)%eth0", count: 1)
        }
        #expect(try first.namespace.run("ip", "-6", "route", "show", "default").contains("via fd77::1 dev eth0"))
        try docker.machine.serveWhoami("80")
        // The machine has a route to fd77::/64, which is not translated.
        #expect(try second.namespace.asksTCP(UplinkBed.machine.ipv6, 80)?.address == "fd77::99")
        let plain = try docker.container("plain", on: "four")
        #expect(try plain.namespace.run("ip", "-6", "addr", "show", "dev", "eth0").isEmpty)
      }
    }

    @Test("connected and disconnected while it runs: interface, names, default route")
    func connect() throws {
      try withDocker { docker in
        try docker.network("one", "--subnet", "10.56.0.0/24")
        try docker.network("two", "--subnet", "10.57.0.0/24")
        let both = try docker.container("both", on: "one")
        let left = try docker.container("left", on: "one")
        let right = try docker.container("right", on: "two")
        try docker.docker("network", "connect", "--ip", "10.57.0.77", "--alias", "middle", "two", "both")
        #expect(try both.namespace.linkNames() == ["lo", "eth0", "eth1"])
        #expect(try both.addresses("eth1") == ["10.57.0.77"])
        #expect(try both.reaches("left") && both.reaches("right"))
        #expect(try right.lookUp("middle") == ["10.57.0.77"] && right.reaches("both"))
        #expect(try left.lookUp("middle").isEmpty && !left.namespace.reaches("10.57.0.77", count: 1))
        #expect(try both.namespace.run("ip", "route", "show", "default").contains("10.56.0.1"))

        try docker.docker("network", "disconnect", "one", "both")
        #expect(try both.namespace.linkNames() == ["lo", "eth1"])
        #expect(try both.namespace.run("ip", "route", "show", "default").contains("10.57.0.1"))
        #expect(try left.lookUp("both").isEmpty && right.reaches("both"))
        try docker.docker("network", "disconnect", "two", "both")
        #expect(try both.namespace.linkNames() == ["lo"])
        #expect(try docker.refusal("network", "connect", "one", "nobody").contains("No such container"))
        #expect(try Set(docker.endpoints().map(\.ipv4)) == Set(left.addresses() + right.addresses()))
        // Again, and once with what is stopped.
        try docker.docker("network", "connect", "one", "both")
        #expect(try both.reaches("left"))
        try docker.docker("stop", "both")
        try docker.docker("network", "connect", "two", "both")
        try docker.docker("start", "both")
        let again = try Container("both", bed: docker)
        #expect(try again.reaches("left") && again.reaches("right"))
      }
    }

    @Test("three services that find each other by name and alias, as a composer makes them")
    func compose() throws {
      try withDocker { docker in
        try docker.network("shop_front", "--label", "project=shop")
        try docker.network("shop_back", "--internal")
        func create(_ service: String, on network: String, _ options: String...) throws {
          try docker.engine.command(
            ["create", "--name", "shop_\(service)_1", "--network", network, "--network-alias", service]
              + ["--stop-signal", "KILL"] + options + [DockerEngine.image, "sleep", "infinity"])
        }
        try create("store", on: "shop_back")
        try create("logic", on: "shop_back")
        try docker.docker("network", "connect", "--alias", "logic", "shop_front", "shop_logic_1")
        try create("page", on: "shop_front", "--publish", "8080:80")
        try docker.docker("start", "shop_store_1", "shop_logic_1", "shop_page_1")
        let (store, logic, page) = try (
          Container("shop_store_1", bed: docker), Container("shop_logic_1", bed: docker),
          Container("shop_page_1", bed: docker)
        )
        #expect(try page.reaches("logic") && page.reaches("shop_logic_1") && logic.reaches("page"))
        #expect(try logic.reaches("store") && store.reaches("logic"))
        #expect(try page.lookUp("store").isEmpty && store.lookUp("page").isEmpty)
        try page.namespace.serveWhoami("80")
        #expect(try docker.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.address == UplinkBed.machine.ipv4)
        // The one with both networks has a way out, the other has none.
        try docker.machine.serveWhoami("81")
        #expect(try logic.namespace.asksTCP(UplinkBed.machine.ipv4, 81)?.address == UplinkBed.host.ipv4)
        #expect(try store.namespace.asksTCP(UplinkBed.machine.ipv4, 81, patience: "1") == nil)
        // As a second of one kind is added, and the whole goes.
        try create("more", on: "shop_front", "--network-alias", "page")
        try docker.docker("start", "shop_more_1")
        #expect(try logic.lookUp("page").count == 2)
      }
    }

    @Test("a network that is in use is not removed, one that is not is")
    func remove() throws {
      try withDocker { docker in
        try docker.network("lab")
        try docker.container("first", on: "lab")
        #expect(try docker.refusal("network", "rm", "lab").contains("has active endpoints"))
        _ = try docker.record("lab")
        try docker.docker("rm", "--force", "first")
        try docker.docker("network", "rm", "lab")
        #expect(try docker.daemon.ask([Network].self, "network", "ls").allSatisfy { !$0.name.hasPrefix("docker-") })
      }
    }

    @Test("without an address that is given, networks get those that neither another network nor the host has")
    func pools() throws {
      try withDocker { docker in
        for number in 1...3 { try docker.network("net\(number)") }
        let subnets = try (1...3).map { try docker.record("net\($0)").subnets[0].subnet }
        #expect(Set(subnets).count == 3)
        try docker.daemon.martlet("network", "create", "own")
        defer { _ = try? docker.daemon.martlet("network", "rm", "own") }
        #expect(try !subnets.contains(docker.daemon.network("own").subnets[0].subnet))
      }
    }

    @Test("Martlet's own address management, where it is asked for")
    func ipam() throws {
      try withDocker { docker in
        try docker.network("lab", "--ipam-driver", DockerBed.driver, "--subnet", "10.58.0.0/24")
        try docker.network("any", "--ipam-driver", DockerBed.driver)
        let first = try docker.container("first", on: "lab")
        let second = try docker.container("second", on: "lab", "--ip", "10.58.0.50")
        #expect(try first.addresses()[0].hasPrefix("10.58.0.") && second.addresses() == ["10.58.0.50"])
        #expect(try first.reaches("second"))
        try docker.network("six", "--ipam-driver", DockerBed.driver, "--ipv6")
        #expect(try docker.record("six").subnets.contains { $0.subnet.hasPrefix("fd") })
        let third = try docker.container("third", on: "any")
        #expect(try docker.host.reaches(third.addresses()[0]))
        let run = DockerBed.start("more", on: "lab", ["--ip", "10.58.0.50"])
        let outcome = try docker.engine.attempt(run)
        #expect(outcome.status != 0 && outcome.complaint.contains("10.58.0.50"), "\(outcome.complaint)")
        // What was given back is free.
        try docker.docker("rm", "--force", "second", "more")
        let again = try docker.container("again", on: "lab", "--ip", "10.58.0.50")
        #expect(try first.reaches("again") && again.addresses() == ["10.58.0.50"])
      }
    }
  }
}
