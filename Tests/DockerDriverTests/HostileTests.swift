import ControlModel
import HTTPService
import NIOHTTP1
import Support
import Testing

@testable import DockerDriver

@Suite struct HostileTests {
  private let fixture = PluginFixture()

  private static let withArgument = Plugin.methods.keys.sorted().filter {
    !$0.hasPrefix("Plugin.") && !$0.hasSuffix("Capabilities") && !$0.hasSuffix("AddressSpaces")
  }

  private func field(of method: String) -> String { method.hasPrefix("IpamDriver.") ? #"{"Error":""# : #"{"Err":""# }

  @Test func `all methods of Docker 28 are there`() {
    let network = [
      "GetCapabilities", "GwAllocCheck", "AllocateNetwork", "FreeNetwork", "CreateNetwork", "DeleteNetwork",
      "CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave", "DiscoverNew", "DiscoverDelete",
      "ProgramExternalConnectivity", "RevokeExternalConnectivity",
    ]
    let addresses = [
      "GetCapabilities", "GetDefaultAddressSpaces", "RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress",
    ]
    let all = ["Plugin.Activate"] + network.map { "NetworkDriver." + $0 } + addresses.map { "IpamDriver." + $0 }
    #expect(Set(Plugin.methods.keys) == Set(all))
    #expect(Self.withArgument.count == all.count - 4)
  }

  @Test(arguments: withArgument) func brokenJSON(method: String) {
    #expect(fixture.call(method, "").contains("Docker repeats it without its content"))
    for body in [#"{"NetworkID": "#, "\u{0}", "{]", #"{"NetworkID": "a"} x"#, "[1, 2"] {
      let answer = fixture.call(method, body)
      #expect(answer.hasPrefix(field(of: method) + "malformed JSON: line 1"), "\(body): \(answer)")
    }
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test(arguments: [
    String(repeating: "[", count: 500_000), #"{"x": "# + String(repeating: #"{"x": "#, count: 100_000),
    #"{\#(ids), "Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 1e400}]}}"#,
    #"{\#(ids), "Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 80.5}]}}"#,
    #"{\#(ids), "Options": {"com.docker.network.portmap": [{"Proto": 6, "Port": 99999999999999999999}]}}"#,
    #"{\#(ids), "Options": {"com.docker.network.portmap": {"Proto": 6}}}"#,
    "\u{feff}nothing", #"{"NetworkID": "\ud800"}"#,
  ]) func oddJSON(body: String) {
    let answer = fixture.call("NetworkDriver.ProgramExternalConnectivity", body)
    #expect(answer.hasPrefix(#"{"Err":""#) && answer.utf8.count < 300, "\(answer)")
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test func bytesThatAreNoText() {
    let bytes = Array(#"{"NetworkID": ""#.utf8) + [0xFF, 0xC0, 0x80] + Array(#"", "EndpointID": "e"}"#.utf8)
    let answer = fixture.plugin.answer(.POST, "/NetworkDriver.Leave", body: bytes)
    #expect(String(decoding: answer.body, as: UTF8.self).hasPrefix(#"{"Err":"malformed JSON: "#))
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test(arguments: [
    ("CreateNetwork", "NetworkID"), ("DeleteNetwork", "NetworkID"), ("FreeNetwork", "NetworkID"),
    ("CreateEndpoint", "NetworkID"), ("Join", "NetworkID"), ("Leave", "NetworkID"), ("DeleteEndpoint", "NetworkID"),
    ("EndpointOperInfo", "NetworkID"), ("ProgramExternalConnectivity", "NetworkID"),
    ("RevokeExternalConnectivity", "NetworkID"),
  ]) func missingFields(method: String, name: String) {
    #expect(fixture.call("NetworkDriver." + method, "{}") == #"{"Err":"\#(name) is missing"}"#)
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test(arguments: [
    ("NetworkDriver.Join", #"{\#(ids)}"#, #"{"Err":"SandboxKey is missing"}"#),
    ("NetworkDriver.Leave", #"{"NetworkID": "a"}"#, #"{"Err":"EndpointID is missing"}"#),
    ("NetworkDriver.Leave", #"{"NetworkID": 7, "EndpointID": "a"}"#, #"{"Err":"NetworkID must be a string"}"#),
    (
      "NetworkDriver.Leave", #"{"NetworkID": null, "EndpointID": "a"}"#,
      #"{"Err":"NetworkID cannot be null, a string is needed"}"#
    ),
    ("NetworkDriver.Leave", "[]", #"{"Err":"the request's body must be an object"}"#),
    (
      "NetworkDriver.CreateNetwork", #"{"NetworkID": "a", "Options": {"com.docker.network.internal": "yes"}}"#,
      #"{"Err":"Options.com.docker.network.internal must be true or false"}"#
    ),
    (
      "NetworkDriver.CreateNetwork", #"{"NetworkID": "a", "Options": {"com.docker.network.generic": {"a": 1}}}"#,
      #"{"Err":"Options.com.docker.network.generic.a must be a string"}"#
    ),
    (
      "NetworkDriver.CreateNetwork", #"{"NetworkID": "../a"}"#,
      #"{"Err":"NetworkID must be of 1 to 64 letters and digits"}"#
    ),
    (
      "NetworkDriver.CreateNetwork", #"{"NetworkID": ""}"#,
      #"{"Err":"NetworkID must be of 1 to 64 letters and digits"}"#
    ),
    (
      "NetworkDriver.ProgramExternalConnectivity",
      #"{\#(ids), "Options": {"com.docker.network.portmap": [{"Port": 80}]}}"#,
      #"{"Err":"Options.com.docker.network.portmap.[0].Proto is missing"}"#
    ),
    (
      "NetworkDriver.ProgramExternalConnectivity",
      #"{\#(ids), "Options": {"com.docker.network.portmap": [{"Proto": 47, "Port": 80}]}}"#,
      #"{"Err":"port 80: protocol 47 cannot be published, only tcp and udp can"}"#
    ),
    ("IpamDriver.RequestAddress", "{}", #"{"Error":"PoolID is missing"}"#),
    ("IpamDriver.ReleaseAddress", #"{"PoolID": "p"}"#, #"{"Error":"Address is missing"}"#),
    ("IpamDriver.ReleasePool", "{}", #"{"Error":"PoolID is missing"}"#),
    (
      "IpamDriver.RequestPool", #"{"Options": {"vlan": "7"}}"#,
      #"{"Error":"ipam-opt \"vlan\" is not known: there are none"}"#
    ),
    ("IpamDriver.RequestPool", #"{"SubPool": "10.0.0.0/25"}"#, #"{"Error":"an ip-range needs the --subnet it is in"}"#),
  ]) func wrongFields(method: String, body: String, expected: String) {
    #expect(fixture.call(method, body) == expected)
    #expect(fixture.driver.calls.isEmpty)
  }

  @Test func `what the driver refuses comes in the form of the interface`() {
    let error = ControlError(.conflict, "port 8080/tcp is already in use by \"nginx\"")
    let fixture = PluginFixture(driver: StandInDriver(error: error))
    for method in ["Leave", "DeleteEndpoint", "RevokeExternalConnectivity", "EndpointOperInfo"] {
      #expect(
        fixture.call("NetworkDriver." + method, "{\(ids)}")
          == #"{"Err":"port 8080/tcp is already in use by \"nginx\""}"#)
    }
    #expect(
      fixture.call("IpamDriver.ReleasePool", #"{"PoolID": "p"}"#)
        == #"{"Error":"port 8080/tcp is already in use by \"nginx\""}"#)
  }

  @Test(arguments: ["/NetworkDriver.Explode", "/", "", "/v1/networks", "/networkdriver.join", "/NetworkDriver.Join/x"])
  func unknownMethods(target: String) {
    let answer = fixture.plugin.answer(.POST, target, body: [])
    #expect(answer.status == .notFound)
    #expect(String(decoding: answer.body, as: UTF8.self).hasPrefix(#"{"Err":"no method "#))
  }

  @Test func otherThanPOST() {
    let answer = fixture.plugin.answer(.GET, "/NetworkDriver.GetCapabilities", body: [])
    #expect(answer.status == .methodNotAllowed && answer.allow == "POST")
  }

  /// Newer engines say more.
  @Test func unknownFieldsArePassedOver() {
    let body = #"{\#(ids), "Priority": {"a": [1.5e3, null, "x"]}, "Labels": []}"#
    #expect(fixture.call("NetworkDriver.Leave", body) == "{}")
    #expect(fixture.driver.calls == [.leave(network: network, endpoint: endpoint)])
  }
}
