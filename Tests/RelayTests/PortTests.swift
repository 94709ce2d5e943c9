import Foundation
import Relay
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct PortTests {
  private func isFree(_ type: __socket_type, _ address: String, _ port: UInt16, options: [Int32] = []) -> Bool {
    (try? TestSocket.bound(type, address, port, options: options)) != nil
  }

  /// Soon: a child process that another test just forked holds our sockets until it runs its program.
  private func expectFree(
    _ type: __socket_type, _ address: String, _ port: UInt16, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    eventually("port \(port) is not free", sourceLocation: sourceLocation) { isFree(type, address, port) }
  }

  /// Soon, for the same reason.
  private func openSoon(_ relay: Relay, _ ports: RelayedPorts) {
    eventually("\(ports) cannot be opened again") { (try? relay.open(ports)) != nil }
  }

  @Test(arguments: [(RelayedPorts.TransportProtocol.tcp, SOCK_STREAM), (.udp, SOCK_DGRAM)])
  func portInUseIsNamedAndNoOtherTaken(transport: RelayedPorts.TransportProtocol, type: __socket_type) throws {
    try TestBed.run { bed in
      let relay = try Relay()
      let range = published(transport, "0.0.0.0", 8000...8010)
      try {
        let program = try TestSocket.bound(type, "127.0.0.1", 8005)
        #expect(throws: RelayError.portInUse(8005)) { try relay.open(range) }
        #expect(relay.statistics.ports == 0)
        for port in UInt16(8000)...8004 { expectFree(type, "0.0.0.0", port) }
        _ = program
      }()
      expectFree(type, "0.0.0.0", 8005)
      try relay.open(range)
      #expect(throws: RelayError.portInUse(8000)) { try relay.open(range) }
      #expect(throws: RelayError.portInUse(8010)) { try relay.open(published(transport, "127.0.0.1", 8010...8020)) }
      #expect(relay.statistics.ports == 11)
      relay.close(range)
      for port in UInt16(8000)...8010 { expectFree(type, "0.0.0.0", port) }
    }
  }

  @Test func addressThatTheHostHasNotIsRefused() throws {
    try TestBed.run { bed in
      let relay = try Relay()
      let error = #expect(throws: RelayError.self) { try relay.open(published(.tcp, "192.0.2.1")) }
      guard case .refused(let cause) = error else { throw try #require(error) }
      #expect(cause.code == EADDRNOTAVAIL)
    }
  }

  @Test(arguments: [published(.tcp, "0.0.0.0", 0...1), published(.tcp, "0.0.0.0", 8000...8002, 65534)])
  func rangeThatIsNoneIsRefused(range: RelayedPorts) throws {
    let relay = try Relay()
    let error = #expect(throws: RelayError.self) { try relay.open(range) }
    guard case .refused(let cause) = error else { throw try #require(error) }
    #expect(cause.code == EINVAL)
  }

  @Test(arguments: [(RelayedPorts.TransportProtocol.tcp, SOCK_STREAM), (.udp, SOCK_DGRAM)], ["0.0.0.0", "127.0.0.1"])
  func programCannotTakeThePort(kind: (RelayedPorts.TransportProtocol, __socket_type), address: String) throws {
    try TestBed.run { bed in
      let relay = try Relay()
      try relay.open(published(kind.0, address))
      for options in [[], [SO_REUSEADDR], [SO_REUSEPORT], [SO_REUSEADDR, SO_REUSEPORT]] {
        for own in ["0.0.0.0", "127.0.0.1"] {
          let error = #expect(throws: Errno.self, "\(options) \(own)") {
            _ = try TestSocket.bound(kind.1, own, 8080, options: options)
          }
          #expect(error?.code == EADDRINUSE)
          #expect(error?.operation == "bind 8080")
        }
      }
      #expect(isFree(kind.1, "0.0.0.0", 8081))
    }
  }

  @Test func kernelChoosesNoPublishedPort() throws {
    try TestBed.run { bed in
      let server = try bed.server()
      try bed.setHostSysctl("ipv4/ip_local_port_range", to: "40000 40003")
      let relay = try Relay()
      try relay.open(published(.tcp, "0.0.0.0", 40000...40002))
      let client = try TestSocket.connected(SOCK_STREAM, TestBed.containerV4, 80)
      _ = try server.accept()
      var end = sockaddr_in()
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      withUnsafeMutablePointer(to: &end) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = getsockname(client.number, .init(__sockaddr__: $0), &size)
        }
      }
      #expect(UInt16(bigEndian: end.sin_port) == 40003)
      #expect(throws: Errno.self) { _ = try TestSocket.connected(SOCK_STREAM, TestBed.containerV4, 80) }
    }
  }

  /// The server ends first, so it is the relay's socket to the client that waits in TIME-WAIT.
  @Test func connectionsInTimeWaitDoNotHoldThePort() throws {
    try TestBed.run { bed in
      let server = try bed.server()
      let relay = try Relay()
      for _ in 0..<3 {
        openSoon(relay, published())
        let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
        try {
          let peer = try server.accept()
          try peer.send("bye")
        }()
        #expect(try client.receiveAll() == "bye")
        client.endSending()
        try eventually("no connection went to TIME-WAIT") {
          try command("ip", "netns", "exec", bed.host, "ss", "-Htan", "state", "time-wait", "sport = :8080")
            .contains("8080")
        }
        relay.close(published())
      }
      // While it is held, still nobody else gets it.
      openSoon(relay, published())
      #expect(!isFree(SOCK_STREAM, "0.0.0.0", 8080, options: [SO_REUSEADDR]))
    }
  }

  @Test func closeEndsConnectionsAtOnce() throws {
    try TestBed.run { bed in
      let server = try bed.server()
      let relay = try Relay()
      let other = published(.tcp, "0.0.0.0", 8081...8081)
      try relay.open(published())
      try relay.open(other)
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      let peer = try server.accept()
      let bystander = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8081)
      let bystanderPeer = try server.accept()
      try client.send("hello")
      #expect(try peer.receive() == "hello")
      relay.close(published())
      #expect(relay.statistics.connections == 1)
      #expect(client.receiveError == ECONNRESET)
      #expect(peer.receiveError == ECONNRESET)
      let error = #expect(throws: Errno.self) { _ = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080) }
      #expect(error?.code == ECONNREFUSED)
      try bystander.send("still here")
      #expect(try bystanderPeer.receive() == "still here")
      openSoon(relay, published())
    }
  }

  @Test func retargetMovesThePortWithoutFreeingIt() throws {
    try TestBed.run { bed in
      let (old, new) = (try bed.server(), try bed.server(SOCK_STREAM, TestBed.containerV6, 90))
      let relay = try Relay()
      try relay.open(published())
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      let peer = try old.accept()
      let moved = try relay.retarget(published(), to: IPAddress(TestBed.containerV6)!, firstPort: 90)
      #expect(client.receiveError == ECONNRESET)
      #expect(peer.receiveError == ECONNRESET)
      let next = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      try next.send("new")
      #expect(try new.accept().receive() == "new")
      relay.close(published())  // Stands for nothing any more.
      #expect(relay.statistics.ports == 1)
      relay.close(moved)
      expectFree(SOCK_STREAM, "0.0.0.0", 8080)
    }
  }

  @Test func stoppedRelayHoldsNothing() throws {
    try TestBed.run { bed in
      let relay = try Relay()
      try relay.open(published())
      relay.stop()
      relay.stop()
      expectFree(SOCK_STREAM, "0.0.0.0", 8080)
      let error = #expect(throws: RelayError.self) { try relay.open(published()) }
      guard case .refused(let cause) = error else { throw try #require(error) }
      #expect(cause.code == ESHUTDOWN)
      #expect(relay.statistics == RelayStatistics())
    }
  }
}
