import ControlModel
import Support
import Testing

@testable import DockerDriver

/// Bodies as Docker 20.10, 26.1 and 28.5 sent them (recorded), and the answers they took.
@Suite struct RecordedCallTests {
  private let fixture = PluginFixture()

  @Test func whatThePluginIs() {
    #expect(fixture.call("Plugin.Activate") == #"{"Implements":["NetworkDriver","IpamDriver"]}"#)
    #expect(
      fixture.call("NetworkDriver.GetCapabilities")
        == #"{"ConnectivityScope":"local","GwAllocChecker":true,"Scope":"local"}"#)
    #expect(
      fixture.call("IpamDriver.GetCapabilities") == #"{"RequiresMACAddress":false,"RequiresRequestReplay":false}"#)
    #expect(
      fixture.call("IpamDriver.GetDefaultAddressSpaces")
        == #"{"GlobalDefaultAddressSpace":"martlet-global","LocalDefaultAddressSpace":"martlet-local"}"#)
    #expect(
      PluginFixture(scope: .global).call("NetworkDriver.GetCapabilities")
        == #"{"ConnectivityScope":"global","GwAllocChecker":true,"Scope":"global"}"#)
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test func `a network of Docker 28, with its aux-address and its options`() {
    let answer = fixture.call(
      "NetworkDriver.CreateNetwork",
      #"{"NetworkID": "\#(network)", "Options": {"com.docker.network.enable_ipv4": true, "com.docker.network.enable_ipv6": false, "com.docker.network.generic": {"com.docker.network.driver.mtu": "1400", "foo": "bar"}}, "IPv4Data": [{"AddressSpace": "LocalDefault", "AuxAddresses": {"r2": "10.50.0.2/16"}, "Gateway": "10.50.0.1/16", "Pool": "10.50.0.0/16"}], "IPv6Data": []}"#
    )
    #expect(answer == "{}")
    var request = NetworkRequest(name: "docker-58089b873311")
    (request.driver, request.internal) = ("bridge", false)
    (request.subnets, request.gateways) = (["10.50.0.0/16"], ["10.50.0.1"])
    request.auxiliaryAddresses = ["r2": "10.50.0.2"]
    // The control plane says what it does not know.
    request.options = ["com.docker.network.driver.mtu": "1400", "foo": "bar"]
    #expect(fixture.driver.calls == [.createNetwork(network, request)])
  }

  @Test func `a network of Docker 20, internal, and of both families`() {
    #expect(
      fixture.call(
        "NetworkDriver.CreateNetwork",
        #"{"NetworkID": "\#(network)", "Options": {"com.docker.network.enable_ipv6": true, "com.docker.network.generic": {}, "com.docker.network.internal": true}, "IPv4Data": [{"AddressSpace": "LocalDefault", "Gateway": "10.52.0.1/24", "Pool": "10.52.0.0/24"}], "IPv6Data": [{"AddressSpace": "LocalDefault", "Gateway": "fd00:52::1/64", "Pool": "fd00:52::/64"}]}"#
      ) == "{}")
    var request = NetworkRequest(name: "docker-58089b873311")
    (request.driver, request.internal, request.options) = ("bridge", true, [:])
    (request.subnets, request.gateways) = (["10.52.0.0/24", "fd00:52::/64"], ["10.52.0.1", "fd00:52::1"])
    #expect(fixture.driver.calls == [.createNetwork(network, request)])
  }

  @Test func deleteNetwork() {
    #expect(fixture.call("NetworkDriver.DeleteNetwork", #"{"NetworkID": "\#(network)"}"#) == "{}")
    #expect(fixture.driver.calls == [.deleteNetwork(network)])
  }

  @Test func `an endpoint without a MAC address gets one`() {
    #expect(
      fixture.call(
        "NetworkDriver.CreateEndpoint",
        #"{\#(ids), "Interface": {"Address": "10.52.0.77/24", "AddressIPv6": "fd00:52::77/64", "MacAddress": ""}, "Options": {"com.docker.network.endpoint.exposedports": [], "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.log_martians=1", "com.docker.network.portmap": []}}"#
      ) == #"{"Interface":{"MacAddress":"02:42:0a:32:05:00"}}"#)
    let request = DriverEndpointRequest(
      network: network, endpoint: endpoint, addresses: ["10.52.0.77/24", "fd00:52::77/64"])
    #expect(fixture.driver.calls == [.createEndpoint(request)])
  }

  /// Docker calls an error what comes back as it was given.
  @Test func `an endpoint with a MAC address gets none, and its ports are not published yet`() {
    #expect(
      fixture.call(
        "NetworkDriver.CreateEndpoint",
        #"{\#(ids), "Interface": {"Address": "10.50.9.9/16", "AddressIPv6": "", "MacAddress": "02:11:22:33:44:55"}, "Options": {"com.docker.network.endpoint.dnsservers": ["10.0.0.53"], "com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}], "com.docker.network.endpoint.macaddress": "AhEiM0RV", "com.docker.network.portmap": [{"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}]}}"#
      ) == #"{"Interface":{}}"#)
    let request = DriverEndpointRequest(
      network: network, endpoint: endpoint, addresses: ["10.50.9.9/16"], mac: "02:11:22:33:44:55")
    #expect(fixture.driver.calls == [.createEndpoint(request)])
  }

  @Test func `an internal network's endpoint comes with no options`() {
    _ = fixture.call(
      "NetworkDriver.CreateEndpoint",
      #"{\#(ids), "Interface": {"Address": "10.51.0.2/24", "AddressIPv6": "", "MacAddress": ""}, "Options": {}}"#)
    #expect(
      fixture.driver.calls == [
        .createEndpoint(DriverEndpointRequest(network: network, endpoint: endpoint, addresses: ["10.51.0.2/24"]))
      ])
  }

  private let joining =
    #"{\#(ids), "SandboxKey": "/var/run/docker/netns/06f9c2c2745d", "Options": {"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}], "com.docker.network.portmap": [{"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}]}}"#

  @Test func join() {
    #expect(
      fixture.call("NetworkDriver.Join", joining)
        == #"{"Gateway":"10.50.0.1","InterfaceName":{"DstPrefix":"eth","SrcName":"mt58089b"}}"#)
    #expect(
      fixture.driver.calls == [
        .join(network: network, endpoint: endpoint, sandbox: "/var/run/docker/netns/06f9c2c2745d")
      ])
  }

  @Test func `join of both families, and of none`() {
    let both = StandInDriver(answers: { $0.join.gateway6 = "fd00:52::1" })
    #expect(
      PluginFixture(driver: both).call("NetworkDriver.Join", joining)
        == #"{"Gateway":"10.50.0.1","GatewayIPv6":"fd00:52::1","InterfaceName":{"DstPrefix":"eth","SrcName":"mt58089b"}}"#
    )
    // Without the switch Docker adds a bridge of the kernel's.
    let none = StandInDriver(answers: { $0.join.gateway = nil })
    #expect(
      PluginFixture(driver: none).call("NetworkDriver.Join", joining)
        == #"{"DisableGatewayService":true,"InterfaceName":{"DstPrefix":"eth","SrcName":"mt58089b"}}"#)
  }

  @Test func programAndRevoke() {
    #expect(
      fixture.call(
        "NetworkDriver.ProgramExternalConnectivity",
        #"{\#(ids), "Options": {"com.docker.network.driver.private.no_proxy_6to4": false, "com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}, {"Proto": 6, "Port": 70}, {"Proto": 17, "Port": 53}], "com.docker.network.portmap": [{"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080}, {"Proto": 6, "IP": "", "Port": 70, "HostIP": "", "HostPort": 7000, "HostPortEnd": 7001}, {"Proto": 17, "IP": "", "Port": 53, "HostIP": "127.0.0.1", "HostPort": 5353, "HostPortEnd": 5353}]}}"#
      ) == "{}")
    #expect(fixture.call("NetworkDriver.RevokeExternalConnectivity", "{\(ids)}") == "{}")
    #expect(
      fixture.driver.calls == [
        .publish(
          network: network, endpoint: endpoint,
          ports: ["8080:80/tcp", "7000-7001:70/tcp", "127.0.0.1:5353:53/udp"]),
        .unpublish(network: network, endpoint: endpoint),
      ])
  }

  @Test func `without ports there is nothing to publish`() {
    #expect(
      fixture.call(
        "NetworkDriver.ProgramExternalConnectivity",
        #"{\#(ids), "Options": {"com.docker.network.endpoint.exposedports": [], "com.docker.network.portmap": []}}"#)
        == "{}")
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test func leaveAndDeleteEndpoint() {
    #expect(fixture.call("NetworkDriver.Leave", "{\(ids)}") == "{}")
    #expect(fixture.call("NetworkDriver.DeleteEndpoint", "{\(ids)}") == "{}")
    #expect(
      fixture.driver.calls == [
        .leave(network: network, endpoint: endpoint), .deleteEndpoint(network: network, endpoint: endpoint),
      ])
  }

  @Test func endpointOperInfo() {
    #expect(
      fixture.call("NetworkDriver.EndpointOperInfo", "{\(ids)}")
        == #"{"Value":{"Addresses":["10.0.0.2/24","fd00::2/64"],"Detail":"its interface is gone","Interface":"eth0","MacAddress":"02:42:0a:00:00:02","Published":[{"host_ip":"0.0.0.0","host_port":8080,"port":80,"protocol":"tcp"}],"State":"down"}}"#
    )
    #expect(fixture.driver.calls == [.endpointInformation(network: network, endpoint: endpoint)])
  }

  @Test func addresses() {
    #expect(
      fixture.call(
        "IpamDriver.RequestPool",
        #"{"AddressSpace": "martlet-local", "Pool": "", "SubPool": "", "Options": {}, "V6": false}"#)
        == #"{"Data":{},"Pool":"10.77.0.0/24","PoolID":"10.77.0.0/24"}"#)
    _ = fixture.call(
      "IpamDriver.RequestPool",
      #"{"AddressSpace": "martlet-local", "Pool": "10.71.0.0/16", "SubPool": "10.71.5.0/24", "Options": null, "V6": false}"#
    )
    _ = fixture.call(
      "IpamDriver.RequestPool",
      #"{"AddressSpace": "martlet-local", "Pool": "fd00:71::/64", "SubPool": "", "Options": {}, "V6": true}"#)
    #expect(
      fixture.call(
        "IpamDriver.RequestAddress",
        #"{"PoolID": "p1", "Address": "", "Options": {"RequestAddressType": "com.docker.network.gateway"}}"#)
        == #"{"Address":"10.77.0.2/24","Data":{}}"#)
    _ = fixture.call("IpamDriver.RequestAddress", #"{"PoolID": "p1", "Address": "10.71.5.5", "Options": null}"#)
    _ = fixture.call(
      "IpamDriver.RequestAddress",
      #"{"PoolID": "p1", "Address": "", "Options": {"com.docker.network.endpoint.macaddress": "02:42:ad:68:bc:9f"}}"#)
    #expect(fixture.call("IpamDriver.ReleaseAddress", #"{"PoolID": "p1", "Address": "10.71.5.5"}"#) == "{}")
    #expect(fixture.call("IpamDriver.ReleasePool", #"{"PoolID": "p1"}"#) == "{}")
    #expect(
      fixture.driver.calls == [
        .requestPool(DriverPoolRequest()),
        .requestPool(DriverPoolRequest(pool: "10.71.0.0/16", range: "10.71.5.0/24")),
        .requestPool(DriverPoolRequest(pool: "fd00:71::/64", isIPv6: true)),
        .requestAddress(pool: "p1", address: nil, isGateway: true),
        .requestAddress(pool: "p1", address: "10.71.5.5", isGateway: false),
        .requestAddress(pool: "p1", address: nil, isGateway: false),
        .releaseAddress(pool: "p1", address: "10.71.5.5"),
        .releasePool("p1"),
      ])
  }
}
