import ControlModel
import Support
import Testing

@testable import CNI

/// What is refused, with the code of the specification and words that name what was given, before anything is changed.
@Suite struct InputTests {
  @Test(
    arguments: [
      ("CNI_COMMAND", nil), ("CNI_COMMAND", ""), ("CNI_COMMAND", "add"), ("CNI_COMMAND", "FROB"),
      ("CNI_CONTAINERID", nil), ("CNI_CONTAINERID", ""), ("CNI_CONTAINERID", "-a"), ("CNI_CONTAINERID", "a/b"),
      ("CNI_CONTAINERID", "a=b"), ("CNI_CONTAINERID", String(repeating: "a", count: 257)), ("CNI_IFNAME", nil),
      ("CNI_IFNAME", ""), ("CNI_IFNAME", ".."), ("CNI_IFNAME", "eth 0"), ("CNI_IFNAME", "sixteen-letters-"),
      ("CNI_IFNAME", "eth%d"), ("CNI_NETNS", nil), ("CNI_NETNS", ""), ("CNI_NETNS", "run/netns/a"),
      ("CNI_NETNS", "/" + String(repeating: "a", count: 4096)), ("CNI_ARGS", "x"), ("CNI_ARGS", "=x"),
      ("CNI_ARGS", "FOO=bar"), ("CNI_ARGS", "IgnoreUnknown=0;FOO=bar"),
    ] as [(String, String?)])
  func environment(key: String, value: String?) {
    let bench = PluginBench()
    var environment = PluginBench.environment
    environment["CNI_COMMAND"] = "ADD"
    environment[key] = value
    let input = #"{"cniVersion": "0.4.0", "name": "lan"}"#
    let answer = bench.run(environment: environment, input: Array(input.utf8))
    #expect(answer.status == 1 && answer.code == 4 && answer.message.contains(key), "\(answer)")
    #expect(answer["cniVersion"] == "0.4.0" && bench.service.calls.isEmpty)
  }

  @Test func allThatIsMissingIsNamed() {
    let answer = PluginBench().run(environment: ["CNI_COMMAND": "CHECK"], input: [])
    #expect(answer.message.contains("CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS"))
  }

  @Test func theHostsOwnNamespaceIsNoContainers() {
    let bench = PluginBench()
    #expect(bench.run("ADD", ["CNI_NETNS": StandInNamespaces.own]).code == 8 && bench.service.calls.isEmpty)
  }

  @Test(arguments: [
    ("", 6), ("{", 6), ("[]", 6), ("7", 6), ("null", 6), (#"{"a": "#, 6), ("\u{0}", 6), (#"{"cniVersion": 1}"#, 7),
    ("{}", 1), (#"{"cniVersion": "0.2.0", "name": "lan"}"#, 1), (#"{"cniVersion": "2.0.0", "name": "lan"}"#, 1),
    (#"{"cniVersion": "1.0.0"}"#, 7), (#"{"cniVersion": "1.0.0", "name": ""}"#, 7),
    (#"{"cniVersion": "1.0.0", "name": "../x"}"#, 7), (#"{"cniVersion": "1.0.0", "name": 7}"#, 7),
    (#"{"cniVersion": "1.0.0", "name": "lan", "ipam": 7}"#, 7),
    (#"{"cniVersion": "1.0.0", "name": "lan", "ipam": {"type": "../../bin/sh"}}"#, 7),
    (#"{"cniVersion": "1.0.0", "name": "lan", "socket": 7}"#, 7),
  ])
  func configuration(text: String, code: Int) {
    for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
      let bench = PluginBench()
      var environment = PluginBench.environment
      environment["CNI_COMMAND"] = command
      let answer = bench.run(environment: environment, input: Array(text.utf8))
      #expect(answer.status == 1 && answer.code == code && !answer.message.isEmpty, "\(command): \(answer)")
      #expect(bench.service.calls.isEmpty)
    }
  }

  @Test(arguments: [
    #""frob": 1"#, #""vlan": 7"#, #""ipam": {"type": "martlet", "rangeStart": "10.1.0.9"}"#,
    #""runtimeConfig": {"ipRanges": [[{"subnet": "10.1.0.0/24"}]]}"#,
    #""runtimeConfig": {"ips": ["10.1.0.3", "10.1.0.4"]}"#,
    #""ipam": {"routes": [{"dst": "10.9.0.0/16", "mtu": 1400}]}"#,
  ])
  func whatIsNotSupportedIsNamed(configuration: String) {
    let bench = PluginBench()
    let answer = bench.run("ADD", configuration)
    #expect(answer.code == 2 && bench.service.calls.isEmpty, "\(answer)")
    // Key and value, as the specification wants.
    let key = configuration.split(separator: "\"").filter { $0.allSatisfy(\.isLetter) }
    #expect(key.contains { answer.message.contains($0) } || answer.message.contains("10.1.0.4"), "\(answer.message)")
  }

  @Test(arguments: [
    #""subnet": 7"#, #""subnets": "10.1.0.0/24""#, #""subnets": [7]"#, #""gateway": {}"#, #""ipv6": "yes""#,
    #""internal": 1"#, #""mtu": "1400""#, #""mtu": 1.5"#, #""mtu": 1e30"#, #""options": []"#, #""options": {"a": {}}"#,
    #""driver": true"#, #""bridge": 7"#, #""ipMasq": "x""#, #""network": []"#, #""runtimeConfig": []"#, #""args": 7"#,
    #""args": {"cni": 7}"#, #""args": {"cni": {"labels": [7]}}"#, #""dns": 7"#, #""ipam": {"routes": {}}"#,
    #""ipam": {"routes": [{"dst": "x"}]}"#, #""runtimeConfig": {"mac": 7}"#, #""runtimeConfig": {"ips": ["x"]}"#,
    #""runtimeConfig": {"aliases": {"lan": "web"}}"#, #""runtimeConfig": {"bandwidth": 7}"#,
    #""runtimeConfig": {"bandwidth": {"ingressRate": -1}}"#,
    #""runtimeConfig": {"dns": {"servers": 7}}"#, #""runtimeConfig": {"portMappings": {}}"#,
    #""runtimeConfig": {"portMappings": [{}]}"#, #""runtimeConfig": {"portMappings": [{"hostPort": 80}]}"#,
    #""runtimeConfig": {"portMappings": [{"hostPort": 0, "containerPort": 80}]}"#,
    #""runtimeConfig": {"portMappings": [{"hostPort": 65536, "containerPort": 80}]}"#,
    #""runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": -1}]}"#,
    #""runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "../x"}]}"#,
    #""runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "hostIP": 7}]}"#,
    #""prevResult": "x""#,
  ])
  func wrongTypesAreRefused(configuration: String) {
    let bench = PluginBench()
    let answer = bench.run("ADD", configuration)
    #expect(answer.code == 7 && bench.connects.isEmpty, "\(answer)")
  }

  @Test func floods() {
    let huge = [UInt8](repeating: UInt8(ascii: " "), count: Configuration.bytesMax + 1)
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 500_000)
    let nested = Array((String(repeating: #"{"a":"#, count: 100_000) + "1").utf8)
    for input in [huge, deep, nested, [0xFF, 0xFE, 0x00]] {
      var environment = PluginBench.environment
      for command in ["ADD", "VERSION"] {
        environment["CNI_COMMAND"] = command
        let answer = PluginBench().run(environment: environment, input: input)
        #expect(command == "ADD" ? answer.code == 6 : answer.status == 0)
      }
    }
  }

  /// Whatever comes, the answer is JSON with a code or a result, and one ADD makes at most one endpoint.
  @Test func anythingAtAll() throws {
    var generator = SeededGenerator(seed: 0xC41)
    let call = try #require(RecordedCall.all.first { $0.environment["CNI_COMMAND"] == "ADD" })
    for _ in 0..<2000 {
      let bench = PluginBench()
      var bytes = call.input
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0...2, using: &generator) {
        case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &generator)
        case 1: bytes.remove(at: place)
        default: bytes.insert(contentsOf: bytes[place...].prefix(9), at: place)
        }
      }
      let answer = bench.run(environment: call.environment, input: bytes)
      #expect(answer.status == 0 ? answer["ips"] != nil : answer.code != nil && !answer.message.isEmpty)
      #expect(bench.service.shownEndpoints.count == (answer.status == 0 ? 1 : 0))
    }
  }
}
