import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  /// The plugin by hand, as Podman 5 runs it.
  @Suite("Netavark")
  struct Netavark {
    private static let id = String(repeating: "7", count: 64)

    private struct Setup: Decodable {
      struct Interface: Decodable {
        struct Subnet: Decodable {
          var ipnet: String
          var gateway: String?
        }
        var mac: String
        var subnets: [Subnet]

        enum CodingKeys: String, CodingKey {
          case mac = "mac_address"
          case subnets
        }
      }
      var interfaces: [String: Interface]
    }

    private func run(_ words: String..., input: String = "", on daemon: Daemon) throws -> Program.Outcome {
      let line = try ["env", "MARTLET_SOCKET=\(daemon.socket)", Binaries.path("martlet-netavark")] + words
      return try daemon.namespace.start(line, input: input).end()
    }

    private static let network = #"""
      {"name": "vn1", "id": "\#(id)", "driver": "martlet", "created": "2026-01-01T00:00:00Z", "internal": false,
       "subnets": [{"subnet": "10.94.0.0/24", "gateway": "10.94.0.1"}], "ipv6_enabled": false, "dns_enabled": true,
       "options": {"mtu": "1400"}}
      """#

    private static func container(_ name: String, _ address: String, ports: String = "null") -> String {
      #"""
      {"container_id": "\#(name)", "container_name": "\#(name)", "port_mappings": \#(ports), "network": \#(network),
       "network_options": {"aliases": ["alias-\#(name)"], "interface_name": "eth0", "static_ips": ["\#(address)"]}}
      """#
    }

    @Test("info, create, setup, teardown: containers reach each other and are reached; the network goes with the last")
    func containers() throws {
      try withUplink { bed in
        let daemon = bed.daemon
        #expect(try run("info", on: daemon).output.contains("api_version"))
        let created = try run("create", input: Self.network, on: daemon)
        #expect(created.status == 0 && created.output.contains(Self.id))
        let before = try daemon.namespace.configuration()

        let (first, second) = (try bed.testbed.makeNamespace("n1"), try bed.testbed.makeNamespace("n2"))
        let ports = #"[{"container_port": 80, "host_ip": "", "host_port": 8080, "protocol": "tcp", "range": 2}]"#
        let words = [
          (first, Self.container("c1", "10.94.0.50", ports: ports)), (second, Self.container("c2", "10.94.0.51")),
        ]
        for (namespace, input) in words {
          let outcome = try run("setup", namespace.path, input: input, on: daemon)
          #expect(outcome.status == 0, "\(outcome.output)")
          let setup = try JSONDecoder().decode(Setup.self, from: Data(outcome.output.utf8))
          let interface = try #require(setup.interfaces["eth0"])
          #expect(try interface.mac == namespace.link().address && namespace.link().mtu == 1400)
          #expect(interface.subnets.first?.gateway == "10.94.0.1")
        }
        #expect(try second.answering(["10.94.0.50", "10.94.0.1"]).count == 2)
        try first.serveWhoami("80", "81")
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8081)?.serverPort == 81)

        let again = try run("setup", first.path, input: words[0].1, on: daemon)
        #expect(again.status == 1 && again.output.hasPrefix(#"{"error":"#))
        for (namespace, input) in words {
          for _ in 0..<2 { #expect(try run("teardown", namespace.path, input: input, on: daemon).status == 0) }
          #expect(try namespace.linkNames() == ["lo"])
        }
        #expect(try daemon.ask([Network].self, "network", "ls").map(\.name) == ["lan"])
        #expect(try daemon.namespace.configuration() == before)
        let gone = try run("setup", "/run/netns/no-such", input: words[0].1, on: daemon)
        #expect(gone.status == 1 && gone.output.contains("no-such"))
        #expect(try daemon.namespace.configuration() == before)
      }
    }
  }
}
