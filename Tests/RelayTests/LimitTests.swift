import CLinux
import Glibc
import Relay
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct LimitTests {
  @Test func connectionsBeyondTheLimitWait() throws {
    try TestBed.run { bed in
      let server = try bed.server()
      var limits = RelayLimits()
      limits.connectionCountMax = 1
      let relay = try Relay(limits: limits)
      try relay.open(published())
      var first: TestSocket? = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      var firstPeer: TestSocket? = try server.accept()
      let second = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      try second.send("my turn")
      eventually("nothing was paused") { relay.statistics.pausedAtLimit > 0 }
      #expect(relay.statistics.accepted == 1 && relay.statistics.connections == 1)
      try first!.send("mine still")
      #expect(try firstPeer!.receive() == "mine still")
      (first, firstPeer) = (nil, nil)
      #expect(try server.accept().receive() == "my turn")
      #expect(relay.statistics.accepted == 2)
    }
  }

  /// In a process of its own, as the limit is a process's.
  @Test func listenerRestsWhileDescriptorsAreOut() async {
    await #expect(processExitsWith: .success) {
      try TestBed.run { bed in
        let server = try bed.server()
        let relay = try Relay()
        try relay.open(published())
        let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
        let peer = try server.accept()
        let late = TestSocket(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var usual = rlimit()
        try #require(getrlimit(resource, &usual) == 0)
        var scarce = rlimit(rlim_cur: 3, rlim_max: usual.rlim_max)
        setrlimit(resource, &scarce)
        defer { setrlimit(resource, &usual) }  // What takes the namespaces away needs descriptors too.
        var end = martlet_socket_address(IPAddress("127.0.0.1")!, port: 8080)
        try #require(end.with { connect(late.number, $0, $1) } == 0)
        let start = ContinuousClock.now
        eventually("the listener was not paused") { relay.statistics.pausedForDescriptors > 3 }
        let count = relay.statistics.pausedForDescriptors
        // Ten a second, and the first at once: it does not spin.
        try #require(Double(count) <= (ContinuousClock.now - start) / .milliseconds(100) + 2)
        try client.send("who is here is served")
        try #require(peer.receive() == "who is here is served")
        setrlimit(resource, &usual)
        try late.send("late")
        let next = try server.accept()
        try #require(next.receive() == "late")
      }
    }
  }

  /// In a process of its own, since the descriptors' limit is raised.
  @Test func tenThousandPortsAreOpenedAndServed() async {
    await #expect(processExitsWith: .success) {
      var limit = rlimit()
      let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      try #require(getrlimit(resource, &limit) == 0)
      limit.rlim_cur = limit.rlim_max
      setrlimit(resource, &limit)
      try #require(limit.rlim_max > 10_100, "the hard limit of descriptors is \(limit.rlim_max)")
      try TestBed.run { bed in
        let server = try bed.server(SOCK_STREAM, TestBed.containerV4, 19_999)
        let relay = try Relay()
        let range = published(.tcp, "0.0.0.0", 10_000...19_999, 10_000)
        try relay.open(range)
        try #require(relay.statistics.ports == 10_000)
        let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 19_999)
        try client.send("last")
        let peer = try server.accept()
        try #require(peer.receive() == "last")
        relay.close(range)
        try #require(relay.statistics.ports == 0)
        // Half of them first, so that the refusal comes when many are open.
        let taken = try TestSocket.bound(SOCK_STREAM, "127.0.0.1", 15_000)
        #expect(throws: RelayError.portInUse(15_000)) { try relay.open(range) }
        try #require(relay.statistics.ports == 0)
        _ = taken
      }
    }
  }
}
