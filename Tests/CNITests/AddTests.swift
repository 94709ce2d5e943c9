import ControlModel
import Testing

@testable import CNI

@Suite struct AddTests {
  /// The shapes of CNI 0.3.1, "Result", 0.4.0, the same, and 1.0.0 and 1.1.0, section 5.
  @Test(arguments: [
    (
      "0.3.0",
      #"{"cniVersion":"0.3.0","dns":{},"interfaces":[{"mac":"02:00:00:00:00:55","name":"eth0","sandbox":"/run/netns/cnic"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":0,"version":"4"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}"#
    ),
    (
      "0.3.1",
      #"{"cniVersion":"0.3.1","dns":{},"interfaces":[{"mac":"02:00:00:00:00:55","name":"eth0","sandbox":"/run/netns/cnic"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":0,"version":"4"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}"#
    ),
    (
      "0.4.0",
      #"{"cniVersion":"0.4.0","dns":{},"interfaces":[{"mac":"02:00:00:00:00:55","name":"eth0","sandbox":"/run/netns/cnic"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":0,"version":"4"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}"#
    ),
    (
      "1.0.0",
      #"{"cniVersion":"1.0.0","dns":{},"interfaces":[{"mac":"02:00:00:00:00:55","name":"eth0","sandbox":"/run/netns/cnic"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}"#
    ),
    (
      "1.1.0",
      #"{"cniVersion":"1.1.0","dns":{},"interfaces":[{"mac":"02:00:00:00:00:55","mtu":1500,"name":"eth0","sandbox":"/run/netns/cnic"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}"#
    ),
  ])
  func answersInTheShapeOfTheVersion(version: String, expected: String) {
    let answer = PluginBench().run("ADD", version: version)
    #expect(answer.status == 0 && answer.output?.text == expected)
  }

  @Test func makesTheNetworkAndLeavesLabels() {
    let bench = PluginBench()
    bench.run(
      "ADD",
      #""network": "blue", "subnets": ["10.1.0.0/24", "fd01::/64"], "gateway": "10.1.0.9", "internal": true, "mtu": 1400, "options": {"a": "b", "n": 7}, "bridge": "br7", "ipMasq": false, "driver": "bridge""#
    )
    var request = NetworkRequest(name: "blue")
    (request.driver, request.internal, request.mtu) = ("bridge", true, 1400)
    (request.subnets, request.gateways) = (["10.1.0.0/24", "fd01::/64"], ["10.1.0.9"])
    request.options = [
      "a": "b", "n": "7", "com.docker.network.bridge.name": "br7",
      "com.docker.network.bridge.enable_ip_masquerade": "false",
    ]
    #expect(bench.service.calls.contains(.createNetwork(request)))
    let labels = [
      "org.martlet.cni.network": "lan", "org.martlet.cni.container": "ctr1", "org.martlet.cni.interface": "eth0",
    ]
    #expect(bench.connects.map(\.labels) == [labels] && bench.connects.map(\.mtu) == [1400])
    // The network stays, and is there for the next.
    bench.run("ADD", #""network": "blue""#, ["CNI_CONTAINERID": "ctr2", "CNI_NETNS": "/run/netns/other"])
    #expect(bench.service.shownNetworks.count == 1 && bench.connects.count == 2)
  }

  @Test func tellsWhereNamesAreAnsweredUnlessToldOtherwise() {
    let own = PluginBench().run("ADD", #""network": "named""#)
    #expect(own["dns"]?.text == #"{"nameservers":["10.1.0.1"]}"#)
    let told = PluginBench().run("ADD", #""network": "named", "dns": {"nameservers": ["192.0.2.1"]}"#)
    #expect(told["dns"]?.text == #"{"nameservers":["192.0.2.1"]}"#)
  }

  @Test func twoAtTheSameMomentShareTheNetwork() {
    let bench = PluginBench()
    let service = bench.service
    bench.service.refuses = { call in
      guard case .createNetwork(let request) = call else { return nil }
      // The other has made it in the meantime.
      service.refuses = { _ in nil }
      _ = try? service.createNetwork(request)
      return ControlError(.conflict, "network lan exists already")
    }
    #expect(bench.run("ADD", #""subnet": "10.1.0.0/24""#).status == 0)
    #expect(service.shownNetworks.count == 1 && bench.connects.count == 1)
  }

  @Test func aTakenSubnetIsSaid() {
    let bench = PluginBench()
    bench.service.refuses = {
      if case .createNetwork = $0 { ControlError(.conflict, "10.1.0.0/24 is taken by network web") } else { nil }
    }
    let answer = bench.run("ADD", #""subnet": "10.1.0.0/24""#)
    #expect(answer.code == 100 && answer.message.contains("network web") && bench.connects.isEmpty)
  }

  @Test(arguments: [
    #""subnet": "10.2.0.0/24""#, #""gateway": "10.1.0.9""#, #""driver": "macvlan""#, #""internal": true"#,
    #""ipam": {"type": "martlet", "subnet": "10.2.0.0/24"}"#,
  ])
  func aNetworkThatIsOtherwiseIsRefused(configuration: String) {
    let bench = PluginBench()
    bench.run("ADD")
    let answer = bench.run("ADD", configuration, ["CNI_CONTAINERID": "ctr2"])
    #expect(answer.code == 7 && answer.message.contains("network lan exists") && bench.connects.count == 1)
  }

  @Test func capabilities() {
    let bench = PluginBench()
    let answer = bench.run(
      "ADD",
      #"""
      "capabilities": {"portMappings": true}, "dns": {"nameservers": ["192.0.2.1"]},
      "args": {"cni": {"labels": [{"key": "app", "value": "shop"}], "ips": ["10.1.0.3"]}},
      "runtimeConfig": {
        "portMappings": [
          {"hostPort": 8081, "containerPort": 81, "protocol": "TCP"}, {"hostPort": 8080, "containerPort": 80},
          {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "::1"}],
        "aliases": {"lan": ["web"], "other": ["no"]}, "mac": "02:00:00:00:00:07", "ips": ["10.1.0.7/24", "fd01::7/64"],
        "bandwidth": {"ingressRate": 0}, "deviceID": "0000:00:1f.6",
        "dns": {"servers": ["192.0.2.53"], "searches": ["example"], "options": ["ndots:2"]}}
      """#,
      ["CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=shop-0;MAC=02:00:00:00:00:08;IP=10.1.0.8;FOO=bar"])
    #expect(answer.status == 0)
    var request = ConnectRequest(sandbox: PluginBench.namespace)
    (request.ip, request.ip6, request.mac, request.interface) = ("10.1.0.7", "fd01::7", "02:00:00:00:00:07", "eth0")
    (request.aliases, request.publish) = (["web", "shop-0"], ["8080-8081:80-81/tcp", "[::1]:5353:53/udp"])
    request.labels = [
      "org.martlet.cni.network": "lan", "org.martlet.cni.container": "ctr1", "org.martlet.cni.interface": "eth0",
      "app": "shop",
    ]
    #expect(bench.connects == [request])
    #expect(
      answer["dns"]?.text == #"{"nameservers":["192.0.2.53"],"options":["ndots:2"],"search":["example"]}"#)
  }

  @Test func bandwidth() {
    let bench = PluginBench()
    let rates = #""runtimeConfig": {"bandwidth": {"ingressRate": 1000000, "ingressBurst": 9, "egressRate": 2000000}}"#
    #expect(bench.run("ADD", rates).status == 0)
    let changes = bench.service.calls.compactMap { if case .changeEndpoint(_, let change) = $0 { change } else { nil } }
    // What the container gets is what the switch sends.
    var expected = EndpointChange()
    (expected.rateIn, expected.rateOut) = (2_000_000, 1_000_000)
    #expect(changes == [expected])
    bench.service.refuses = { if case .changeEndpoint = $0 { ControlError(.invalid, "too slow") } else { nil } }
    #expect(bench.run("ADD", rates, ["CNI_CONTAINERID": "ctr2"]).code == 7 && bench.removals.count == 1)
  }

  @Test func argumentsCountWhereNothingElseIsSaid() {
    let bench = PluginBench()
    let answer = bench.run(
      "ADD", #""dns": {"nameservers": ["192.0.2.1"]}"#,
      ["CNI_ARGS": "MAC=02:00:00:00:00:08;IP=10.1.0.8,fd01::8/64;K8S_POD_NAME=not a name"])
    #expect(bench.connects.map(\.mac) == ["02:00:00:00:00:08"] && bench.connects.map(\.aliases) == [nil])
    #expect(bench.connects.map(\.ip) == ["10.1.0.8"] && bench.connects.map(\.ip6) == ["fd01::8"])
    #expect(answer["dns"]?.text == #"{"nameservers":["192.0.2.1"]}"#)
  }

  @Test func routesOfOurOwnAddresses() {
    let bench = PluginBench()
    bench.run("ADD", #""ipam": {"type": "martlet", "routes": [{"dst": "10.9.0.0/16", "gw": "10.1.0.7"}]}"#)
    #expect(bench.connects[0].routes == [RouteRequest(destination: "10.9.0.0/16", gateway: "10.1.0.7")])
    #expect(bench.connects[0].noDefaultRoute == true)
    bench.run(
      "ADD", #""isDefaultGateway": true, "ipam": {"routes": [{"dst": "10.9.0.0/16"}]}"#, ["CNI_CONTAINERID": "b"])
    #expect(bench.connects[1].noDefaultRoute == nil && bench.connects[1].routes?.count == 1)
  }

  @Test func behindOthersInAChain() {
    let bench = PluginBench()
    let answer = bench.run(
      "ADD",
      #"""
      "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "dummy0", "sandbox": "/x", "new": 1}],
        "ips": [{"address": "192.0.2.7/24", "interface": 0}], "routes": [{"dst": "192.0.2.0/24", "priority": 7}],
        "dns": {"domain": "example"}, "more": [true, null, 1.5]}
      """#, version: "1.0.0")
    let expected =
      #"{"cniVersion":"1.0.0","dns":{"domain":"example"},"interfaces":[{"name":"dummy0","new":1,"sandbox":"/x"},{"mac":"02:00:00:00:00:55","name":"eth0","sandbox":"/run/netns/cnic"}],"ips":[{"address":"192.0.2.7/24","interface":0},{"address":"10.1.0.2/24","gateway":"10.1.0.1","interface":1}],"more":[true,null,1.5],"routes":[{"dst":"192.0.2.0/24","priority":7},{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]}"#
    #expect(answer.status == 0 && answer.output?.text == expected)
  }

  @Test func whatCannotBeAnsweredIsTakenBack() {
    let bench = PluginBench()
    bench.service.refuses = { if case .sandbox = $0 { ControlError(.system, "no memory") } else { nil } }
    let answer = bench.run("ADD")
    #expect(answer.code == 102 && bench.removals.count == 1 && bench.service.shownEndpoints.isEmpty)
    let chained = PluginBench()
    #expect(chained.run("ADD", #""prevResult": {"interfaces": 7}"#).code == 7)
    #expect(chained.removals.count == 1)
  }

  @Test(arguments: [
    (ControlError.Code.conflict, 100), (.exhausted, 101), (.system, 102), (.notFound, 3), (.unsupported, 2),
    (.invalid, 7), (.tooLarge, 7), (.unreachable, 11),
  ])
  func theDaemonsRefusalsHaveCodes(code: ControlError.Code, expected: Int) {
    let bench = PluginBench()
    bench.service.refuses = { if case .connect = $0 { ControlError(code, "so it is") } else { nil } }
    let answer = bench.run("ADD", version: "0.4.0")
    #expect(answer.status == 1 && answer.code == expected && answer.message == "so it is")
    #expect(answer["cniVersion"] == "0.4.0")
  }
}
