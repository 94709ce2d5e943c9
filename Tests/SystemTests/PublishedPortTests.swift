import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("Published ports")
  struct PublishedPorts {
    /// How a client asks.
    private enum Way: String, CaseIterable {
      case tcp, udp

      /// What the server answers to `client`; nil: it is not reached.
      func callAsFunction(_ client: Namespace, _ address: String, _ port: Int) throws -> Answer? {
        self == .tcp ? try client.asksTCP(address, port) : try client.asksUDP(address, port)
      }

      /// With little patience, as nothing is expected.
      func isRefused(_ client: Namespace, _ address: String, _ port: Int) throws -> Bool {
        let answer =
          self == .tcp
          ? try client.asksTCP(address, port, patience: "1") : try client.asksUDP(address, port, tries: 1)
        return answer == nil
      }
    }

    @Test("from the machine outside: the container sees the client's address and port", arguments: workerCounts)
    func fromOutside(workers: Int) throws {
      let ports = ["8080:80", "8080:80/udp", "9001-9003:9001-9003", "9001-9003:9001-9003/udp"]
      try withUplink(workers: workers, ports: ports) { bed in
        try bed.container.serveWhoami("80", "9001-9003")
        for (host, client) in [UplinkBed.host, UplinkBed.machine].pairs {
          for ask in Way.allCases {
            for (port, inside) in [(8080, 80), (9001, 9001), (9002, 9002), (9003, 9003)] {
              let answer = try ask(bed.machine, host, port)
              #expect(answer?.address == client && answer?.serverPort == inside, "\(host) \(port)/\(ask)")
            }
          }
          let port = "\(client.contains(":") ? "[\(client)]" : client):4321"
          // Another for each family: the kernel keeps them in one table.
          let tcpPort = host.contains(":") ? 4322 : 4323
          #expect(try bed.machine.asksUDP(host, 8080, tries: 3, "--from", port)?.port == 4321)
          #expect(try bed.machine.asksTCP(host, 8080, "--local-port", "\(tcpPort)")?.port == tcpPort)
        }
      }
    }

    @Test("from the host itself, by each of its addresses")
    func fromHost() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        let places = [
          "127.0.0.1", "::1", UplinkBed.host.ipv4, UplinkBed.host.ipv6, UplinkBed.gateway.ipv4, UplinkBed.gateway.ipv6,
        ]
        for place in places {
          for ask in Way.allCases {
            #expect(try ask(bed.host, place, 8080)?.serverPort == 80, "\(place) \(ask)")
          }
        }
      }
    }

    @Test("from another container, another network, and the container itself: hairpin, with the external address")
    func hairpin() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        try bed.daemon.martlet("network", "create", "far", "--subnet", "10.78.0.0/24", "--subnet", "fd78::/64")
        let clients = [
          bed.container, try bed.container("b"), try bed.container("c", on: "far"),
        ]
        for client in clients {
          for ask in Way.allCases {
            let answer = try ask(client, UplinkBed.host.ipv4, 8080)
            #expect(answer?.address == UplinkBed.host.ipv4 && answer?.serverPort == 80, "\(client.name) \(ask)")
            #expect(try ask(client, UplinkBed.host.ipv6, 8080)?.serverPort == 80, "\(client.name) \(ask), IPv6")
          }
        }
      }
    }

    @Test("from an interface of the host that is not the uplink")
    func fromOtherInterface() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        let other = try bed.testbed.makeNamespace("other")
        try bed.host.batch(
          "link add side0 type veth peer name eth0 netns \(other.name)", "address add 198.51.100.1/24 dev side0",
          "link set side0 up")
        try other.batch("address add 198.51.100.2/24 dev eth0", "link set eth0 up")
        for ask in Way.allCases { #expect(try ask(other, "198.51.100.1", 8080)?.serverPort == 80, "\(ask)") }
      }
    }

    @Test("a port is chosen where none is named, and one address of the host where one is")
    func chosen() throws {
      try withUplink { bed in
        try bed.host.run("ip", "addr", "add", "192.0.2.2/24", "dev", UplinkBed.near)
        try eventually("the second address is external") { try bed.uplink().addresses.contains("192.0.2.2") }
        try bed.container.serveWhoami("80", "81")
        let published = try bed.daemon.answer([Publication].self, ["publish", bed.endpoint.id, "80", "0:81/udp"])
        for one in published.map(\.published) where one.hostIP == "0.0.0.0" {
          #expect(one.hostPort > 0)
          let ask = Way(rawValue: one.protocol)!
          #expect(try ask(bed.machine, UplinkBed.host.ipv4, one.hostPort)?.serverPort == one.port)
        }
        #expect(Set(published.map(\.published.port)) == [80, 81])
        try bed.publish("192.0.2.2:8088:80", "192.0.2.2:8088:80/udp")
        for ask in Way.allCases {
          #expect(try ask(bed.machine, "192.0.2.2", 8088)?.serverPort == 80, "\(ask)")
          #expect(try ask.isRefused(bed.machine, UplinkBed.host.ipv4, 8088), "\(ask)")
          #expect(try ask(bed.host, "192.0.2.2", 8088)?.serverPort == 80, "\(ask), from the host")
          #expect(try ask.isRefused(bed.host, "127.0.0.1", 8088), "\(ask), from the host")
        }
      }
    }

    @Test("what is not published is not reachable, not by the container's own address either")
    func unpublished() throws {
      try withUplink(ports: ["8080:80"]) { bed in
        try bed.container.serveWhoami("80", "81", "8080", "8081")
        try bed.machine.run("ip", "route", "add", UplinkBed.subnet.ipv4, "via", UplinkBed.host.ipv4)
        for (host, inside) in [UplinkBed.host, (bed.endpoint.ipv4, bed.endpoint.ipv6)].pairs {
          #expect(try bed.machine.asksTCP(host, 8080) != nil)
          for ask in Way.allCases {
            for port in [80, 81, 8081] {
              #expect(try ask.isRefused(bed.machine, host, port), "\(host) \(port)/\(ask)")
            }
            for port in [81, 8081] {
              #expect(try ask.isRefused(bed.machine, inside, port), "\(inside) \(port)/\(ask)")
            }
          }
        }
        // The host says so at once: no black hole.
        #expect(try bed.machine.attempt("curl", "--silent", "http://\(UplinkBed.host.ipv4):8081/").status == 7)
      }
    }

    @Test("what is published on 127.0.0.1 is the host's alone, whatever the wire forges and route_localnet says")
    func loopback() throws {
      try withUplink(ports: ["127.0.0.1:8080:80", "127.0.0.1:8080:80/udp", "[::1]:8080:80"]) { bed in
        try bed.container.serveWhoami("80")
        for ask in Way.allCases { #expect(try ask(bed.host, "127.0.0.1", 8080)?.serverPort == 80, "\(ask)") }
        #expect(try bed.host.asksTCP("::1", 8080)?.serverPort == 80)
        for ask in Way.allCases { #expect(try ask.isRefused(bed.machine, UplinkBed.host.ipv4, 8080), "\(ask)") }

        // The machine sends what is for 127.0.0.1 to the host, which has been told to take such frames.
        for place in [bed.host, bed.machine] { try place.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1") }
        try bed.machine.batch(
          "address del 127.0.0.1/8 dev lo", "route add 127.0.0.1/32 via \(UplinkBed.host.ipv4) src 192.0.2.9")
        try bed.host.serve("whoami.py", "serve", "8090", "--address", "127.0.0.1")
        for ask in Way.allCases {
          #expect(try ask(bed.machine, "127.0.0.1", 8090) != nil, "the forgery does not work, \(ask)")
        }
        for ask in Way.allCases { #expect(try ask.isRefused(bed.machine, "127.0.0.1", 8080), "\(ask)") }
      }
    }

    @Test("a port that a program of the host has is refused in words, and Martlet's are refused to programs")
    func conflicts() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.host.serveWhoami("9000")
        for ask in Way.allCases {
          let outcome = try bed.daemon.attempt(["publish", bed.endpoint.id, "9000:80/\(ask)"])
          #expect(outcome.status == 1)
          #expect(outcome.complaint.contains("port 9000/\(ask) is already in use by"), "\(outcome.complaint)")
          #expect(outcome.complaint.split(separator: "\n").count == 1)
        }
        let other = try bed.container("b")
        let outcome = try bed.daemon.attempt(["network", "connect", "lan", other.name, "-p", "8080:80"])
        #expect(outcome.status == 1)
        let again = try bed.daemon.endpoint(of: other, on: "lan").id
        let taken = try bed.daemon.attempt(["publish", again, "8080:80"])
        #expect(
          taken.status == 1 && taken.complaint.contains("port 8080/tcp is already in use by"), "\(taken.complaint)")
        for address in ["::", "0.0.0.0", UplinkBed.host.ipv4, "127.0.0.1", "::1"] {
          let words = Script.words("whoami.py") + ["serve", "8080", "--address", address]
          let program = try bed.host.start(words).end()
          #expect(program.status == 1 && program.complaint.contains("Address already in use"), "\(address)")
        }
      }
    }

    @Test("withdrawn, a port's sessions end at once, UDP too; moved, it leads to the new place at once")
    func withdrawn() throws {
      try withUplink(ports: ["8080:80", "8080:80/udp"]) { bed in
        try bed.container.serveWhoami("80")
        let other = try bed.container("b")
        try other.serveWhoami("81")
        let far = try [
          bed.machine.hold(UplinkBed.host.ipv4, 8080, "--seconds", "1"),
          bed.machine.hold(UplinkBed.host.ipv4, 8080, "--seconds", "1", "--udp"),
          bed.machine.hold(UplinkBed.host.ipv6, 8080, "--seconds", "1", "--udp"),
        ]
        let near = try [
          bed.host.hold("127.0.0.1", 8080, "--seconds", "1"),
          bed.host.hold("127.0.0.1", 8080, "--seconds", "1", "--udp"),
        ]
        for held in far + near { #expect(try held.answer()?.serverPort == 80) }
        try bed.unpublish("8080:80", "8080:80/udp")
        #expect(try bed.sessions().isEmpty)
        for held in far + near { #expect(try ["timeout", "reset", "refused", "closed"].contains(held.ask())) }
        try bed.daemon.command(["publish", bed.daemon.endpoint(of: other, on: "lan").id, "8080:81", "8080:81/udp"])
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 81)
        for held in far[1...] { #expect(try held.answer()?.serverPort == 81) }
        #expect(try bed.host.asksUDP("127.0.0.1", 8080)?.serverPort == 81)
      }
    }

    @Test("10,000 ports in one range: each of a sample works")
    func manyPorts() throws {
      try withUplink { bed in
        let sample = [20000, 20001, 24321, 29998, 29999]
        try bed.container.serveWhoami("20000-20001", "24321", "29998-29999")
        // Of one family: a descriptor for each port of each is more than some machines allow.
        let range = "0.0.0.0:20000-29999:20000-29999"
        let memory = try bed.daemon.residentKilobytes
        let clock = ContinuousClock()
        let publishing = try clock.measure { try bed.publish(range) }
        print("10,000 ports: \(publishing), \(try bed.daemon.residentKilobytes - memory) kB more")
        for port in sample {
          #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, port)?.serverPort == port)
          #expect(try bed.host.asksTCP("127.0.0.1", port)?.serverPort == port)
        }
        let withdrawing = try clock.measure { try bed.unpublish(range) }
        print("10,000 ports withdrawn: \(withdrawing)")
        for port in sample {
          #expect(try bed.machine.attempt("curl", "--silent", "http://\(UplinkBed.host.ipv4):\(port)/").status == 7)
        }
      }
    }
  }
}
