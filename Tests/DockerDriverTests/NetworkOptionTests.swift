import ControlModel
import Support
import Testing

@testable import DockerDriver

@Suite struct NetworkOptionTests {
  private static let mode4 = "com.docker.network.bridge.gateway_mode_ipv4"
  private static let mode6 = "com.docker.network.bridge.gateway_mode_ipv6"

  /// The request that a network with these options comes to, or the refusal.
  private func request(
    _ generic: String = "{}", ipv4: String = #"[{"Gateway": "10.1.0.1/24", "Pool": "10.1.0.0/24"}]"#,
    ipv6: String = "[]"
  ) throws -> NetworkRequest {
    let fixture = PluginFixture()
    let answer = fixture.call(
      "NetworkDriver.CreateNetwork",
      #"{"NetworkID": "\#(network)", "Options": {"com.docker.network.generic": \#(generic)}, "IPv4Data": \#(ipv4), "IPv6Data": \#(ipv6)}"#
    )
    guard case .createNetwork(_, let request) = fixture.driver.calls.first else {
      throw ControlError(.invalid, answer)
    }
    #expect(answer == "{}")
    return request
  }

  private func refusal(_ generic: String, ipv4: String? = nil, ipv6: String = "[]") -> String {
    do {
      let got = if let ipv4 { try request(generic, ipv4: ipv4, ipv6: ipv6) } else { try request(generic, ipv6: ipv6) }
      return "was not refused: \(got)"
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: [
    (#"{"parent": "eth1"}"#, "macvlan", ["parent": "eth1"]),
    (#"{"macvlan_mode": "vepa"}"#, "macvlan", ["macvlan_mode": "vepa"]),
    (#"{"parent": "eth1", "ipvlan_mode": "l3"}"#, "ipvlan", ["parent": "eth1", "ipvlan_mode": "l3"]),
    (#"{"org.martlet.driver": "ipvlan", "parent": "eth1"}"#, "ipvlan", ["parent": "eth1"]),
    (#"{"org.martlet.driver": "overlay"}"#, "overlay", [:]),
    (
      #"{"org.martlet.driver": "overlay", "com.docker.network.driver.overlay.vxlanid_list": "7", "encrypted": ""}"#,
      "overlay", ["com.docker.network.driver.overlay.vxlanid_list": "7", "encrypted": ""]
    ),
    (#"{"com.docker.network.bridge.name": "br9"}"#, "bridge", ["com.docker.network.bridge.name": "br9"]),
    (#"{"com.docker.network.advertise_addr_nmsgs": "2", "com.docker.network.advertise_addr_ms": "50"}"#, "bridge", [:]),
    ("null", "bridge", [:]),
  ]) func driver(generic: String, driver: String, passedOn: [String: String]) throws {
    let request = try request(generic)
    #expect(request.driver == driver && request.options == passedOn && request.gatewayMode == nil)
  }

  @Test func gatewayModes() throws {
    let v6 = #"[{"Gateway": "fd00:1::1/64", "Pool": "fd00:1::/64"}]"#
    let one = try request(#"{"\#(Self.mode4)": "isolated"}"#)
    #expect(one.gatewayMode == "isolated" && one.options == [:])
    let both = try request(#"{"\#(Self.mode4)": "nat-unprotected", "\#(Self.mode6)": "nat-unprotected"}"#, ipv6: v6)
    #expect(both.gatewayMode == "nat-unprotected" && both.options == [:])
    let absent = try request(#"{"\#(Self.mode4)": "isolated", "\#(Self.mode6)": "routed"}"#)
    #expect(absent.gatewayMode == "isolated" && absent.options == [:])
    let each = try request(#"{"\#(Self.mode4)": "nat", "\#(Self.mode6)": "routed"}"#, ipv6: v6)
    #expect(each.gatewayMode == nil && each.options == [Self.mode4: "nat", Self.mode6: "routed"])
    #expect(
      refusal(#"{"\#(Self.mode4)": "isolated"}"#, ipv6: v6).contains("\(Self.mode6) must be isolated too"))
    #expect(
      refusal(#"{"\#(Self.mode4)": "nat", "\#(Self.mode6)": "isolated"}"#, ipv6: v6)
        .contains("\(Self.mode4) must be isolated too"))
  }

  /// Docker gives containers what it has not kept for a gateway.
  @Test func `without a gateway there is none of ours either`() throws {
    let request = try request(
      #"{"\#(Self.mode4)": "isolated"}"#, ipv4: #"[{"AddressSpace": "LocalDefault", "Pool": "10.9.0.0/31"}]"#)
    #expect(request.noGateway == true && request.gateways == nil && request.subnets == ["10.9.0.0/31"])
    #expect(
      refusal("{}", ipv4: #"[{"Pool": "10.9.0.0/24"}]"#, ipv6: #"[{"Gateway": "fd00::1/64", "Pool": "fd00::/64"}]"#)
        .contains("in each subnet of a network, or in none"))
  }

  @Test func `IPv6 alone, and no addresses at all`() throws {
    let alone = try request(ipv4: "[]", ipv6: #"[{"Gateway": "fd00:1::1/64", "Pool": "fd00:1::/64"}]"#)
    #expect(alone.subnets == ["fd00:1::/64"] && alone.gateways == ["fd00:1::1"] && alone.ipv6 == nil)
    let none = try request(#"{"parent": "eth1"}"#, ipv4: #"[{"Pool": "0.0.0.0/0"}]"#, ipv6: "null")
    #expect(none.subnets == [] && none.noGateway == true && none.driver == "macvlan")
  }

  @Test func `an aux-address of the same name in each family`() throws {
    let request = try request(
      ipv4: #"[{"Gateway": "10.1.0.1/24", "Pool": "10.1.0.0/24", "AuxAddresses": {"r": "10.1.0.9/24"}}]"#,
      ipv6: #"[{"Gateway": "fd00::1/64", "Pool": "fd00::/64", "AuxAddresses": {"r": "fd00::9/64"}}]"#)
    #expect(request.auxiliaryAddresses == ["r": "10.1.0.9", "r (IPv6)": "fd00::9"])
    #expect(
      refusal(
        "{}",
        ipv4:
          #"[{"Gateway": "10.1.0.1/24", "Pool": "10.1.0.0/24", "AuxAddresses": {"DefaultGatewayIPv4": "10.1.0.9/24"}}]"#
      ).contains("--gateway"))
  }

  @Test(arguments: [
    (#"{"com.docker.network.bridge.trusted_host_interfaces": "eth0"}"#, "gateway mode nat-unprotected or routed"),
    (#"{"com.docker.network.endpoint.ifname": "x0"}"#, "container_iface_prefix"),
    (#"{"org.martlet.driver": "host"}"#, "use --network host"),
  ]) func meaningless(generic: String, reason: String) {
    #expect(refusal(generic).contains(reason), "\(refusal(generic))")
  }

  @Test func gatewayAllocation() {
    let fixture = PluginFixture()
    func check(_ generic: String, ipv6: Bool = false) -> String {
      fixture.call(
        "NetworkDriver.GwAllocCheck",
        #"{"Options": {"com.docker.network.enable_ipv4": true, "com.docker.network.enable_ipv6": \#(ipv6), "com.docker.network.generic": \#(generic)}}"#
      )
    }
    #expect(check("{}") == #"{"SkipIPv4":false,"SkipIPv6":false}"#)
    #expect(check(#"{"\#(Self.mode4)": "isolated"}"#) == #"{"SkipIPv4":true,"SkipIPv6":true}"#)
    #expect(check(#"{"\#(Self.mode4)": "nat-unprotected"}"#) == #"{"SkipIPv4":false,"SkipIPv6":false}"#)
    #expect(check(#"{"\#(Self.mode4)": "isolated"}"#, ipv6: true).hasPrefix(#"{"Err":"gateway mode isolated is for"#))
    #expect(
      check(#"{"com.docker.network.endpoint.sysctls": ""}"#).hasPrefix(#"{"Err":"option com.docker.network.endpoint"#))
    #expect(fixture.call("NetworkDriver.GwAllocCheck", "{}") == #"{"SkipIPv4":false,"SkipIPv6":false}"#)
    #expect(fixture.driver.calls.isEmpty)
  }
}

@Suite struct EndpointOptionTests {
  private func create(_ options: String) -> (answer: String, calls: [StandInDriver.Call]) {
    let fixture = PluginFixture()
    let answer = fixture.call("NetworkDriver.CreateEndpoint", #"{\#(ids), "Interface": null, "Options": \#(options)}"#)
    return (answer, fixture.driver.calls)
  }

  @Test func mtu() {
    let created = create(#"{"com.docker.network.driver.mtu": "1280", "com.docker.network.driver.private.x": {"y": 1}}"#)
    #expect(created.calls == [.createEndpoint(DriverEndpointRequest(network: network, endpoint: endpoint, mtu: 1280))])
  }

  @Test(arguments: [
    (
      #"{"a": "b", "com.docker.network.portmap": []}"#,
      #"option \"a\" of an endpoint is not known: known is com.docker"#
    ),
    (#"{"com.docker.network.endpoint.ifname": "x0"}"#, "container_iface_prefix"),
    (#"{"com.docker.network.driver.mtu": "large"}"#, #"\"large\" is no number"#),
    (#"{"com.docker.network.driver.mtu": 1400}"#, "com.docker.network.driver.mtu must be a string"),
  ]) func refused(options: String, reason: String) {
    let created = create(options)
    #expect(created.answer.hasPrefix(#"{"Err":"#) && created.answer.contains(reason), "\(created.answer)")
    #expect(created.calls.isEmpty)
  }
}
