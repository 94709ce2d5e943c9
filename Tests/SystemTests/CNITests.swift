import ControlModel
import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  @Suite("CNI")
  struct CNI {
    static let versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

    @Test("every version: ADD, CHECK, DEL with the namespace gone, and DEL again", arguments: versions)
    func everyVersion(version: String) throws {
      try withRuntime { runtime in
        let testbed = runtime.daemon.namespace.testbed
        let configuration = runtime.configuration(version, #""subnets": ["10.71.0.0/24", "fd71::/64"], "mtu": 1400"#)
        let probe = try runtime.succeed("VERSION", configuration, in: nil)
        #expect(probe.answer?.supportedVersions == Self.versions && probe.answer?.cniVersion == version)

        let containers = try [testbed.makeNamespace("a"), testbed.makeNamespace("b")]
        var results: [CNIRuntime.Outcome] = []
        for container in containers {
          results.append(try runtime.succeed("ADD", configuration, container.name, in: container))
        }
        let answer = try #require(results[0].answer)
        #expect(answer.cniVersion == version && answer.ips?.map(\.address) == ["10.71.0.2/24", "fd71::2/64"])
        #expect(answer.ips?.map(\.gateway) == ["10.71.0.1", "fd71::1"] && answer.ips?.map(\.interface) == [0, 0])
        #expect(answer.ips?.map(\.version) == (version < "1" ? ["4", "6"] : [nil, nil]))
        #expect(answer.routes?.map(\.dst) == ["0.0.0.0/0", "::/0"])
        let link = try containers[0].link()
        let interface = try #require(answer.interfaces?.first)
        #expect(interface.name == "eth0" && interface.mac == link.address && interface.sandbox == containers[0].path)
        #expect(link.mtu == 1400 && interface.mtu == (version >= "1.1" ? 1400 : nil))
        // The host, and the other container.
        #expect(try containers[1].answering(["10.71.0.1", "fd71::1", "10.71.0.2", "fd71::2"]).count == 4)

        let check = try runtime.call(
          "CHECK", CNIRuntime.with(results[0], configuration), containers[0].name, in: containers[0])
        if version >= "0.4" {
          #expect(check.status == 0 && check.text.isEmpty, "\(check.text)")
        } else {
          #expect(check.answer?.code == 1)
        }
        for _ in 0..<2 { try runtime.succeed("DEL", configuration, containers[0].name, in: containers[0]) }
        #expect(try containers[0].linkNames() == ["lo"])
        try containers[1].remove()
        for _ in 0..<2 { try runtime.succeed("DEL", configuration, containers[1].name, in: nil) }
        #expect(try runtime.daemon.network("lan").endpoints.isEmpty, "the network stays")
        #expect(try runtime.daemon.ask([Sandbox].self, "sandbox", "ls").isEmpty)
      }
    }

    @Test("ADD on a taken interface name, ADD twice, and on what is no namespace: refused, and nothing is left")
    func refusals() throws {
      try withRuntime { runtime in
        let (host, testbed) = (runtime.daemon.namespace, runtime.daemon.namespace.testbed)
        let (taken, fresh) = (try testbed.makeNamespace("taken"), try testbed.makeNamespace("fresh"))
        try taken.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
        let configuration = runtime.configuration("1.0.0")
        try runtime.succeed("ADD", configuration, "first", in: fresh)
        let before = try host.configuration() + taken.configuration() + fresh.configuration()
        func refused(_ container: String, _ namespace: Namespace, _ configuration: String) throws -> CNIRuntime.Answer {
          let outcome = try runtime.call("ADD", configuration, container, in: namespace)
          #expect(outcome.status == 1)
          return try #require(outcome.answer, "\(outcome.text)")
        }
        let name = try refused("a", taken, configuration)
        #expect(name.code == 100 && name.msg?.contains("eth0") == true)
        #expect(try refused("first", fresh, configuration).code == 100)
        #expect(try refused("a", testbed.namespace("gone"), configuration).code == 3)
        #expect(try refused("a", host, configuration).code == 8)
        let other = runtime.configuration("1.0.0", #""subnet": "10.72.0.0/24""#)
        #expect(try refused("a", taken, other).code == 7)
        let port = runtime.configuration(
          "1.0.0", #""runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "sctp"}]}"#)
        let sctp = try refused("a", testbed.makeNamespace("free"), port)
        #expect(sctp.msg?.contains("sctp") == true)
        #expect(try host.configuration() + taken.configuration() + fresh.configuration() == before)
        #expect(try runtime.daemon.ask([Endpoint].self, "endpoint", "ls").count == 1)
        #expect(try runtime.daemon.ask([Sandbox].self, "sandbox", "ls").count == 1)
      }
    }

    @Test("containers that come at once make one network, and go at once")
    func crowd() throws {
      try withRuntime { runtime in
        let testbed = runtime.daemon.namespace.testbed
        let configuration = runtime.configuration("1.1.0")
        let containers = try (0..<8).map { try testbed.makeNamespace("c\($0)") }
        func all(_ command: String) throws -> [CNIRuntime.Outcome] {
          try containers.map { try runtime.start(command, configuration, $0.name, in: $0.path) }
            .map { CNIRuntime.outcome(try $0.end()) }
        }
        let added = try all("ADD")
        #expect(added.map(\.status) == Array(repeating: 0, count: 8), "\(added.map(\.text))")
        #expect(Set(added.compactMap { $0.answer?.ips?.first?.address }).count == 8)
        #expect(try runtime.daemon.ask([Network].self, "network", "ls").map(\.name) == ["lan"])
        #expect(try all("DEL").map(\.status) == Array(repeating: 0, count: 8))
        #expect(try runtime.daemon.network("lan").endpoints.isEmpty)
      }
    }

    @Test("CHECK says what is amiss")
    func check() throws {
      try withRuntime { runtime in
        let container = try runtime.daemon.namespace.testbed.makeNamespace("a")
        var configuration = runtime.configuration("1.1.0")
        configuration = CNIRuntime.with(try runtime.succeed("ADD", configuration, in: container), configuration)
        func amiss(_ break: [String], _ mend: [String], _ word: String) throws {
          try runtime.succeed("CHECK", configuration, in: container)
          try container.run(`break`)
          let outcome = try runtime.call("CHECK", configuration, in: container)
          #expect(outcome.answer?.code == 103 && outcome.answer?.msg?.contains(word) == true, "\(outcome.text)")
          try container.run(mend)
        }
        try amiss(["ip", "link", "set", "eth0", "down"], ["ip", "link", "set", "eth0", "up"], "down")
        try container.run("ip", "route", "add", "default", "via", "10.71.0.1")
        try amiss(
          ["ip", "route", "del", "default"], ["ip", "route", "add", "default", "via", "10.71.0.1"], "0.0.0.0/0")
        try amiss(
          ["ip", "addr", "flush", "dev", "eth0"], ["ip", "addr", "add", "10.71.0.2/24", "dev", "eth0"], "10.71.0.2/24")
        try container.run("ip", "route", "add", "default", "via", "10.71.0.1")
        try amiss(["ip", "link", "del", "eth0"], ["true"], "has no")
        let other = try runtime.call("CHECK", configuration, "unknown", in: container)
        #expect(other.answer?.code == 103)
        try container.remove()
        #expect(try runtime.call("CHECK", configuration, in: container).answer?.code == 103)
      }
    }

    @Test("GC takes the attachments away that the runtime does not name, and no others")
    func garbageCollection() throws {
      try withRuntime { runtime in
        let testbed = runtime.daemon.namespace.testbed
        let configuration = runtime.configuration("1.1.0")
        let containers = try ["a", "b"].map { try testbed.makeNamespace($0) }
        for container in containers { try runtime.succeed("ADD", configuration, container.name, in: container) }
        let user = try runtime.daemon.sandbox("user", on: "lan")
        let valid = #"{"containerID": "\#(containers[1].name)", "ifname": "eth0"}"#
        try runtime.succeed(
          "GC", configuration.dropLast() + #", "cni.dev/valid-attachments": [\#(valid)]}"#, in: nil)
        let left = try runtime.daemon.network("lan").endpoints.map(\.netns)
        #expect(Set(left) == [containers[1].path, user.path])
        #expect(try containers[0].linkNames() == ["lo"])
      }
    }

    @Test("without a daemon: STATUS 51, anything else to be tried again")
    func noDaemon() throws {
      try withRuntime { runtime in
        let container = try runtime.daemon.namespace.testbed.makeNamespace("a")
        let configuration = runtime.configuration("1.1.0")
        try runtime.succeed("STATUS", configuration, in: nil)
        try runtime.succeed("ADD", configuration, in: container)
        try runtime.daemon.end(by: SIGKILL)
        #expect(try runtime.call("STATUS", configuration, in: nil).answer?.code == 51)
        for command in ["ADD", "DEL"] {
          #expect(try runtime.call(command, configuration, in: container).answer?.code == 11)
        }
        try runtime.daemon.start()
        try runtime.succeed("DEL", configuration, in: container)
        #expect(try container.linkNames() == ["lo"])
      }
    }

    @Test(
      "addresses of host-local: taken, with its routes; given back where ADD fails, and by DEL",
      .enabled(if: CNIRuntime.hasPlugin("host-local"), "tools/test unpacks containernetworking-plugins below .build"),
      arguments: ["0.4.0", "1.0.0"])
    func delegated(version: String) throws {
      try withRuntime { runtime in
        let testbed = runtime.daemon.namespace.testbed
        let leases = testbed.directory + "/leases"
        let configuration = runtime.configuration(
          version,
          #"""
          "ipam": {"type": "host-local", "dataDir": "\#(leases)",
            "ranges": [[{"subnet": "10.73.0.0/24", "rangeStart": "10.73.0.20", "gateway": "10.73.0.7"}]],
            "routes": [{"dst": "10.99.0.0/16"}, {"dst": "0.0.0.0/0"}]}
          """#)
        func leased() -> [String] {
          let names = (try? FileManager.default.contentsOfDirectory(atPath: leases + "/lan")) ?? []
          return names.filter { $0.hasPrefix("10.") }.sorted()
        }
        let container = try testbed.makeNamespace("a")
        let result = try runtime.succeed("ADD", configuration, in: container)
        #expect(result.answer?.ips?.map(\.address) == ["10.73.0.20/24"] && leased() == ["10.73.0.20"])
        #expect(try runtime.daemon.network("lan").subnets == [Subnet(subnet: "10.73.0.0/24", gateway: "10.73.0.7")])
        let routes = try container.run("ip", "route")
        #expect(routes.contains("default via 10.73.0.7") && routes.contains("10.99.0.0/16 via 10.73.0.7"))
        #expect(try container.reaches("10.73.0.7"))
        try runtime.succeed("CHECK", CNIRuntime.with(result, configuration), in: container)

        let taken = try testbed.makeNamespace("taken")
        try taken.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "other")
        #expect(try runtime.call("ADD", configuration, "b", in: taken).answer?.code == 100)
        #expect(leased() == ["10.73.0.20"])
        #expect(try runtime.call("ADD", configuration, in: container).answer?.code == 100)
        #expect(try leased() == ["10.73.0.20"] && container.reaches("10.73.0.7"))
        try container.remove()
        for _ in 0..<2 { try runtime.succeed("DEL", configuration, in: nil) }
        #expect(leased().isEmpty)
      }
    }

    @Test("published ports are reached from outside, ranges too, and go with DEL")
    func ports() throws {
      try withUplink { bed in
        let runtime = try CNIRuntime(bed.daemon)
        let container = try bed.testbed.makeNamespace("c")
        let configuration = runtime.configuration(
          "1.1.0",
          #"""
          "runtimeConfig": {"bandwidth": {"ingressRate": 100000000}, "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 8081, "containerPort": 81, "protocol": "tcp"}]}
          """#)
        try runtime.succeed("ADD", configuration, in: container)
        #expect(try bed.daemon.network("lan").endpoints.map(\.rateOut).contains(100_000_000))
        try container.serveWhoami("80", "81")
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080)?.serverPort == 80)
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8081)?.serverPort == 81)
        let second = try bed.testbed.makeNamespace("e")
        let taken = try runtime.call("ADD", configuration, "second", in: second)
        #expect(taken.answer?.code == 100 && taken.answer?.msg?.contains("8080") == true, "\(taken.text)")
        #expect(try second.linkNames() == ["lo"])
        try runtime.succeed("DEL", configuration, in: container)
        #expect(try bed.machine.asksTCP(UplinkBed.host.ipv4, 8080, patience: "1") == nil)
        #expect(try bed.daemon.ask([Publication].self, "publish", "ls").isEmpty)
      }
    }

    @Test(
      "by libcni: every verb, alone and in a chain",
      .enabled(if: CNIRuntime.hasLibrary, "tools/test installs golang-go and golang-github-appc-cni-dev"))
    func library() throws {
      try withRuntime { runtime in
        try runtime.buildRunner()
        let testbed = runtime.daemon.namespace.testbed
        let martlet =
          #"{"type": "martlet", "socket": "\#(runtime.daemon.socket)", "subnet": "10.71.0.0/24", "capabilities": {"portMappings": true, "mac": true, "ips": true, "aliases": true}}"#
        let capabilities =
          #"{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"}], "mac": "02:00:00:00:00:71", "ips": ["10.71.0.77/24"], "aliases": {"lan": ["web"]}}"#
        var chains = [[martlet]]
        if CNIRuntime.hasPlugin("tuning") {
          chains.append([martlet, #"{"type": "tuning", "sysctl": {"net.ipv4.conf.eth0.arp_filter": "1"}}"#])
        }
        for version in Self.versions where version < "1.1" {
          for (number, chain) in chains.enumerated() {
            let container = try testbed.makeNamespace("c\(version)-\(number)")
            func run(_ verb: String, in path: String? = nil) throws -> CNIRuntime.Outcome {
              let outcome = try runtime.library(
                verb, version, chain, container.name, in: path ?? container.path, capabilities: capabilities)
              #expect(outcome.status == 0, "\(version) \(verb): \(outcome.text)")
              return outcome
            }
            _ = try run("validate")
            let added = try run("add")
            #expect(added.answer?.ips?.map(\.address) == ["10.71.0.77/24"])
            #expect(added.answer?.interfaces?.map(\.mac) == ["02:00:00:00:00:71"])
            let endpoint = try #require(try runtime.daemon.network("lan").endpoints.first)
            #expect(endpoint.aliases == ["web"] && endpoint.published.map(\.hostPort) == [8080])
            if version >= "0.4" { _ = try run("check") }
            if number == 0 { try container.remove() }
            _ = try run("del", in: number == 0 ? "" : nil)
            _ = try run("del", in: "")
            #expect(try runtime.daemon.network("lan").endpoints.isEmpty)
          }
        }
      }
    }
  }
}
