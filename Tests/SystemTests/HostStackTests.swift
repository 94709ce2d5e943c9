import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("The host keeps its own")
  struct HostStack {
    private static let megabyte = 1 << 20

    @Test("the host's own connections, out and in, go on beside those of containers")
    func ownConnections() throws {
      try withUplink(ports: ["7000:7000"]) { bed in
        try bed.machine.serveWhoami("80")
        try bed.host.serveWhoami("81")
        let (bytes, rate) = (20 * Self.megabyte, 20 * Self.megabyte)
        let transfers = try [
          Transfer(
            bytes: bytes, from: bed.container, to: bed.machine, at: UplinkBed.machine.ipv4, port: 7001, rate: rate),
          Transfer(bytes: bytes, from: bed.machine, to: bed.container, at: UplinkBed.host.ipv4, rate: rate),
          Transfer(bytes: bytes, from: bed.host, to: bed.machine, at: UplinkBed.machine.ipv4, port: 7002, rate: rate),
          Transfer(bytes: bytes, from: bed.machine, to: bed.host, at: UplinkBed.host.ipv4, port: 7003, rate: rate),
          Transfer(bytes: bytes, from: bed.host, to: bed.machine, at: UplinkBed.machine.ipv6, port: 7004, rate: rate),
          Transfer(bytes: bytes, from: bed.machine, to: bed.host, at: UplinkBed.host.ipv6, port: 7005, rate: rate),
        ]
        for (there, host) in [UplinkBed.machine, UplinkBed.host].pairs {
          #expect(try bed.host.asksTCP(there, 80)?.address == host)
          #expect(try bed.host.asksUDP(there, 80)?.address == host)
          #expect(try bed.machine.asksTCP(host, 81)?.address == there)
          #expect(try bed.machine.asksUDP(host, 81)?.address == there)
          #expect(try bed.host.reaches(there, count: 1) && bed.machine.reaches(host, count: 1))
        }
        let running = transfers.filter { $0.isRunning }.count
        #expect(running == transfers.count, "the transfers were over before the rest")
        for transfer in transfers {
          let end = try transfer.end()
          #expect(end.sent == end.received && end.received.hasPrefix("done \(bytes) "))
        }
      }
    }

    /// As a host's firewall may be: it lets nothing in and nothing through, but for neighbours.
    private static let firewall = """
      table inet closed {
        chain input {
          type filter hook input priority 0; policy drop;
          icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        }
        chain forward { type filter hook forward priority 0; policy drop; }
      }
      """

    @Test("a firewall that drops all, and one that is flushed, change nothing for containers")
    func firewall() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        try bed.host.serveWhoami("81")
        func expectReachable(_ when: String) throws {
          for (there, host) in [UplinkBed.beyond, UplinkBed.host].pairs {
            #expect(try bed.container.asksTCP(there, 80) != nil, "\(when)")
            #expect(try bed.container.asksUDP(there, 80) != nil, "\(when)")
            #expect(try bed.container.reaches(there), "\(when)")
            #expect(try bed.machine.asksTCP(host, 8080) != nil, "\(when)")
            #expect(try bed.machine.asksUDP(host, 8080) != nil, "\(when)")
            #expect(try bed.container.asksTCP(host, 8080) != nil, "\(when), hairpin")
          }
        }
        let held = try bed.machine.hold(UplinkBed.host.ipv4, 8080)
        try bed.host.run("nft", "-f", "-", input: Self.firewall)
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 81, patience: "1") == nil, "that is no firewall")
        try expectReachable("with a firewall")
        try bed.host.run("nft", "flush", "ruleset")
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 81) != nil)
        try expectReachable("after the flush")
        #expect(try held.answer() != nil)
      }
    }

    /// What the kernel has of Martlet's kind, besides links, addresses, routes and rules.
    private func attachments(_ host: Namespace) throws -> String {
      try host.run("nft", "list", "ruleset") + host.run("tc", "qdisc", "show", "dev", UplinkBed.near)
        + host.run("tc", "filter", "show", "dev", UplinkBed.near, "ingress") + host.run("bpftool", "net", "show")
        + host.run("ss", "-H", "-t", "-u", "-l", "-n") + host.run("ss", "-H", "-0", "-n")
    }

    /// By name. What counts by itself is left out.
    private func settings(_ host: Namespace) throws -> [Substring: Substring] {
      let lines = try host.attempt("sysctl", "-a", "--pattern", "^net\\.").output.split(separator: "\n")
      let pairs = lines.filter { !$0.contains("conntrack_count") && !$0.contains("bpf_jit_limit") }.map {
        $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      }
      return Dictionary(pairs.map { ($0[0], $0.count > 1 ? $0[1] : "") }, uniquingKeysWith: { $1 })
    }

    @Test("no rule and no setting of the host is changed, and nothing is left after shutdown --purge")
    func untouched() throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        let host = daemon.namespace
        let machine = try testbed.makeNamespace("out")
        try UplinkBed.makeWire(from: host, to: machine)
        try host.run("nft", "-f", "-", input: Self.firewall)
        let before = try (rules: host.run("nft", "list", "ruleset"), attachments(host), settings(host))
        let configuration = try host.configuration()
        let ports = ["8080:80", "8080:80/udp", "127.0.0.1:9000-9010:9000-9010"]
        let bed = try UplinkBed(daemon, machine: machine, ports: ports)
        try bed.container.serveWhoami("80")
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080) != nil)
        #expect(try bed.container.reaches(UplinkBed.machine.ipv4))
        #expect(try host.run("nft", "list", "ruleset") == before.rules)
        let during = try settings(host)
        for (name, value) in before.2 { #expect(during[name] == value, "\(name)") }
        try daemon.purge()
        #expect(try host.configuration() == configuration)
        #expect(try attachments(host) == before.1)
        #expect(try settings(host) == before.2)
        try host.run("nft", "flush", "ruleset")
        try expectHostAnswers(bed)
      }
    }

    /// On what was a published port, and on what was the port of a mapping: a refusal at once, and a server that is there.
    private func expectHostAnswers(_ bed: UplinkBed) throws {
      for host in [UplinkBed.host.ipv4, UplinkBed.host.ipv6] {
        let place = host.contains(":") ? "[\(host)]" : host
        for port in [8080, 61700] {
          let asking = ["curl", "--silent", "--globoff", "--max-time", "5", "http://\(place):\(port)/"]
          #expect(try bed.machine.start(asking).end().status == 7, "\(place) \(port)")
          let datagram = Script.words("whoami.py") + ["ask", host, "\(port)"]
          #expect(try bed.machine.start(datagram).end().status == 2, "\(place) \(port)/udp")
        }
      }
      try bed.host.serveWhoami("8080", "61700")
      for host in [UplinkBed.host.ipv4, UplinkBed.host.ipv6] {
        for port in [8080, 61700] {
          #expect(try bed.machine.asksTCP(host, port)?.serverPort == port)
          #expect(try bed.machine.asksUDP(host, port)?.serverPort == port)
        }
      }
    }

    @Test("a daemon that is gone leaves no black hole: the host answers on the ports", arguments: [SIGKILL, SIGTERM])
    func noBlackHole(signal: Int32) throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.machine.serveWhoami("80")
        for way in [UplinkBed.host.ipv4, UplinkBed.host.ipv6] {
          #expect(try bed.machine.asksTCP(way, 8080) != nil && bed.machine.asksUDP(way, 8080) != nil)
        }
        let source = "\(bed.endpoint.ipv4):61700"
        #expect(try bed.container.asksUDP(UplinkBed.machine.ipv4, 80, tries: 3, "--from", source)?.port == 61700)
        try bed.daemon.end(by: signal)
        if signal == SIGTERM {
          // Silent for ten seconds, as the daemon may be started again.
          let asking = ["curl", "--silent", "--max-time", "1", "http://\(UplinkBed.host.ipv4):8080/"]
          #expect(try bed.machine.start(asking).end().status == 28)
          try eventually("the host answers", within: .seconds(20)) { try bed.machine.start(asking).end().status == 7 }
        }
        try expectHostAnswers(bed)
      }
    }
  }
}
