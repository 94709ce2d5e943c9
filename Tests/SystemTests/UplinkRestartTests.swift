import ControlModel
import Glibc
import Testing

extension SystemTests {
  @Suite("Restarts, and an uplink that changes")
  struct UplinkRestarts {
    @Test("sessions, mappings and published ports outlive the daemon", arguments: [SIGTERM, SIGKILL])
    func restart(signal: Int32) throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        try bed.daemon.martlet("session", "timeouts", "--set", "udp=200")
        // Idle while nobody forwards: what the machine sends then is the host's to answer.
        let out = try [UplinkBed.beyond.ipv4, UplinkBed.beyond.ipv6].map { try bed.container.hold($0, 80) }
        let home = try [UplinkBed.host.ipv4, UplinkBed.host.ipv6].map { try bed.machine.hold($0, 8080) }
        let datagrams = try [
          bed.container.hold(UplinkBed.machine.ipv4, 80, "--udp"), bed.machine.hold(UplinkBed.host.ipv4, 8080, "--udp"),
        ]
        let held = out + home + datagrams
        let before = try held.map { try $0.answer() }
        #expect(before.allSatisfy { $0 != nil })
        let sessions = try bed.sessions().map(\.outside).sorted()

        try bed.restart(by: signal)
        #expect(try bed.sessions().map(\.outside).sorted() == sessions)
        #expect(
          try held.map { try $0.answer() } == before, "each connection goes on, and each port outside is as it was")
        for (there, host) in [UplinkBed.beyond, UplinkBed.host].pairs {
          #expect(try bed.container.asksTCP(there, 80) != nil && bed.container.asksUDP(there, 80) != nil)
          #expect(try bed.machine.asksTCP(host, 8080)?.serverPort == 80)
          #expect(try bed.machine.asksUDP(host, 8080)?.serverPort == 80)
        }
        #expect(try bed.host.asksTCP("127.0.0.1", 8080)?.serverPort == 80)
        #expect(try bed.host.asksUDP("127.0.0.1", 8080)?.serverPort == 80)
        #expect(try bed.daemon.ask(SessionTimeouts.self, "session", "timeouts").udp == 200)
      }
    }

    @Test("what is said while the daemon is started again is answered when it is there")
    func saidMeanwhile() throws {
      try withUplink(ports: ["8080:80"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        let held = try [bed.machine.hold(UplinkBed.host.ipv4, 8080), bed.container.hold(UplinkBed.machine.ipv4, 80)]
        let before = try held.map { try $0.ask() }
        for (connection, answer) in zip(held, before) {
          try bed.daemon.end(by: SIGTERM)
          #expect(try connection.ask { try bed.daemon.start() } == answer)
        }
      }
    }

    @Test("a port that was withdrawn before the restart stays so, with its sessions")
    func withdrawn() throws {
      try withUplink(ports: ["8080:80", "8081:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        let held = try bed.machine.hold(UplinkBed.host.ipv4, 8081, "--udp", "--seconds", "1")
        #expect(try held.answer() != nil)
        try bed.unpublish("8081:80/udp")
        try bed.restart(by: SIGKILL)
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080) != nil)
        #expect(try ["timeout", "refused"].contains(held.ask()))
        #expect(try bed.sessions("protocol=udp").isEmpty)
      }
    }

    /// Both ways work, by the host's address.
    private func expectReachable(_ bed: UplinkBed, _ host: String = UplinkBed.host.ipv4) throws {
      try eventually("the container reaches outside") {
        try bed.container.asksTCP(UplinkBed.beyond.ipv4, 80, patience: "1")?.address == host
      }
      #expect(try bed.machine.asksTCP(host, 8080)?.address == UplinkBed.machine.ipv4)
      #expect(try bed.machine.asksUDP(host, 8080)?.address == UplinkBed.machine.ipv4)
      try eventually("and over IPv6") { try bed.container.asksTCP(UplinkBed.beyond.ipv6, 80, patience: "1") != nil }
      #expect(try bed.machine.asksTCP(UplinkBed.host.ipv6, 8080)?.address == UplinkBed.machine.ipv6)
    }

    @Test("an uplink that is deleted is missing, and is taken again when it is back")
    func recreated() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        try expectReachable(bed)
        try bed.host.run("ip", "link", "del", UplinkBed.near)
        try eventually("it is missing") { try bed.uplink().state == "missing" }
        #expect(try bed.container.asksTCP(UplinkBed.beyond.ipv4, 80, patience: "1") == nil)
        try UplinkBed.makeWire(from: bed.host, to: bed.machine)
        try eventually("it is back") { try bed.uplink().state == "up" }
        try expectReachable(bed)
      }
    }

    @Test("an uplink that was set down goes on when it is up again")
    func downAndUp() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        try expectReachable(bed)
        try bed.host.run("ip", "link", "set", UplinkBed.near, "down")
        try eventually("it is down") { try bed.uplink().state == "down" }
        // The kernel drops IPv6 addresses and all routes of an interface that is down.
        try bed.host.batch(
          "link set \(UplinkBed.near) up", "address replace \(UplinkBed.host.ipv6)/64 dev \(UplinkBed.near) nodad",
          "route replace default via \(UplinkBed.machine.ipv4)", "route replace default via \(UplinkBed.machine.ipv6)")
        try expectReachable(bed)
      }
    }

    @Test("the uplink's address changes: the new one is external, the old one is the host's no more")
    func readdressed() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        try expectReachable(bed)
        try bed.host.batch(
          "address del \(UplinkBed.host.ipv4)/24 dev \(UplinkBed.near)",
          "address add 192.0.2.5/24 dev \(UplinkBed.near)", "route replace default via \(UplinkBed.machine.ipv4)")
        try eventually("it is external") { try Set(bed.uplink().addresses) == ["192.0.2.5", UplinkBed.host.ipv6] }
        try expectReachable(bed, "192.0.2.5")
        #expect(try bed.sessions("outside=\(UplinkBed.host.ipv4)").isEmpty)
      }
    }

    @Test("the default route changes to another gateway")
    func rerouted() throws {
      try withUplink { bed in
        try bed.machine.serveWhoami("80")
        let other = try bed.testbed.makeNamespace("other")
        try other.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        // The machine becomes a switch between the wire and another one, and keeps its addresses.
        try bed.machine.batch(
          "link add br0 type bridge", "link add to0 type veth peer name eth0 netns \(other.name)",
          "address flush dev \(UplinkBed.far)", "link set \(UplinkBed.far) master br0", "link set to0 up master br0",
          "link set br0 up", "address add \(UplinkBed.machine.ipv4)/24 dev br0",
          "address add \(UplinkBed.machine.ipv6)/64 dev br0 nodad",
          "route replace \(UplinkBed.subnet.ipv6) via \(UplinkBed.host.ipv6)")
        try other.batch(
          "link set eth0 up", "address add 192.0.2.20/24 dev eth0", "address add 2001:db8::20/64 dev eth0 nodad",
          "address add \(UplinkBed.beyond.ipv4)/32 dev lo", "address add \(UplinkBed.beyond.ipv6)/128 dev lo",
          "route add \(UplinkBed.subnet.ipv6) via \(UplinkBed.host.ipv6)")
        try other.serveWhoami("81")
        let beyond = [UplinkBed.beyond.ipv4, UplinkBed.beyond.ipv6]
        for place in beyond {
          try eventually("the first gateway is used") { try bed.container.asksTCP(place, 80, patience: "1") != nil }
          #expect(try bed.container.asksTCP(place, 81, patience: "1") == nil)
        }
        try bed.host.batch("route replace default via 192.0.2.20", "route replace default via 2001:db8::20")
        for place in beyond {
          try eventually("the other is used") { try bed.container.asksTCP(place, 81, patience: "1") != nil }
          #expect(try bed.container.asksTCP(place, 80, patience: "1") == nil)
        }
        // A route that is more particular than the default one.
        try bed.host.run("ip", "route", "add", "\(UplinkBed.beyond.ipv4)/32", "via", UplinkBed.machine.ipv4)
        try eventually("the first is used again") {
          try bed.container.asksTCP(UplinkBed.beyond.ipv4, 80, patience: "1") != nil
        }
      }
    }
  }
}
