import ControlModel
import FoundationEssentials
import Support
import Testing

@testable import martlet

@Suite struct OutputTests {
  private let line = CommandLine()

  private func output(_ arguments: String...) -> String {
    let status = arguments.count == 1 ? line.run(arguments[0]) : line.run(arguments)
    #expect(status == 0, "\(line.errors)")
    return line.output
  }

  /// Rows as `docker network ls` of Docker 20.10 and later prints them, as in many a tutorial; the ids are those of Docker's
  /// own documentation of the command.
  @Test func tableAsDockerPrintsIt() {
    let rows = [
      ["NETWORK ID", "NAME", "DRIVER", "SCOPE"], ["7fca4eb8c647", "bridge", "bridge", "local"],
      ["9f904ee27bf5", "none", "null", "local"], ["cf03ee007fb4", "docker_gwbridge", "bridge", "local"],
    ]
    #expect(
      Table(rows: Array(rows.prefix(3))).text == """
        NETWORK ID     NAME      DRIVER    SCOPE
        7fca4eb8c647   bridge    bridge    local
        9f904ee27bf5   none      null      local

        """)
    #expect(
      Table(rows: rows).text == """
        NETWORK ID     NAME              DRIVER    SCOPE
        7fca4eb8c647   bridge            bridge    local
        9f904ee27bf5   none              null      local
        cf03ee007fb4   docker_gwbridge   bridge    local

        """)
  }

  @Test func publishedPorts() throws {
    #expect(
      output("publish ls") == """
        ENDPOINT       NETWORK   HOST             PORT        DETAIL
        e1d055555555   lab       0.0.0.0:8080     80/tcp
        e1d055555555   lab       [::]:9000-9002   53-55/udp   port 9001/udp is already in use by named (pid 7)

        """)
    // Scripts get one for each port, with the fields of the contract.
    let all = try JSONDecoder().decode([Publication].self, from: Data(output("publish ls --json").utf8))
    #expect(all.map(\.published.hostPort) == [8080, 9000, 9001, 9002])
    #expect(all.map(\.published.port) == [80, 53, 54, 55])
    #expect(all.allSatisfy { $0.published.hostPortEnd == nil && $0.published.portEnd == nil && $0.network == "lab" })
    let second = try JSONDecoder().decode(
      [Publication].self, from: Data(output("publish ls --json --filter host_port=9001").utf8))
    #expect(second.map(\.published.port) == [54])
    #expect(output("publish", "ls", "--format", "{{.host_ip}} {{.host_port}}").split(separator: "\n").count == 4)
  }

  @Test func overlays() throws {
    #expect(output("overlay show lab").split(separator: "\n").count == 2)
    #expect(
      output("overlay ls").split(separator: "\n").map { $0.prefix(100) } == [
        "NETWORK   VNI       LOCAL         PORT      INTERFACE   MTU       LEARNING   PEERS     STATE     DET",
        "lab       42        192.0.2.1     4789      eth0        1450      on         2         up        MTU",
        "far       0         2001:db8::1   8472                  1430      off        0         missing   no ",
      ])
    #expect(
      output("overlay ls -q -f vni=42 -f peer=192.0.2.8 -f local=192.0.2.1 -f state=up -f network=lab") == "lab\n")
    #expect(
      output("overlay", "ls", "--format", "{{.Network}} {{.ttl}} {{.tos}} {{.Interface}}")
        == "lab 64 inherit eth0\nfar inherit 0 <no value>\n")
    #expect(
      output("overlay peer ls lab") == """
        NETWORK   ADDRESS     RX FRAMES   TX FRAMES   DROPS
        lab       192.0.2.7   5           6           1
        lab       192.0.2.8   0           0           0

        """)
    // What scripts lean on.
    let counters = #"{"drops":{},"rx_bytes":0,"rx_frames":0,"tx_bytes":0,"tx_frames":0}"#
    #expect(
      output("overlay ls --json -f network=far") == #"""
        [{"ageing_s":60,"counters":\#(counters),"detail":"no interface has the address 2001:db8::1: the overlay \#
        waits for it","encrypted":false,"inner_vlan":true,"learning":false,"local":"2001:db8::1","mtu":1430,"network":"far","peers":[],"port":8472,\#
        "state":"missing","tos":0,"ttl":"inherit","vni":0}]

        """#)
    #expect(
      output("overlay peer ls lab --json -f address=192.0.2.8") == #"""
        [{"address":"192.0.2.8","counters":\#(counters),"network":"lab"}]

        """#)
    let shown = try JSONDecoder().decode(Overlay.self, from: Data(output("overlay show lab --json").utf8))
    #expect(shown == Sample.overlay)
    let set = output("overlay set lab --vni 42 --local 192.0.2.1 --json")
    #expect(try JSONDecoder().decode(Overlay.self, from: Data(set.utf8)) == Sample.overlay)
  }

  @Test func cluster() throws {
    #expect(
      output("cluster show").split(separator: "\n", omittingEmptySubsequences: false).map { $0.prefix(60) } == [
        "alpha is cut off since 2026-11-27T05:00:00Z: etcd: connectio", "",
        "HOST      VTEPS                    ENDPOINTS",
        "alpha     192.0.2.1, 2001:db8::1   2",
        "beta      192.0.2.2                0", "",
        "NETWORK   VNI       DETAIL",
        "lab       4711      subnet 10.0.0.0/24 overlaps 10.0.0.0/8 o",
        "far       5", "",
      ])
    let shown = try JSONDecoder().decode(ClusterView.self, from: Data(output("cluster show --json").utf8))
    #expect(shown == Sample.cluster)
  }

  @Test func lists() {
    #expect(
      output("network ls") == """
        NETWORK ID     NAME      DRIVER    SUBNETS                  ENDPOINTS
        7fca4eb8c647   lab       bridge    10.0.0.0/24, fd00::/64   1
        9f904ee27bf5   plain     none                               0

        """)
    #expect(
      output("sandbox ls") == """
        SANDBOX ID     NAME      ORIGIN    NETNS             ENDPOINTS
        5a4db0c52222   web       made      /run/netns/web    1
        c0ffee003333   db        adopted   /proc/42/ns/net   0

        """)
    #expect(
      output("endpoint ls") == """
        ENDPOINT ID    NETWORK   SANDBOX   INTERFACE   MAC                 ADDRESSES                 STATE
        e1d055555555   lab       web       eth0        02:42:0a:00:00:02   10.0.0.2/24, fd00::2/64   down

        """)
    #expect(
      output("port ls") == """
        NETWORK   INTERFACE        STATE     RX FRAMES   TX FRAMES   DETAIL
        lab       enp0s31f6np0d1   down      5           6           the interface is down
        lab       veth0            missing   0           0

        """)
    #expect(
      output("fdb show lab") == """
        MAC                 KIND        PORT           INTERFACE   TYPE      AGE
        02:42:0a:00:00:02   endpoint    e1d055555555   eth0        learned   7s
        02:42:0a:00:00:01   gateway                                static
        02:42:0a:00:00:04   interface                  veth0       learned   1s
        02:42:0a:00:00:03   vtep        192.0.2.7                  static

        """)
    #expect(
      output("stats") == """
        NETWORK   PORT      INTERFACE     RX FRAMES   RX BYTES   TX FRAMES   TX BYTES   DROPS
        lab       web       eth0          10          1000       20          3000       1
        lab       gateway   mg-7fca4eb8   20          3000       12          900        0

        NETWORK   DROP REASON   FRAMES
        lab       runt          1

        """)
    #expect(
      output("version") == """
        PROGRAM    VERSION   API
        martlet    0.1.0     v1
        martletd   0.1.0     v1

        """)
  }

  @Test func idsOnly() {
    #expect(output("network ls -q") == "7fca4eb8c647\n9f904ee27bf5\n")
    #expect(output("port ls -q") == "enp0s31f6np0d1\nveth0\n")
    #expect(
      output("port", "ls", "--filter", "state=missing", "--format", "{{.Interface}}: {{.Detail}}")
        == "veth0: <no value>\n")
    #expect(output("network ls -q --no-trunc") == Sample.networks.map { $0.id + "\n" }.joined())
    #expect(output("network ls --no-trunc").contains(Sample.networks[0].id + "   lab"))
  }

  /// The parts that scripts lean on: the models as they are, on one line.
  @Test func json() throws {
    func decoded<Value: Decodable>(_ command: String, as type: Value.Type) throws -> Value {
      let text = output("--json \(command)")
      #expect(text.split(separator: "\n").count == 1)
      return try JSONDecoder().decode(type, from: Data(text.utf8))
    }
    #expect(try decoded("network ls", as: [Network].self) == Sample.networks)
    #expect(try decoded("network inspect lab", as: [Network].self) == [Sample.networks[0]])
    #expect(try decoded("network ls -q", as: [String].self) == Sample.networks.map(\.id))
    #expect(try decoded("network set lab --mtu 1400", as: Network.self) == Sample.networks[0])
    #expect(try decoded("network prune", as: Pruned.self) == Pruned(removed: ["plain"]))
    #expect(try decoded("sandbox inspect web", as: [Sandbox].self) == [Sample.sandboxes[0]])
    #expect(try decoded("endpoint inspect \(Sample.endpoint.id)", as: [Endpoint].self) == [Sample.endpoint])
    #expect(try decoded("fdb show lab", as: [ForwardingEntry].self) == Sample.forwardingEntries)
    #expect(try decoded("stats", as: Statistics.self) == Sample.statistics)
    #expect(output("--json network create x") == "{\"id\":\"\(Sample.networks[0].id)\"}\n")
    #expect(output("--json sandbox create x") == "{\"id\":\"\(Sample.sandboxes[0].id)\"}\n")
    #expect(output("--json network connect x y") == "{\"id\":\"\(Sample.endpoint.id)\"}\n")
    let version = #"{"api_version":"v1","version":"0.1.0"}"#
    #expect(output("--json version") == "{\"client\":\(version),\"daemon\":\(version)}\n")
  }

  @Test func inspectIsPretty() throws {
    let text = output("sandbox inspect db")
    #expect(try JSONDecoder().decode([Sandbox].self, from: Data(text.utf8)) == [Sample.sandboxes[1]])
    #expect(text.hasPrefix("[\n    {\n        \"created\": \"2026-01-02T03:04:08Z\",\n        \"dns\": {\n"))
    #expect(text.contains("        \"endpoints\": [],\n"))
  }

  @Test func jsonText() throws {
    let text = "\"\\/\u{1}\n\t\u{7F}é\u{1F426}"
    let quoted = #""\"\\/\u0001\n\t\u007fé🐦""#
    #expect(JSONValue.string(text).compact == quoted)
    #expect(try JSONDecoder().decode(String.self, from: Data(quoted.utf8)) == text)
    let value = try JSONValue(encoding: [UInt64.max, 0])
    #expect(value.compact == "[18446744073709551615,0]")
  }

  @Test(arguments: [
    (["name=ab"], ["lab"]), (["name=ab", "name=plain"], ["lab", "plain"]), (["name=ab", "driver=none"], []),
    (["driver=bridge"], ["lab"]), (["id=9f90"], ["plain"]), (["id=f904"], []), (["label=env"], ["lab"]),
    (["label=env=test", "label=team=blue"], ["lab"]), (["label=env=test", "label=team=red"], []), (["label=env="], []),
    (["sandbox=web"], ["lab"]), (["sandbox=we"], []),
  ])
  func networkFilters(_ filters: [String], names: [String]) {
    #expect(line.run(["network", "ls", "--format", "{{.Name}}"] + filters.flatMap { ["--filter", $0] }) == 0)
    #expect(line.output == names.map { $0 + "\n" }.joined())
  }

  @Test func otherFilters() {
    #expect(output("sandbox ls -q -f origin=adopted") == "c0ffee003333\n")
    #expect(output("sandbox ls -q -f network=lab") == "5a4db0c52222\n")
    #expect(output("endpoint ls -q -f sandbox=web -f network=lab -f state=down -f id=e1d0") == "e1d055555555\n")
    #expect(output("endpoint ls -q -f state=up") == "")
  }

  /// rx and tx of one second against the second before; a port without a past has no rate.
  @Test func rates() {
    var before = Sample.statistics
    before.networks[0].ports.removeLast()
    before.networks[0].ports[0].counters = Counters(rxFrames: 4, rxBytes: 750, txFrames: 25, txBytes: 1000, drops: [:])
    #expect(
      Table(rates: Sample.statistics, since: before, over: .milliseconds(500)).text == """
        NETWORK   PORT      INTERFACE     RX FRAMES/S   RX BITS/S   TX FRAMES/S   TX BITS/S   DROPS/S
        lab       web       eth0          12            4000                      32000       2
        lab       gateway   mg-7fca4eb8

        """)
  }
}
