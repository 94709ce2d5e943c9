import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Endpoints on the LAN")
  struct OnTheLAN {
    struct Mode: CustomTestStringConvertible {
      var driver: String
      var option: String
      /// Endpoints reach each other without the outside's help; with it.
      var isJoined = true
      var isReflected = false
      var testDescription: String { "\(driver) \(option)" }
    }

    @Test(
      "Endpoints reach the LAN and what is behind it, and are reached; the host keeps its own",
      arguments: [
        Mode(driver: "macvlan", option: "macvlan_mode=bridge"),
        Mode(driver: "macvlan", option: "macvlan_mode=private", isJoined: false),
        Mode(driver: "macvlan", option: "macvlan_mode=vepa", isJoined: false, isReflected: true),
        Mode(driver: "ipvlan", option: "ipvlan_mode=l2"),
        Mode(driver: "ipvlan", option: "ipvlan_flag=private", isJoined: false),
        Mode(driver: "ipvlan", option: "ipvlan_flag=vepa", isJoined: false, isReflected: true),
      ])
    func reachability(mode: Mode) throws {
      try withLAN { lan in
        let host = lan.daemon.namespace
        try lan.network(mode.driver, [mode.option])
        let a = try lan.daemon.sandbox("a", on: "lan")
        let b = try lan.daemon.sandbox("b", on: "lan")
        let outside = [LAN.router4, LAN.router6, LAN.station4, LAN.station6, LAN.beyond4, LAN.beyond6]
        #expect(try a.answering(outside) == outside)
        let endpoints = [LAN.first4, LAN.first6, LAN.second4, LAN.second6]
        #expect(try lan.station.answering(endpoints) == endpoints)
        // At its own MAC, or at the host's.
        let mac = try lan.daemon.endpoint(of: a, on: "lan").mac
        #expect(try lan.mac(of: LAN.first4) == mac && lan.mac(of: LAN.first6) == mac)
        #expect((mac == LAN.hostMAC) == (mode.driver == "ipvlan"))
        #expect(try a.answering([LAN.second4, LAN.second6]) == (mode.isJoined ? [LAN.second4, LAN.second6] : []))
        #expect(try b.answering([LAN.host4, LAN.host6]).isEmpty)
        #expect(try host.answering([LAN.station4, LAN.station6]).count == 2)
        #expect(try lan.station.answering([LAN.host4, LAN.host6]).count == 2)
        guard mode.isReflected else { return }
        try lan.setReflection("on")
        for sandbox in [a, b] { try sandbox.run("ip", "neigh", "flush", "all") }
        #expect(try a.answering([LAN.second4, LAN.second6]).count == 2)
        #expect(try b.answering([LAN.first4, LAN.first6]).count == 2)
      }
    }

    @Test("TCP carries 20 MB each way unchanged", arguments: ["macvlan", "ipvlan"])
    func transfer(driver: String) throws {
      try withLAN { lan in
        try lan.network(driver)
        let a = try lan.daemon.sandbox("a", on: "lan")
        let bytes = 20 << 20
        for (there, back) in [(LAN.station4, LAN.first4), (LAN.station6, LAN.first6)] {
          #expect(try a.reaches(there))
          let out = try Transfer(bytes: bytes, from: a, to: lan.station, at: there).end()
          #expect(out.sent == out.received && out.received.hasPrefix("done \(bytes) "))
          let home = try Transfer(bytes: bytes, from: lan.station, to: a, at: back).end()
          #expect(home.sent == home.received && home.received.hasPrefix("done \(bytes) "))
        }
        var counted = try lan.daemon.statistics("lan")
        try eventually("the counters balance: \(counted)") {
          counted = try lan.daemon.statistics("lan")
          return counted.rxFrames + counted.floodedCopies == counted.txFrames + counted.drops.values.reduce(0, +)
        }
      }
    }

    @Test("a connection of the host goes on while networks come and go")
    func undisturbed() throws {
      try withLAN { lan in
        let host = lan.daemon.namespace
        let bytes = 40 << 20
        let transfer = try Transfer(bytes: bytes, from: lan.station, to: host, at: LAN.host4, rate: 10 << 20)
        for driver in ["macvlan", "ipvlan"] {
          try lan.network(driver)
          let a = try lan.daemon.sandbox("a", on: "lan")
          #expect(try a.reaches(LAN.station4))
          try lan.daemon.disconnect(a, from: "lan")
          try lan.daemon.martlet("sandbox", "rm", a.name)
          try lan.daemon.martlet("network", "rm", "lan")
        }
        let end = try transfer.end()
        #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
      }
    }

    @Test("passing through, the endpoint has the parent, and the host has it back afterwards")
    func passthru() throws {
      try withLAN { lan in
        try lan.network("macvlan", ["macvlan_mode=passthru"])
        #expect(try lan.station.reaches(LAN.host4), "before there is an endpoint")
        let a = try lan.daemon.sandbox("a", on: "lan")
        #expect(try lan.daemon.endpoint(of: a, on: "lan").mac == LAN.hostMAC)
        #expect(try a.answering([LAN.router4, LAN.station6, LAN.beyond4]).count == 3)
        #expect(try lan.station.answering([LAN.first4, LAN.first6, LAN.host4]) == [LAN.first4, LAN.first6])
        try lan.daemon.disconnect(a, from: "lan")
        #expect(try lan.station.reaches(LAN.host4))
      }
    }

    @Test("two networks on one parent reach the LAN, and not each other")
    func twoNetworks() throws {
      try withLAN { lan in
        try lan.network("macvlan")
        try lan.network(
          "ipvlan", name: "other", subnets: ["--subnet", "203.0.113.0/24", "--gateway", "203.0.113.1"])
        try lan.router.run("ip", "addr", "add", "203.0.113.1/24", "dev", "eth0")
        let a = try lan.daemon.sandbox("a", on: "lan")
        let b = try lan.daemon.sandbox("b", on: "other")
        #expect(try a.answering([LAN.router4, LAN.station6]).count == 2)
        #expect(try b.answering(["203.0.113.1", LAN.beyond4]).count == 2)
        #expect(try a.answering(["203.0.113.2"]).isEmpty)
        #expect(try b.answering([LAN.first4]).isEmpty)
        #expect(try lan.station.reaches(LAN.host4))
      }
    }

    @Test("a lease of a DHCP server on the LAN", arguments: ["macvlan", "ipvlan"])
    func lease(driver: String) throws {
      try withLAN { lan in
        let directory = lan.daemon.namespace.testbed.directory
        let server = try lan.router.start(
          "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port=0",
          "--interface=eth0", "--bind-interfaces", "--no-ping", "--dhcp-range=192.0.2.200,192.0.2.220,1h",
          "--dhcp-option=3,\(LAN.router4)", "--dhcp-leasefile=\(directory)/leases", "--pid-file=", "--user=root")
        try lan.router.waitForSocket("udp", port: 67)
        let script = directory + "/leased"
        try """
        #!/bin/sh
        [ "$1" = bound ] || exit 0
        ip addr add "$ip/24" dev "$interface" && ip route add default via "$router" && echo "$ip"
        """.write(toFile: script, atomically: true, encoding: .utf8)
        chmod(script, 0o700)
        try lan.network(driver, subnets: [])
        var addresses: [String] = []
        for (number, label) in ["a", "b"].enumerated() {
          let sandbox = try lan.daemon.sandbox(label, on: "lan", "--no-address")
          #expect(try lan.daemon.endpoint(of: sandbox, on: "lan").addresses.isEmpty)
          // A client id: the MAC is not the endpoint's alone. Answers to all, as nobody has the address yet.
          let client = try sandbox.start(
            "busybox", "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-B", "-t", "20", "-T", "1", "-s", script, "-x",
            "0x3d:000\(number + 1)")
          addresses.append(try client.succeed().split(separator: "\n").last.map(String.init) ?? "")
          try eventually("\(label) reaches the LAN") { try sandbox.reaches(LAN.station4, count: 1) }
          #expect(try sandbox.reaches(LAN.beyond4))
        }
        #expect(Set(addresses).count == 2 && addresses.allSatisfy { $0.hasPrefix("192.0.2.2") })
        try eventually("the station reaches both") { try lan.station.answering(addresses) == addresses }
        server.stop()
      }
    }

    @Test("l3 is routed: no frame of an endpoint's is on the LAN")
    func layer3() throws {
      try withLAN { lan in
        let wrong = try lan.daemon.attempt(["network", "create", "far", "--driver", "ipvlan", "-o", "ipvlan_mode=l3"])
        #expect(wrong.status == 1 && wrong.complaint.contains("uplink"))
        try lan.daemon.martlet("uplink", "set", LAN.parent)
        try lan.daemon.martlet(
          "network", "create", "far", "--driver", "ipvlan", "-o", "ipvlan_mode=l3", "--subnet", "10.9.0.0/24")
        let a = try lan.daemon.sandbox("a", on: "far")
        for machine in [lan.router, lan.station] {
          try machine.run("ip", "route", "add", "10.9.0.0/24", "via", LAN.host4)
        }
        #expect(try a.answering([LAN.station4, LAN.router4]).count == 2)
        #expect(try lan.station.reaches("10.9.0.2"))
        #expect(try lan.mac(of: "10.9.0.2") == nil)
        #expect(try lan.mac(of: LAN.host4) == LAN.hostMAC)
      }
    }

    @Test("a restart and a new parent find endpoints as they were", arguments: ["macvlan", "ipvlan"])
    func restart(driver: String) throws {
      try withLAN { lan in
        try lan.network(driver)
        let a = try lan.daemon.sandbox("a", on: "lan")
        #expect(try lan.station.reaches(LAN.first4))
        try lan.daemon.end(by: SIGKILL)
        #expect(try lan.station.reaches(LAN.host4), "nothing is withheld from the host any more")
        try lan.daemon.start()
        #expect(try a.answering([LAN.station4, LAN.beyond6]).count == 2)
        #expect(try lan.station.answering([LAN.first4, LAN.first6]).count == 2)
        // The parent goes, and another of its name, with another MAC, comes.
        try lan.daemon.namespace.run("ip", "link", "delete", LAN.parent)
        try eventually("the parent is missing") { try lan.daemon.network("lan").ports.map(\.state) == ["missing"] }
        try lan.plugHost()
        try lan.daemon.namespace.run("ip", "link", "set", LAN.parent, "address", "02:00:00:00:20:11")
        try eventually("the parent is back") { try lan.daemon.network("lan").ports.map(\.state) == ["up"] }
        let mac = "02:00:00:00:20:11"
        if driver == "ipvlan" { try eventually("the MAC is followed") { try a.link().address == mac } }
        try eventually("the LAN is reached again") {
          try a.answering([LAN.station4, LAN.beyond6], count: 1).count == 2
        }
        try eventually("and reaches") { try lan.station.answering([LAN.first4, LAN.first6]).count == 2 }
      }
    }

    @Test("a purge leaves the host as it was", arguments: ["macvlan", "ipvlan"])
    func purge(driver: String) throws {
      try withLAN { lan in
        let host = lan.daemon.namespace
        func filters() throws -> String { try host.run("tc", "filter", "show", "dev", LAN.parent, "ingress") }
        let (before, filtersBefore) = (try host.configuration(), try filters())
        try lan.network(driver)
        let a = try lan.daemon.sandbox("a", on: "lan")
        #expect(try a.reaches(LAN.station4))
        try lan.daemon.purge()
        #expect(try host.configuration() == before && filters() == filtersBefore)
        #expect(try lan.station.answering([LAN.host4, LAN.first4]) == [LAN.host4])
        #expect(try !host.testbed.run(["ip", "netns", "list"]).contains(a.name))
      }
    }
  }
}
