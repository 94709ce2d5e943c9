import ControlModel
import Testing

extension SystemTests {
  @Suite("Gateway modes")
  struct GatewayModes {
    private static let option = "com.docker.network.bridge."

    /// The container serves 80, which is published as 8080, and 81, which is not; the machine knows the way to both subnets.
    private func withServers(
      network: [String], ports: [String] = ["8080:80", "8080:80/udp"], _ body: (UplinkBed) throws -> Void
    ) throws {
      try withUplink(network: network, ports: ports) { bed in
        try bed.container.serveWhoami("80", "81")
        try bed.machine.serveWhoami("80")
        try bed.machine.run("ip", "route", "add", UplinkBed.subnet.ipv4, "via", UplinkBed.host.ipv4)
        try body(bed)
      }
    }

    @Test("nat-unprotected: sources are translated, and all ports are reachable at the container's address")
    func unprotected() throws {
      try withServers(network: ["--gateway-mode", "nat-unprotected"]) { bed in
        let seen = try bed.container.asksTCP(UplinkBed.beyond.ipv4, 80)
        #expect(seen?.address == UplinkBed.host.ipv4)
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 80)
        for inside in [bed.endpoint.ipv4, bed.endpoint.ipv6] {
          for port in [80, 81] {
            #expect(try bed.machine.asksTCP(inside, port)?.serverPort == port, "\(inside) \(port)")
            #expect(try bed.machine.asksUDP(inside, port)?.serverPort == port, "\(inside) \(port)")
          }
          #expect(try bed.machine.reaches(inside))
        }
      }
    }

    @Test("routed: nothing is translated, and published ports are reachable at the container's address alone")
    func routed() throws {
      try withServers(network: ["--gateway-mode", "routed"], ports: ["80", "80/udp"]) { bed in
        let container = (bed.endpoint.ipv4, bed.endpoint.ipv6)
        for (inside, beyond) in [container, UplinkBed.beyond].pairs {
          let seen = try (bed.container.asksTCP(beyond, 80), bed.container.asksUDP(beyond, 80))
          #expect(seen.0?.address == inside && seen.1?.address == inside)
          let client = inside.contains(":") ? UplinkBed.machine.ipv6 : UplinkBed.machine.ipv4
          #expect(try bed.machine.asksTCP(inside, 80)?.address == client)
          #expect(try bed.machine.asksUDP(inside, 80)?.address == client)
          #expect(try bed.machine.asksTCP(inside, 81, patience: "1") == nil)
          #expect(try bed.machine.asksUDP(inside, 81, tries: 1) == nil)
          #expect(try bed.machine.reaches(inside), "whether somebody is there may be asked")
        }
      }
    }

    @Test("isolated: containers reach each other, and neither the outside nor the host")
    func isolated() throws {
      try withUplink(network: ["--gateway-mode", "isolated"]) { bed in
        try bed.machine.serveWhoami("80")
        try bed.host.serveWhoami("81")
        let other = try bed.container("b")
        let peer = try bed.daemon.endpoint(of: other, on: "lan")
        #expect(try bed.container.answering([peer.ipv4, peer.ipv6]) == [peer.ipv4, peer.ipv6])
        let places = [
          UplinkBed.beyond.ipv4, UplinkBed.beyond.ipv6, UplinkBed.host.ipv4, UplinkBed.host.ipv6,
          UplinkBed.gateway.ipv4,
          UplinkBed.gateway.ipv6,
        ]
        #expect(try bed.container.answering(places) == [])
        #expect(try bed.container.asksTCP(UplinkBed.beyond.ipv4, 80, patience: "1") == nil)
        #expect(try bed.container.asksTCP(UplinkBed.host.ipv4, 81, patience: "1") == nil)
      }
    }

    @Test("without masquerade sources stay, and published ports are there all the same")
    func masqueradeOff() throws {
      try withServers(network: ["-o", "\(Self.option)enable_ip_masquerade=false"]) { bed in
        let seen = try bed.container.asksTCP(UplinkBed.beyond.ipv4, 80)
        #expect(seen?.address == bed.endpoint.ipv4)
        #expect(try bed.container.asksUDP(UplinkBed.beyond.ipv4, 80)?.address == bed.endpoint.ipv4)
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.address == UplinkBed.machine.ipv4)
        #expect(try bed.machine.asksUDP(UplinkBed.host.ipv4, 8080)?.address == UplinkBed.machine.ipv4)
        #expect(try bed.container.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 80, "itself")
        #expect(try bed.container.asksUDP(UplinkBed.host.ipv4, 8080)?.serverPort == 80, "itself")
      }
    }

    @Test("a network has an outbound address of its own where it says so, and IPv6 translated")
    func fixedAddress() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let machine = try testbed.makeNamespace("out")
        try UplinkBed.makeWire(from: daemon.namespace, to: machine)
        try daemon.namespace.batch(
          "address add 192.0.2.2/24 dev \(UplinkBed.near)", "address add 2001:db8::2/64 dev \(UplinkBed.near) nodad")
        let options = [
          "-o", "com.docker.network.host_ipv4=192.0.2.2", "-o", "com.docker.network.host_ipv6=2001:db8::2", "-o",
          "org.martlet.nat66=true",
        ]
        let bed = try UplinkBed(daemon, machine: machine, network: options)
        try machine.serveWhoami("80")
        try daemon.martlet("network", "create", "plain", "--subnet", "10.78.0.0/24")
        let plain = try bed.container("b", on: "plain")
        for ask in [{ try $0.asksTCP($1, 80) }, { try $0.asksUDP($1, 80) }] as [(Namespace, String) throws -> Answer?] {
          #expect(try ask(bed.container, UplinkBed.beyond.ipv4)?.address == "192.0.2.2")
          #expect(try ask(bed.container, UplinkBed.beyond.ipv6)?.address == "2001:db8::2")
          #expect(try ask(plain, UplinkBed.beyond.ipv4)?.address == UplinkBed.host.ipv4)
        }
      }
    }

    @Test("no frame is lost without a counter, where frames are routed", arguments: workerCounts)
    func conservation(workers: Int) throws {
      try withUplink(workers: workers, ports: ["7001:7001/udp", "7000:7000"]) { bed in
        let load = try Binaries.path("martlet-load")
        let other = try bed.container("b")
        for place in [bed.container, bed.machine] {
          _ = try place.start(load, "sink", "7001", "--seconds", "60")
          try place.waitForSocket("udp", port: 7001)
        }
        let flood = [load, "flood", "--seconds", "2", "--rate", "20000"]
        let running = try [
          bed.container.start(flood + [UplinkBed.machine.ipv4, "7001"]),
          bed.machine.start(flood + [UplinkBed.host.ipv4, "7001"]),
          // Hairpin; nobody there; to the host; of another network's.
          other.start(flood + [UplinkBed.host.ipv4, "7001"]),
          other.start(flood + ["192.0.2.77", "7001", "--payload", "1400"]),
          other.start(flood + [UplinkBed.gateway.ipv4, "7001"]),
        ]
        let bytes = 20 << 20
        let transfer = try Transfer(bytes: bytes, from: bed.machine, to: bed.container, at: UplinkBed.host.ipv4)
        for program in running { try program.succeed() }
        let end = try transfer.end()
        #expect(end.sent == end.received)

        var counted = try bed.daemon.statistics("lan")
        try eventually("the counters balance: \(counted)", within: .seconds(20)) {
          counted = try bed.daemon.statistics("lan")
          return counted.rxFrames + counted.routedIn + counted.floodedCopies
            == counted.txFrames + counted.routedOut + counted.drops.values.reduce(0, +)
        }
        #expect(counted.routedOut > 1000 && counted.routedIn > 1000, "that was no flood: \(counted)")
        for (place, sandbox) in [(bed.container, bed.container), (other, other)] {
          try eventually("the switch got what \(place.name) sent", within: .seconds(20)) {
            let kernel = try place.link().statistics
            let counters = try bed.daemon.endpoint(of: sandbox, on: "lan").counters
            return counters.rxFrames == kernel.tx.packets && counters.rxBytes == kernel.tx.bytes
          }
        }
      }
    }
  }
}
