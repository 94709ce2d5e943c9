import ControlModel
import FoundationEssentials
import Testing

extension SystemTests {
  @Suite("How translation behaves")
  struct Translating {
    // MARK: Mappings and filters

    /// What stunprobe.py finds.
    private struct Behaviour: Decodable {
      var mapping: String
      var filtering: String
      var hairpinning: Bool
      var hairpinSource: String?
      var parityKept: Bool
    }

    private static let independent = "endpoint-independent"
    private static let byAddress = "address-dependent"
    private static let byPort = "address-and-port-dependent"

    private func probe(_ bed: UplinkBed, _ first: String, _ second: String) throws -> Behaviour {
      let server = try bed.machine.serve("stunserver.py", first, second)
      defer { server.stop() }
      return try objects(Behaviour.self, of: bed.container.run(Script.words("stunprobe.py") + [first]))[0]
    }

    @Test("by default mappings are endpoint-independent, and filters by address and port")
    func defaults() throws {
      try withUplink(uplink: ["--ipv6-nat"]) { bed in
        for (first, second) in [UplinkBed.machine, UplinkBed.second].pairs {
          let found = try probe(bed, first, second)
          #expect(found.mapping == Self.independent && found.filtering == Self.byPort && found.parityKept)
          #expect(found.hairpinning && found.hairpinSource == "external")
        }
      }
    }

    @Test("mapping and filter are what `session translation` says", arguments: [independent, byAddress])
    func filters(filtering: String) throws {
      try withUplink { bed in
        try bed.daemon.martlet("session", "translation", "--filtering", filtering)
        let found = try probe(bed, UplinkBed.machine.ipv4, UplinkBed.second.ipv4)
        #expect(found.mapping == Self.independent && found.filtering == filtering && found.parityKept)
      }
    }

    @Test("mappings by address and port")
    func mappings() throws {
      try withUplink { bed in
        try bed.daemon.martlet("session", "translation", "--mapping", Self.byPort)
        let found = try probe(bed, UplinkBed.machine.ipv4, UplinkBed.second.ipv4)
        #expect(found.mapping == Self.byPort && found.filtering == Self.byPort)
      }
    }

    // MARK: Fragments

    /// What fragments.py says of a datagram that came.
    private struct Datagram: Decodable {
      var bytes: Int
      var number: Int?
    }

    /// The numbers of those of three datagrams that arrive; then one is sent that is whole, and says that no more will come.
    private func arrived(
      from sender: Namespace, _ source: String, to receiver: Namespace, _ target: String, _ order: String,
      identification: Int, expecting count: Int
    ) throws -> [Int] {
      let words = ["receive", "7000", "--seconds", "20", "--count", "\(count + 1)"]
      let receiving = try receiver.serve("fragments.py", words)
      let sending = Script.words("fragments.py") + ["udp", source, target, "--identification"]
      try sender.run(sending + ["\(identification)", "--count", "3", "--order", order])
      try sender.run(sending + ["\(identification + 9)", "--bytes", "100"])
      let all = try objects(Datagram.self, of: receiving.succeed())
      #expect(all.last?.bytes == 100, "\(order) to \(target)")
      #expect(all.dropLast().allSatisfy { $0.bytes == 4000 }, "\(order) to \(target)")
      return all.dropLast().map { $0.number ?? -1 }.sorted()
    }

    private func fragments(_ bed: UplinkBed, _ order: String, identification: Int, arrive: Bool) throws {
      func end(_ address: String, _ port: Int) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
      }
      let (container, expected) = ((bed.endpoint.ipv4, bed.endpoint.ipv6), arrive ? [0, 1, 2] : [])
      for (inside, host) in [container, UplinkBed.host].pairs {
        let outside = host.contains(":") ? UplinkBed.machine.ipv6 : UplinkBed.machine.ipv4
        let out = try arrived(
          from: bed.container, end(inside, 1234), to: bed.machine, end(outside, 7000), order,
          identification: identification, expecting: expected.count)
        #expect(out == expected, "out, \(order), \(inside)")
        let home = try arrived(
          from: bed.machine, end(outside, 1234), to: bed.container, end(host, 7000), order,
          identification: identification, expecting: expected.count)
        #expect(home == expected, "in, \(order), \(host)")
      }
    }

    @Test(
      "fragments arrive in any order, out and in", arguments: ["in-order", "reversed", "interleaved", "tiny-first"])
    func fragments(order: String) throws {
      try withUplink(ports: ["7000:7000/udp"]) { try fragments($0, order, identification: 100, arrive: true) }
    }

    @Test("fragments that overlap do not arrive")
    func overlapping() throws {
      try withUplink(ports: ["7000:7000/udp"]) { try fragments($0, "overlapping", identification: 200, arrive: false) }
    }

    @Test("echo requests in fragments are answered")
    func echoFragments() throws {
      struct Replies: Decodable { var replies: [Int] }
      try withUplink { bed in
        let container = (bed.endpoint.ipv4, bed.endpoint.ipv6)
        for (inside, place) in [container, UplinkBed.machine].pairs {
          let words = ["icmp", inside, place, "--order", "reversed", "--count", "2", "--wait", "10"]
          let found = try objects(Replies.self, of: bed.container.run(Script.words("fragments.py") + words))
          #expect(found.map(\.replies) == [[0, 1]], "\(place)")
        }
      }
    }

    // MARK: ICMP errors

    /// What icmp.py says of an error that came.
    private struct ErrorMessage: Decodable {
      struct Quote: Decodable {
        var source: String
        var destination: String
        var sourcePort: Int
        var destinationPort: Int
        var headerChecksumRight: Bool?
        var checksumRight: Bool?
      }
      var from: String
      /// nil where the kernel does not tell: of IPv6.
      var to: String?
      var mtu: Int?
      var checksumRight: Bool?
      var quote: Quote
    }

    private func listen(_ namespace: Namespace, ipv6: Bool) throws -> Program {
      try namespace.serve("icmp.py", ["listen", "--count", "1", "--seconds", "20"] + (ipv6 ? ["--ipv6"] : []))
    }

    @Test("port unreachable reaches the program that asked, out and in, with what it quotes translated")
    func unreachable() throws {
      try withUplink(ports: ["8080:80/udp"]) { bed in
        let asking = Script.words("whoami.py") + ["ask"]
        let container = (bed.endpoint.ipv4, bed.endpoint.ipv6)
        for (index, (inside, host)) in [container, UplinkBed.host].pairs.enumerated() {
          let outside = index == 0 ? UplinkBed.machine.ipv4 : UplinkBed.machine.ipv6
          for (client, place, port) in [(bed.container, outside, 9), (bed.machine, host, 8080)] {
            let listener = try listen(client, ipv6: index == 1)
            #expect(try client.start(asking + [place, "\(port)"]).end().status == 2, "\(place) \(port)")
            let found = try objects(ErrorMessage.self, of: listener.succeed())[0]
            let own = place == outside ? inside : outside
            #expect(found.from == place && found.to ?? own == own)
            #expect(found.quote.source == own && found.quote.destination == place)
            #expect(found.quote.destinationPort == port && found.checksumRight != false)
            #expect(found.quote.headerChecksumRight != false)
          }
        }
      }
    }

    @Test("an error with a wrong checksum, or about no session, does not pass; a short quote does")
    func forgedErrors() throws {
      try withUplink { bed in
        try bed.machine.serveWhoami("80")
        let from = "\(bed.endpoint.ipv4):61500"
        #expect(try bed.container.asksUDP(UplinkBed.machine.ipv4, 80, tries: 3, "--from", from) != nil)
        let listener = try listen(bed.container, ipv6: false)
        let sending = Script.words("icmp.py") + ["send", UplinkBed.second.ipv4, UplinkBed.host.ipv4]
        let server = "\(UplinkBed.machine.ipv4):80"
        let (ours, others) = ("\(UplinkBed.host.ipv4):61500", "\(UplinkBed.host.ipv4):61501")
        try bed.machine.run(sending + ["host-unreachable", "--udp", ours, server, "--bad-checksum"])
        try bed.machine.run(sending + ["host-unreachable", "--udp", others, server])
        try bed.machine.run(
          sending + ["fragmentation-needed", "--udp", ours, server, "--mtu", "1300", "--truncate", "28"])
        let found = try objects(ErrorMessage.self, of: listener.succeed())[0]
        #expect(found.mtu == 1300 && found.from == UplinkBed.second.ipv4 && found.to == bed.endpoint.ipv4)
        #expect(found.quote.source == bed.endpoint.ipv4 && found.quote.sourcePort == 61500)
      }
    }

    // MARK: Sizes

    @Test("TCP goes on where a router outside has a smaller MTU")
    func pathMTU() throws {
      try withUplink { bed in
        let server = try bed.testbed.makeNamespace("server")
        try bed.machine.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for end in [bed.machine, server] { try end.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0") }
        // The server's own MTU says nothing of the router's.
        try bed.machine.batch(
          "link add down0 type veth peer name eth0 netns \(server.name)", "address add 198.51.100.1/24 dev down0",
          "address add 2001:db8:5::1/64 dev down0 nodad", "link set down0 mtu 1300 up")
        try server.batch(
          "address add 198.51.100.2/24 dev eth0", "address add 2001:db8:5::2/64 dev eth0 nodad", "link set eth0 up",
          "route add default via 198.51.100.1", "route add default via 2001:db8:5::1")
        for place in ["198.51.100.2", "2001:db8:5::2"] {
          let end = try Transfer(bytes: 5 << 20, from: bed.container, to: server, at: place).end()
          #expect(end.sent == end.received && end.received.hasPrefix("done \(5 << 20) "), "\(place)")
          #expect(try bed.container.run("ip", "route", "get", place).contains("mtu 1300"), "\(place)")
        }
      }
    }

    @Test("an uplink of a smaller MTU: segments are clamped to it, and what may not be cut is told")
    func uplinkMTU() throws {
      try withUplink(ports: ["7000:7000"]) { bed in
        try bed.host.run("ip", "link", "set", UplinkBed.near, "mtu", "1400")
        try eventually("the MTU is known") { try bed.uplink().mtu == 1400 }
        let syn = "tcp[tcpflags] & tcp-syn != 0"
        let captures = try [bed.machine, bed.container].map { end in
          let capture = try end.start("tcpdump", "-l", "-n", "-i", "eth0", "-Q", "in", syn)
          try eventually("tcpdump listens") { capture.complaintSoFar.contains("listening on") }
          return capture
        }
        let bytes = 5 << 20
        let out = try Transfer(bytes: bytes, from: bed.container, to: bed.machine, at: UplinkBed.machine.ipv4).end()
        #expect(out.sent == out.received)
        let home = try Transfer(bytes: bytes, from: bed.machine, to: bed.container, at: UplinkBed.host.ipv4).end()
        #expect(home.sent == home.received)
        for capture in captures {
          try eventually("both have seen a SYN and its answer") {
            capture.outputSoFar.split(separator: "\n").count >= 2
          }
          for line in capture.outputSoFar.split(separator: "\n") { #expect(line.contains("mss 1360,"), "\(line)") }
        }
        for (place, gateway) in [UplinkBed.machine, UplinkBed.gateway].pairs {
          let told = try bed.container.attempt("ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", "1430", place)
            .output
          #expect(told.contains("mtu = 1400") || told.contains("mtu=1400"), "\(told)")
          #expect(told.contains("rom \(gateway)"), "\(told)")
        }
      }
    }

    // MARK: TCP

    /// What tcppeer.py says of a connection.
    private struct Connection: Decodable {
      var received: Int
      var ended: String
    }

    private func talk(_ bed: UplinkBed, inward: Bool, serving: [String] = [], connecting: [String] = []) throws
      -> (server: Connection, client: Connection)
    {
      let (client, server) = inward ? (bed.machine, bed.container) : (bed.container, bed.machine)
      let place = inward ? UplinkBed.host.ipv4 : UplinkBed.machine.ipv4
      let listening = try server.serve("tcppeer.py", ["serve", "7000"] + serving)
      let said = try client.run(Script.words("tcppeer.py") + ["connect", place, "7000"] + connecting)
      return try (
        objects(Connection.self, of: listening.succeed())[0], objects(Connection.self, of: said)[0]
      )
    }

    @Test("half-close and reset pass, from either side", arguments: [false, true])
    func ends(inward: Bool) throws {
      try withUplink(ports: ["7000:7000"]) { bed in
        let half = try talk(bed, inward: inward, serving: ["--reply", "100000"])
        #expect(half.server.received == 64 && half.server.ended == "fin")
        #expect(half.client.received == 100_064 && half.client.ended == "fin")
        let aborted = try talk(bed, inward: inward, connecting: ["--close", "reset"])
        #expect(aborted.server.ended == "reset" && aborted.client.ended == "aborted")
        let aborting = try talk(bed, inward: inward, serving: ["--abort-after", "1"])
        #expect(aborting.server.ended == "aborted" && aborting.client.ended == "reset")
      }
    }

    @Test("both sides may open a connection at once")
    func simultaneousOpen() throws {
      struct Peer: Decodable {
        var flags: [[String]]
        var opened: Bool
      }
      try withUplink { bed in
        // Routed to the machine, as all is, and no address of its own.
        let place = "203.0.113.5"
        let peer = try bed.machine.serve("tcppeer.py", "simultaneous", UplinkBed.far, "\(place):80")
        let connecting = ["connect", place, "80", "--send", "0", "--close", "reset"]
        let said = try bed.container.run(Script.words("tcppeer.py") + connecting)
        #expect(try objects(Connection.self, of: said)[0].received == "from the other side\n".utf8.count)
        let found = try objects(Peer.self, of: peer.succeed())[0]
        // SYN-SENT to SYN-RECEIVED to ESTABLISHED.
        #expect(found.opened && Array(found.flags.prefix(3)) == [["SYN"], ["ACK", "SYN"], ["ACK"]])
      }
    }

    @Test("a forged segment ends a connection only where it is in the window")
    func forgedSegments() throws {
      try withUplink { bed in
        try bed.machine.serveWhoami("80")
        let (port, server) = (61600, "\(UplinkBed.machine.ipv4):80")
        let forging = Script.words("tcppeer.py") + ["craft", "--from", server, "--to"]
        let held = try bed.container.hold(UplinkBed.machine.ipv4, 80, "--from", "\(bed.endpoint.ipv4):\(port)")
        func forge(_ options: String...) throws {
          let words = ["\(UplinkBed.host.ipv4):\(port)", "--watch", UplinkBed.far, "--wait", "20"]
          let forger = try bed.machine.start(forging + words + options)
          try eventually("it watches") { forger.complaintSoFar.hasPrefix("ready") }
          #expect(try held.answer()?.port == port)
          try forger.succeed()
        }
        try forge("--flags", "RST", "--offset", "1000000000")
        try forge("--flags", "RST,ACK", "--bad-checksum")
        try forge("--flags", "SYN")
        try forge("--flags", "FIN,ACK", "--offset", "1000000000")
        let states = try bed.sessions("protocol=tcp").map(\.state)
        #expect(states == ["established"])
        try forge("--flags", "RST")
        #expect(try held.ask() == "reset")
        #expect(try bed.sessions("protocol=tcp", "state=established").isEmpty)
      }
    }
  }
}
