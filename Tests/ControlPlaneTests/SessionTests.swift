import ControlModel
import Testing
import Wire

@testable import ControlPlane

@Suite struct SessionTests {
  private func session(_ transport: IPProtocol, _ inside: String, _ remote: String) -> DataPlaneSession {
    DataPlaneSession(
      protocol: transport, inside: (IPAddress(inside)!, 4000), outside: (IPAddress("192.0.2.1")!, 61000),
      remote: (IPAddress(remote)!, 53), state: "established", expiresSeconds: 7)
  }

  @Test func areShownAndFiltered() throws {
    let bench = try Bench()
    bench.dataPlane.shownSessions.withLock {
      $0 = [session(.udp, "10.0.0.2", "198.51.100.1"), session(.tcp, "fd00::2", "2001:db8::53")]
    }
    func insides(_ filter: [String: String]) throws -> [String] {
      try bench.controlPlane.sessions(SessionFilter(filter)).map(\.inside)
    }
    #expect(
      try bench.controlPlane.sessions(SessionFilter())[0]
        == Session(
          protocol: "udp", inside: "10.0.0.2:4000", outside: "192.0.2.1:61000", remote: "198.51.100.1:53",
          state: "established", expiresSeconds: 7))
    #expect(try insides([:]) == ["10.0.0.2:4000", "[fd00::2]:4000"])
    #expect(try insides(["inside": "fd00::2"]) == ["[fd00::2]:4000"])
    #expect(try insides(["inside": "fd00::"]).isEmpty && insides(["inside": "10.0.0"]).isEmpty)
    #expect(try insides(["inside": "10.0.0.2:4000", "protocol": "udp"]) == ["10.0.0.2:4000"])
    #expect(try insides(["remote": "2001:db8::53", "state": "established"]) == ["[fd00::2]:4000"])
    #expect(try insides(["protocol": "tcp", "remote": "198.51.100.1"]).isEmpty)
    try bench.controlPlane.flushSessions()
    #expect(bench.dataPlane.routing.flushCount == 1)
  }

  @Test func timeoutsAreKept() throws {
    let bench = try Bench()
    #expect(
      try bench.controlPlane.sessionTimeouts()
        == SessionTimeouts(udp: 300, udpStream: 300, tcpEstablished: 7440, tcpTransitory: 240, icmp: 60))
    var change = SessionTimeoutsChange()
    (change.udp, change.tcpEstablished) = (120, 60)
    #expect(try bench.controlPlane.changeSessionTimeouts(change).udp == 120)
    try bench.restart()
    #expect(try bench.controlPlane.sessionTimeouts().tcpEstablished == 60)
    #expect(bench.dataPlane.routing.timeouts.udp == 120 && bench.dataPlane.routing.timeouts.tcpEstablished == 60)
  }

  @Test func timeoutsOutOfBounds() throws {
    let bench = try Bench()
    let cases: [(WritableKeyPath<SessionTimeoutsChange, Int?>, Int, String)] = [
      (\.udp, 119, "timeout udp=119: at least 120 seconds are needed for UDP"),
      (\.udpStream, 0, "timeout udp_stream=0: at least 120"), (\.icmp, 0, "timeout icmp=0: at least 1"),
      (\.tcpEstablished, -1, "at least 1"), (\.tcpTransitory, 604_801, "at most 604800"),
    ]
    for (field, seconds, words) in cases {
      var change = SessionTimeoutsChange()
      change[keyPath: field] = seconds
      let error = refusal { _ = try bench.controlPlane.changeSessionTimeouts(change) }
      #expect(error?.code == .invalid && error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
    #expect(bench.dataPlane.routing.timeouts == DataPlaneTimeouts())
  }

  @Test func translationIsKept() throws {
    let bench = try Bench()
    #expect(bench.dataPlane.routing.isEndpointIndependent == true)
    #expect(bench.dataPlane.routing.filtering == .addressAndPortDependent)
    let change = TranslationChange(mapping: "address-and-port-dependent", filtering: "address-dependent")
    let wanted = Translation(mapping: "address-and-port-dependent", filtering: "address-dependent")
    #expect(try bench.controlPlane.changeTranslation(change) == wanted)
    try bench.restart()
    #expect(try bench.controlPlane.translation() == wanted)
    #expect(bench.dataPlane.routing.isEndpointIndependent == false)
    #expect(bench.dataPlane.routing.filtering == .addressDependent)
    for change in [TranslationChange(mapping: "symmetric"), TranslationChange(filtering: "none")] {
      #expect(refusal { _ = try bench.controlPlane.changeTranslation(change) }?.code == .invalid)
    }
  }
}
