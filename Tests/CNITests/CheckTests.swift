import ControlModel
import Testing
import Wire

@testable import CNI

@Suite struct CheckTests {
  /// A container that is as ADD left it, and what ADD answered.
  private func attached(_ configuration: String = "") -> (PluginBench, String) {
    let bench = PluginBench()
    let answer = bench.run("ADD", configuration, version: "1.0.0")
    bench.namespaces.contents[PluginBench.namespace] = NamespaceContents(
      interfaces: [
        NamespaceContents.Interface(name: "lo", mac: nil, isUp: true, addresses: [IPPrefix("127.0.0.1/8")!]),
        NamespaceContents.Interface(
          name: "eth0", mac: MACAddress(PluginBench.mac), isUp: true,
          addresses: [IPPrefix("10.1.0.2/24")!, IPPrefix("10.97.0.2/24")!, IPPrefix("fe80::1/64")!]),
      ], routes: [IPPrefix("10.1.0.0/24")!, IPPrefix("0.0.0.0/0")!])
    return (bench, #""prevResult": \#(answer.output?.text ?? "{}")"#)
  }

  @Test(arguments: ["0.4.0", "1.0.0", "1.1.0"]) func allIsWell(version: String) {
    let (bench, previous) = attached()
    let answer = bench.run("CHECK", previous, version: version)
    #expect(answer.status == 0 && answer.output == nil, "\(answer)")
  }

  @Test(arguments: ["0.3.0", "0.3.1"]) func neededsItsVersion(version: String) {
    let (bench, previous) = attached()
    #expect(bench.run("CHECK", previous, version: version).code == 1)
  }

  struct Change: Sendable, CustomTestStringConvertible {
    var word: String
    var change: @Sendable (PluginBench) -> Void
    init(_ word: String, _ change: @escaping @Sendable (PluginBench) -> Void) {
      (self.word, self.change) = (word, change)
    }
    var testDescription: String { word }
  }

  static func edit(_ bench: PluginBench, _ edit: (inout NamespaceContents) -> Void) {
    var contents = bench.namespaces.contents[PluginBench.namespace]!
    edit(&contents)
    bench.namespaces.contents[PluginBench.namespace] = contents
  }

  static let changes = [
    Change("no network namespace") { $0.namespaces.contents = [:] },
    Change("no endpoint") { $0.service.shownEndpoints = [] },
    Change("no interface eth0") { edit($0) { $0.interfaces.removeLast() } },
    Change("down") { edit($0) { $0.interfaces[1].isUp = false } },
    Change("MAC 02:00:00:00:00:66") { edit($0) { $0.interfaces[1].mac = MACAddress("02:00:00:00:00:66") } },
    Change("no address 10.1.0.2/24") { edit($0) { $0.interfaces[1].addresses.removeFirst() } },
    Change("not its endpoint's") { $0.service.shownEndpoints[0].addresses = ["10.1.0.3/24"] },
    Change("no route to 0.0.0.0/0") { edit($0) { $0.routes.removeLast() } },
    Change("its interface is gone") {
      ($0.service.shownEndpoints[0].state, $0.service.shownEndpoints[0].detail) = ("down", "its interface is gone")
    },
    Change("port 80 is taken") { $0.service.shownEndpoints[0].detail = "port 80 is taken" },
  ]

  @Test(arguments: changes) func whatIsAmissIsSaid(change: Change) {
    let (bench, previous) = attached()
    change.change(bench)
    let answer = bench.run("CHECK", previous, version: "1.0.0")
    #expect(answer.code == 103 && answer.message.contains(change.word), "\(answer.message)")
  }

  @Test(arguments: [
    "", #""prevResult": 7"#, #""prevResult": {}"#, #""prevResult": {"interfaces": [{"name": "eth0"}]}"#,
    #""prevResult": {"interfaces": [{"name": "eth1", "sandbox": "/x"}]}"#,
    #""prevResult": {"interfaces": [{"name": "eth0", "sandbox": "/x"}], "ips": [{"address": "x", "interface": 0}]}"#,
    #""prevResult": {"interfaces": [{"name": "eth0", "sandbox": "/x"}], "routes": [{"dst": "x"}]}"#,
  ])
  func needsAnEarlierResult(previous: String) {
    let (bench, _) = attached()
    #expect(bench.run("CHECK", previous, version: "1.0.0").code == 7)
  }

  @Test func whatOthersAddedIsTheirs() {
    let (bench, _) = attached()
    let answer = bench.run(
      "CHECK",
      #"""
      "prevResult": {"interfaces": [{"name": "eth0"}, {"name": "eth0", "sandbox": "/run/netns/cnic"}],
        "ips": [{"address": "192.0.2.1/24", "interface": 0}, {"address": "10.1.0.2/24", "interface": 1},
          {"address": "192.0.2.2/24"}], "routes": []}
      """#)
    #expect(answer.status == 0, "\(answer.message)")
  }

  @Test func theAddressManagerIsAsked() {
    let (bench, previous) = attached(DelegationTests.delegated)
    #expect(bench.run("CHECK", previous + ", " + DelegationTests.delegated).status == 0)
    bench.manager.refusal["CHECK"] = CNIError(.unknownContainer, "no lease")
    #expect(bench.run("CHECK", previous + ", " + DelegationTests.delegated).message == "no lease")
    #expect(bench.manager.runs == ["host-local ADD", "host-local CHECK", "host-local CHECK"])
  }
}
