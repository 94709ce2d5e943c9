import ControlModel
import FoundationEssentials
import Testing

extension SystemTests {
  @Suite("Containers reach the outside")
  struct ReachingOut {
    private static let megabyte = 1 << 20

    @Test("ping, over both families, on the wire and beyond it")
    func ping() throws {
      try withUplink { bed in
        let places = [
          UplinkBed.machine.ipv4, UplinkBed.machine.ipv6, UplinkBed.beyond.ipv4, UplinkBed.beyond.ipv6,
        ]
        let answering = try bed.container.answering(places)
        #expect(answering == places)
        #expect(try bed.container.reaches(UplinkBed.beyond.ipv4, options: "-s", "1472", "-M", "do"))
        #expect(try bed.container.reaches(UplinkBed.beyond.ipv4, options: "-s", "20000"), "in fragments")
        #expect(try bed.container.reaches(UplinkBed.beyond.ipv6, options: "-s", "20000"), "in fragments")
        #expect(try !bed.container.reaches("192.0.2.77", count: 1), "nobody is there")
      }
    }

    @Test("curl: the server outside sees the external address, of IPv6 the container's own")
    func web() throws {
      try withUplink { bed in
        try bed.machine.serveWhoami("80")
        for place in [UplinkBed.machine.ipv4, UplinkBed.beyond.ipv4] {
          #expect(try bed.container.asksTCP(place, 80)?.address == UplinkBed.host.ipv4)
          #expect(try bed.container.asksUDP(place, 80)?.address == UplinkBed.host.ipv4)
        }
        for place in [UplinkBed.machine.ipv6, UplinkBed.beyond.ipv6] {
          #expect(try bed.container.asksTCP(place, 80)?.address == bed.endpoint.ipv6)
          #expect(try bed.container.asksUDP(place, 80)?.address == bed.endpoint.ipv6)
        }
        let refused = try bed.container.attempt("curl", "--silent", "http://\(UplinkBed.machine.ipv4):81/")
        #expect(refused.status == 7, "a refused connection is so at once")
      }
    }

    @Test("IPv6 is translated where the uplink is told so")
    func translatedIPv6() throws {
      try withUplink(uplink: ["--ipv6-nat"]) { bed in
        try bed.machine.serveWhoami("80")
        try bed.machine.run("ip", "route", "del", UplinkBed.subnet.ipv6)
        #expect(try bed.container.reaches(UplinkBed.beyond.ipv6))
        #expect(try bed.container.asksTCP(UplinkBed.beyond.ipv6, 80)?.address == UplinkBed.host.ipv6)
        #expect(try bed.container.asksUDP(UplinkBed.beyond.ipv6, 80)?.address == UplinkBed.host.ipv6)
      }
    }

    @Test("no frame with an inside source ever leaves", arguments: workerCounts)
    func noInsideSource(workers: Int) throws {
      try withUplink(workers: workers) { bed in
        let capture = try bed.machine.start(
          "tcpdump", "-l", "-n", "-i", UplinkBed.far, "-Q", "in", "src", "net", UplinkBed.subnet.ipv4)
        try eventually("tcpdump listens") { capture.complaintSoFar.contains("listening on") }
        try bed.machine.serveWhoami("80")
        for _ in 0..<3 {
          #expect(try bed.container.asksTCP(UplinkBed.machine.ipv4, 80) != nil)
          #expect(try bed.container.asksUDP(UplinkBed.machine.ipv4, 80) != nil)
        }
        let held = try bed.container.hold(UplinkBed.machine.ipv4, 80)
        #expect(try held.answer() != nil)
        // A connection that nobody knows any more, and what is of no session.
        try bed.daemon.martlet("session", "flush")
        held.program.stop()
        let out = ["--from", "\(bed.endpoint.ipv4):4000", "--to", "\(UplinkBed.machine.ipv4):80", "--flags"]
        for flags in ["ACK", "RST", "FIN,ACK", "SYN,ACK"] {
          try bed.container.run(Script.words("tcppeer.py") + ["craft"] + out + [flags])
        }
        let fragments = ["--order", "reversed", "--omit", "0"]
        try bed.container.run(
          Script.words("fragments.py") + ["udp", "\(bed.endpoint.ipv4):4000", "\(UplinkBed.machine.ipv4):80"]
            + fragments)
        try bed.container.run(
          Script.words("icmp.py") + ["send", bed.endpoint.ipv4, UplinkBed.machine.ipv4, "port-unreachable"]
            + ["--udp", "\(UplinkBed.machine.ipv4):80", "\(bed.endpoint.ipv4):4001"])
        // And what is of another source than the container's own.
        try bed.container.run(
          Script.words("fragments.py") + ["udp", "10.77.0.99:4000", "\(UplinkBed.machine.ipv4):80", "--bytes", "100"])
        #expect(try bed.container.asksTCP(UplinkBed.machine.ipv4, 80) != nil, "all before has been looked at")
        #expect(capture.outputSoFar.isEmpty, "\(capture.outputSoFar)")
      }
    }

    @Test("iperf3, TCP and UDP, out and back", arguments: workerCounts)
    func iperf(workers: Int) throws {
      try withUplink(workers: workers) { bed in
        let udp = ["--udp", "--bitrate", "50M", "--bytes", "2M"]
        for place in [UplinkBed.beyond.ipv4, UplinkBed.beyond.ipv6] {
          // Bound, as it answers datagrams from whatever address the route says otherwise.
          let server = try bed.machine.start("iperf3", "--server", "--bind", place)
          try bed.machine.waitForSocket("tcp", port: 5201)
          for options in [["--bytes", "50M"], ["--bytes", "50M", "--reverse"], udp, udp + ["--reverse"]] {
            let report = try Report(bed.container.run(["iperf3", "--json", "--client", place] + options))
            #expect(report.bytes > Self.megabyte, "\(place) \(options)")
            #expect(report.lostPercent < 5, "\(place) \(options)")
          }
          server.stop()
        }
      }
    }

    /// Of iperf3's JSON.
    private struct Report {
      var bytes: Int
      var lostPercent: Double

      init(_ text: String) throws {
        struct Document: Decodable {
          struct End: Decodable {
            struct Sum: Decodable {
              var bytes: Int
              var lostPercent: Double?
            }
            var sumReceived: Sum?
            var sum: Sum?
          }
          var end: End
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let end = try decoder.decode(Document.self, from: Data(text.utf8)).end
        bytes = end.sumReceived?.bytes ?? end.sum?.bytes ?? 0
        lostPercent = end.sum?.lostPercent ?? 0
      }
    }

    @Test("50 MB each way arrive unchanged, over both families", arguments: workerCounts)
    func transfers(workers: Int) throws {
      try withUplink(workers: workers, ports: ["7000:7000"]) { bed in
        let bytes = 50 * Self.megabyte
        for (there, back) in [UplinkBed.beyond, UplinkBed.host].pairs {
          let out = try Transfer(bytes: bytes, from: bed.container, to: bed.machine, at: there).end()
          #expect(out.sent == out.received && out.received.hasPrefix("done \(bytes) "), "out, \(there)")
          let home = try Transfer(bytes: bytes, from: bed.machine, to: bed.container, at: back).end()
          #expect(home.sent == home.received && home.received.hasPrefix("done \(bytes) "), "in, \(back)")
        }
      }
    }

    @Test("transfers are whole where the wire's device segments nothing and sums nothing")
    func transfersWithoutOffloads() throws {
      try withUplink(ports: ["7000:7000"]) { bed in
        for (place, device) in [(bed.host, UplinkBed.near), (bed.machine, UplinkBed.far)] {
          try place.run(
            ["ethtool", "-K", device] + ["tx", "tso", "gso", "gro", "rx"].flatMap { [$0, "off"] })
        }
        let bytes = 20 * Self.megabyte
        for (there, back) in [UplinkBed.beyond, UplinkBed.host].pairs {
          let out = try Transfer(bytes: bytes, from: bed.container, to: bed.machine, at: there).end()
          #expect(out.sent == out.received && out.received.hasPrefix("done \(bytes) "), "out, \(there)")
          let home = try Transfer(bytes: bytes, from: bed.machine, to: bed.container, at: back).end()
          #expect(home.sent == home.received && home.received.hasPrefix("done \(bytes) "), "in, \(back)")
        }
      }
    }

    @Test("dig asks a name server outside, over UDP and TCP")
    func names() throws {
      try withUplink { bed in
        try bed.machine.serve("dnsserver.py", "bird.example", "198.51.100.77")
        for place in [UplinkBed.beyond.ipv4, UplinkBed.beyond.ipv6] {
          for options in [[], ["+tcp"]] {
            let answer = try bed.container.run(["dig", "+short", "+tries=3", "@\(place)", "bird.example"] + options)
            #expect(answer == "198.51.100.77\n", "\(place) \(options)")
          }
        }
      }
    }

    @Test("traceroute: the gateway is the first hop, by ICMP, UDP and TCP")
    func traceroute() throws {
      try withUplink { bed in
        try bed.machine.serveWhoami("80")
        for (place, gateway) in [UplinkBed.beyond, UplinkBed.gateway].pairs {
          for options in [["-I"], ["-U", "-p", "33434"], ["-T", "-p", "80"]] {
            let text = try bed.container.run(["traceroute", "-n", "-q", "1", "-w", "2", "-m", "4"] + options + [place])
            let hops = text.split(separator: "\n").dropFirst().map { $0.split(separator: " ")[1] }
            #expect(hops.map(String.init) == [gateway, place], "\(options): \(text)")
          }
        }
      }
    }
  }
}

extension [(ipv4: String, ipv6: String)] {
  /// For each family: what the first has of it, and the second.
  var pairs: [(String, String)] { [(self[0].ipv4, self[1].ipv4), (self[0].ipv6, self[1].ipv6)] }
}
