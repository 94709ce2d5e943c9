import ControlModel
import Support
import Testing

@testable import DockerDriver

/// Bodies as a swarm of Docker 20.10.24 sent them to a managed plugin (recorded), and the answers it took.
@Suite struct SwarmTests {
  private let fixture = PluginFixture(scope: .global)
  private let id = "yt1bhbdjxt7l8wf5ih6siwbau"
  private let vniKey = "com.docker.network.driver.overlay.vxlanid_list"

  private func allocate(_ options: String) -> String {
    fixture.call(
      "NetworkDriver.AllocateNetwork",
      #"{"NetworkID":"\#(id)","Options":\#(options),"IPv4Data":[{"AddressSpace":"","Gateway":"10.91.0.1/24","Pool":"10.91.0.0/24"}],"IPv6Data":null}"#
    )
  }

  private func create(_ generic: String) -> String {
    fixture.call(
      "NetworkDriver.CreateNetwork",
      #"{"NetworkID":"\#(id)","Options":{"com.docker.network.enable_ipv6":false,"com.docker.network.generic":\#(generic)},"IPv4Data":[{"AddressSpace":"LocalDefault","Gateway":"10.91.0.1/24","Pool":"10.91.0.0/24"}],"IPv6Data":[]}"#
    )
  }

  private func request(_ options: [String: String]) -> NetworkRequest {
    var request = NetworkRequest(name: "docker-yt1bhbdjxt7l")
    (request.driver, request.internal, request.options) = ("overlay", false, options)
    (request.subnets, request.gateways) = (["10.91.0.0/24"], ["10.91.0.1"])
    return request
  }

  @Test func `what the manager is answered, each host can be asked for`() {
    let answer = allocate("{}")
    #expect(
      answer
        == #"{"Options":{"com.docker.network.driver.overlay.vxlanid_list":"4711","org.martlet.network":"\#(id)","port":"8472"}}"#
    )
    #expect(create(String(answer.dropFirst(#"{"Options":"#.count).dropLast())) == "{}")
    #expect(fixture.call("NetworkDriver.DeleteNetwork", #"{"NetworkID": "\#(id)"}"#) == "{}")
    #expect(fixture.call("NetworkDriver.FreeNetwork", #"{"NetworkID": "\#(id)"}"#) == "{}")
    #expect(
      fixture.driver.calls == [
        .allocateNetwork(id, request([:]), isRepeated: false),
        .createNetwork(id, request([vniKey: "4711", "port": "8472"])), .deleteNetwork(id), .freeNetwork(id),
      ])
  }

  /// As from another manager: with what was answered before.
  @Test func `a network that is allocated again`() {
    let before =
      #""com.docker.network.driver.overlay.vxlanid_list":"4711","org.martlet.network":"\#(id)","port":"4790""#
    #expect(allocate("{\(before)}") == #"{"Options":{\#(before)}}"#)
    let again = request([vniKey: "4711", "port": "4790"])
    // Of another network's answer nothing was handed out to this one.
    _ = allocate(#"{"org.martlet.network":"another"}"#)
    #expect(
      fixture.driver.calls == [
        .allocateNetwork(id, again, isRepeated: true), .allocateNetwork(id, request([:]), isRepeated: false),
      ])
  }

  @Test func `what a user asks for reaches all hosts`() {
    _ = allocate(#"{"vni":"77","ttl":"9","org.martlet.driver":"bridge"}"#)
    var asked = request(["vni": "77", "ttl": "9"])
    asked.driver = "bridge"
    #expect(fixture.driver.calls == [.allocateNetwork(id, asked, isRepeated: false)])
  }

  /// Docker's own options of networks on a LAN choose nothing here: the control plane says what it does not know.
  @Test func `a swarm's network is an overlay`() {
    _ = allocate(#"{"parent":"eth1"}"#)
    #expect(fixture.driver.calls == [.allocateNetwork(id, request(["parent": "eth1"]), isRepeated: false)])
  }

  @Test func `hosts differ in their address`() {
    #expect(allocate(#"{"local":"192.0.2.1"}"#).hasPrefix(#"{"Err":"option local is not supported: hosts differ"#))
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test func nodes() {
    func discover(_ method: String, _ data: String) {
      #expect(fixture.call("NetworkDriver." + method, #"{"DiscoveryType":1,"DiscoveryData":\#(data)}"#) == "{}")
    }
    discover("DiscoverNew", #"{"Address":"192.0.2.1","BindAddress":"192.0.2.1","Self":true}"#)
    discover("DiscoverNew", #"{"Address":"192.0.2.2","BindAddress":"","Self":false}"#)
    discover("DiscoverDelete", #"{"Address":"192.0.2.2","BindAddress":"","Self":false}"#)
    // Its own, told as those of the others are.
    discover("DiscoverNew", #"{"Address":"198.51.100.1","BindAddress":"","Self":true}"#)
    discover("DiscoverDelete", #"{"Address":"198.51.100.1","BindAddress":"","Self":true}"#)
    #expect(
      fixture.driver.calls == [
        .nodeCame("192.0.2.1", isOwn: true), .nodeCame("192.0.2.2", isOwn: false), .nodeWent("192.0.2.2"),
      ])
  }

  @Test func `what is no node is passed over, and so are nodes of those that have no part in a swarm`() {
    // Keys of Docker's own encrypted overlays.
    let keys = #"{"DiscoveryType":3,"DiscoveryData":{"Keys":["c2VjcmV0"],"Tags":[1]}}"#
    #expect(fixture.call("NetworkDriver.DiscoverNew", keys) == "{}")
    #expect(fixture.driver.calls.isEmpty)
    let local = PluginFixture()
    let node = #"{"DiscoveryType":1,"DiscoveryData":{"Address":"10.0.0.1","BindAddress":"10.0.0.1","Self":true}}"#
    for method in ["DiscoverNew", "DiscoverDelete"] { #expect(local.call("NetworkDriver." + method, node) == "{}") }
    #expect(local.driver.calls.isEmpty)
    #expect(fixture.call("NetworkDriver.DiscoverNew", #"{"DiscoveryType":1}"#).hasPrefix(#"{"Err":"#))
  }
}
