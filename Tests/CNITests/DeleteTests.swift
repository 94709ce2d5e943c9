import ControlModel
import Testing

@testable import CNI

@Suite struct DeleteTests {
  /// As libcni sends it: no namespace, no earlier result.
  static let gone = ["CNI_NETNS": ""]

  @Test func findsTheEndpointByItsLabels() {
    let bench = PluginBench()
    bench.run("ADD")
    bench.run("ADD", ["CNI_CONTAINERID": "ctr2"])
    bench.run("ADD", ["CNI_IFNAME": "eth1"])
    bench.run("ADD", #""network": "lan""#, name: "other")
    let ids = bench.service.shownEndpoints.map(\.id)
    #expect(ids.count == 4)
    let answer = bench.run("DEL", Self.gone)
    #expect(answer.status == 0 && answer.output == nil && bench.removals == [ids[0]])
    // As often as one likes, whatever else is wrong with the configuration.
    for _ in 0..<2 {
      #expect(bench.run("DEL", #""frob": 1, "runtimeConfig": 7, "prevResult": "x""#, ["CNI_ARGS": "x"]).status == 0)
    }
    #expect(bench.removals.count == 1)
    #expect(bench.service.shownNetworks.count == 1, "the network stays")
  }

  @Test func anEndpointThatGoesInBetweenIsNoError() {
    let bench = PluginBench()
    bench.run("ADD")
    bench.service.refuses = { if case .removeEndpoint = $0 { ControlError(.notFound, "gone") } else { nil } }
    #expect(bench.run("DEL").status == 0)
  }

  @Test func oneThatCannotBeTakenAwayIsAnError() {
    let bench = PluginBench()
    bench.run("ADD")
    bench.service.refuses = { if case .removeEndpoint = $0 { ControlError(.system, "EBUSY") } else { nil } }
    #expect(bench.run("DEL").code == 102)
    bench.service.refusal = ControlError(.unreachable, "nobody there")
    #expect(bench.run("DEL").code == 11)
  }

  // MARK: GC

  static func valid(_ attachments: (String, String)..., key: String = "cni.dev/valid-attachments") -> String {
    let entries = attachments.map { #"{"containerID": "\#($0.0)", "ifname": "\#($0.1)"}"# }
    return "\"\(key)\": [\(entries.joined(separator: ", "))]"
  }

  private func populated() -> PluginBench {
    let bench = PluginBench()
    for (container, interface) in [("a", "eth0"), ("a", "net1"), ("b", "eth0")] {
      bench.run("ADD", ["CNI_CONTAINERID": container, "CNI_IFNAME": interface])
    }
    // Of another configuration, on the same network.
    bench.run("ADD", #""network": "lan""#, name: "other")
    bench.service.shownEndpoints.append(Endpoint.users)
    return bench
  }

  @Test(arguments: ["cni.dev/valid-attachments", "cni.dev/attachments"])
  func garbageCollection(key: String) {
    let bench = populated()
    let answer = bench.run("GC", Self.valid(("a", "net1"), ("c", "eth0"), key: key), Self.gone)
    #expect(answer.status == 0 && answer.output == nil && bench.removals.count == 2)
    let left = bench.service.shownEndpoints.map { $0.labels["org.martlet.cni.container"] ?? "user's" }
    #expect(left == ["a", "ctr1", "user's"])
    #expect(bench.run("GC", Self.valid(key: key)).status == 0 && bench.removals.count == 3)
  }

  @Test(arguments: [
    "", #""cni.dev/valid-attachments": 7"#, #""cni.dev/valid-attachments": ["a"]"#,
    #""cni.dev/valid-attachments": [{"containerID": "a"}]"#, #""cni.dev/valid-attachments": null"#,
  ])
  func withoutAListNothingIsCollected(list: String) {
    let bench = populated()
    #expect(bench.run("GC", list).code == 7 && bench.removals.isEmpty)
  }

  @Test func oneThatResistsDoesNotSaveTheOthers() {
    let bench = populated()
    let first = bench.service.shownEndpoints[0].id
    bench.service.refuses = {
      if case .removeEndpoint(first) = $0 { ControlError(.system, "EBUSY") } else { nil }
    }
    let answer = bench.run("GC", Self.valid() + ", " + DelegationTests.delegated)
    #expect(answer.code == 102 && answer.message == "EBUSY" && bench.removals.count == 3)
    #expect(bench.manager.runs == ["host-local GC"])
  }

  // MARK: STATUS

  @Test func status() {
    let bench = PluginBench()
    #expect(bench.run("STATUS", Self.gone).status == 0)
    bench.service.refusal = ControlError(.unreachable, "nobody there")
    #expect(bench.run("STATUS").code == 51)
    bench.service.refusal = ControlError(.system, "the daemon is stopping")
    let answer = bench.run("STATUS")
    #expect(answer.code == 50 && answer.message.contains("stopping"))
  }

  @Test(arguments: ["GC", "STATUS"]) func newCommandsNeedTheirVersion(command: String) {
    for version in ["0.3.0", "0.4.0", "1.0.0"] {
      #expect(PluginBench().run(command, Self.valid(), version: version).code == 1)
    }
  }
}

extension Endpoint {
  /// Of nobody but a user.
  static let users = Endpoint(
    id: "user", network: "lan", sandbox: "s", netns: "/s", interface: "eth0", mac: "02:00:00:00:00:01", addresses: [],
    aliases: [], published: [], isolated: false, guard: false, macLimit: 0, mtu: 1500, state: "up", counters: Counters()
  )
}

extension PluginBench {
  @discardableResult
  func run(_ command: String, _ environment: [String: String]) -> Answer {
    run(command, "", version: "1.1.0", environment)
  }

  @discardableResult
  func run(_ command: String, _ configuration: String, _ environment: [String: String]) -> Answer {
    run(command, configuration, version: "1.1.0", environment)
  }
}
