import ControlModel
import Testing

@testable import CNI

/// Addresses of another plugin.
@Suite struct DelegationTests {
  static let delegated = #""ipam": {"type": "host-local"}"#

  @Test func itsAddressesAreTaken() {
    let bench = PluginBench()
    bench.manager.answer = #"""
      {"ips": [{"address": "10.97.0.5/24", "gateway": "10.97.0.1"}, {"address": "fd97::5/64", "gateway": "fd97::1"}],
       "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.97.0.9"}], "dns": {"domain": "example"}}
      """#
    let answer = bench.run("ADD", Self.delegated, version: "1.0.0", ["CNI_ARGS": "IP=10.97.0.99"])
    #expect(answer.status == 0 && bench.manager.runs == ["host-local ADD"])
    let network = bench.service.shownNetworks[0]
    #expect(network.subnets.map(\.subnet) == ["10.97.0.0/24", "fd97::/64"])
    #expect(network.subnets.map(\.gateway) == ["10.97.0.1", "fd97::1"])
    let request = bench.connects[0]
    #expect(request.ip == "10.97.0.5" && request.ip6 == "fd97::5" && request.noDefaultRoute == nil)
    #expect(request.routes == [RouteRequest(destination: "10.9.0.0/16", gateway: "10.97.0.9")])
    #expect(answer["dns"]?.text == #"{"domain":"example"}"#)
    #expect(
      answer["ips"]?.text
        == #"[{"address":"10.97.0.5/24","gateway":"10.97.0.1","interface":0},{"address":"fd97::5/64","gateway":"fd97::1","interface":0}]"#
    )
  }

  @Test func withoutADefaultRouteThereIsNone() {
    let bench = PluginBench()
    bench.run("ADD", Self.delegated)
    #expect(bench.connects[0].noDefaultRoute == true && bench.connects[0].routes == nil)
    bench.run("ADD", Self.delegated + #", "isDefaultGateway": true"#, ["CNI_CONTAINERID": "b"])
    #expect(bench.connects[1].noDefaultRoute == nil)
  }

  @Test func withoutAGatewayTheNetworkHasNone() {
    let bench = PluginBench()
    bench.manager.answer = #"{"ips": [{"address": "10.97.0.2/24"}]}"#
    bench.run("ADD", Self.delegated)
    #expect(bench.service.shownNetworks[0].subnets.map(\.gateway) == [nil])
  }

  @Test func itsRefusalIsPassedOnAndNothingIsMade() {
    let bench = PluginBench()
    bench.manager.refusal["ADD"] = CNIError(CNIError.Code(rawValue: 999), "no IP addresses available", details: "x")
    let answer = bench.run("ADD", Self.delegated)
    #expect(answer.code == 999 && answer.message == "no IP addresses available" && answer["details"] == "x")
    #expect(bench.connects.isEmpty && bench.manager.runs == ["host-local ADD"])
  }

  @Test(arguments: [
    "no JSON", "[]", "{}", #"{"ips": []}"#, #"{"ips": 7}"#, #"{"ips": [{"address": "10.97.0.2"}]}"#,
    #"{"ips": [{"address": "10.97.0.2/24", "gateway": "x"}]}"#,
    #"{"ips": [{"address": "10.97.0.2/24"}, {"address": "10.97.0.3/24"}]}"#,
    #"{"ips": [{"address": "10.97.0.2/24", "gateway": "10.97.0.1"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.97.0.9"}]}"#,
    #"{"ips": [{"address": "10.97.0.2/24"}], "routes": [{"dst": "10.0.0.0/8", "table": 7}]}"#,
    #"{"ips": [{"address": "10.97.0.2/24"}], "routes": [{}]}"#,
  ])
  func whatMakesNoSenseIsGivenBack(answer: String) {
    let bench = PluginBench()
    bench.manager.answer = answer
    let refused = bench.run("ADD", Self.delegated)
    #expect(refused.status == 1 && !refused.message.isEmpty)
    #expect(bench.service.shownEndpoints.isEmpty && bench.manager.runs == ["host-local ADD", "host-local DEL"])
  }

  @Test func aRefusedConnectionGivesBackTheAddress() {
    let bench = PluginBench()
    bench.service.refuses = {
      if case .connect = $0 { ControlError(.conflict, "has an interface eth0 already") } else { nil }
    }
    bench.manager.refusal["DEL"] = CNIError(.system, "this one too")
    let answer = bench.run("ADD", Self.delegated)
    #expect(answer.code == 100 && answer.message.contains("eth0"))
    #expect(bench.manager.runs == ["host-local ADD", "host-local DEL"])
  }

  @Test func aSecondADDDoesNotTakeTheFirstOnesAddress() {
    let bench = PluginBench()
    bench.run("ADD", Self.delegated)
    let answer = bench.run("ADD", Self.delegated)
    #expect(answer.code == 100 && bench.manager.runs == ["host-local ADD"] && bench.connects.count == 1)
  }

  @Test func theOtherCommandsReachIt() {
    let bench = PluginBench()
    for command in ["DEL", "GC", "STATUS"] {
      #expect(bench.run(command, Self.delegated + #", "cni.dev/valid-attachments": []"#).status == 0)
      bench.manager.refusal[command] = CNIError(.notAvailable, "the plugin's words")
      #expect(
        bench.run(command, Self.delegated + #", "cni.dev/valid-attachments": []"#).message == "the plugin's words")
    }
    #expect(Set(bench.manager.runs) == ["host-local DEL", "host-local GC", "host-local STATUS"])
  }

  @Test func whereTheDaemonIsSilentTheAddressIsKept() {
    let bench = PluginBench()
    bench.service.refusal = ControlError(.unreachable, "nobody there")
    #expect(bench.run("DEL", Self.delegated).code == 11 && bench.manager.runs.isEmpty)
  }
}
