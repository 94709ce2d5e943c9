import CLinux
import Glibc
import Relay
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct DatagramTests {
  /// Connected sockets hear only what comes from the address they send to.
  @Test func eachClientIsAnsweredFromTheAddressItSentTo() throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_DGRAM)
      let relay = try Relay()
      try relay.open(published(.udp, "0.0.0.0"))
      try relay.open(published(.udp, "::"))
      let addresses = ["127.0.0.1", "127.0.0.1", "127.1.2.3", TestBed.hostV4, TestBed.hostV4, "::1", "fd88::1"]
      let clients = try addresses.map { try TestSocket.connected(SOCK_DGRAM, $0, 8080) }
      for round in 0..<2 {
        for (number, client) in clients.enumerated() { try client.send("\(round) of \(number)") }
        for _ in clients { try server.echo() }
        for (number, client) in clients.enumerated() { #expect(try client.receive() == "\(round) of \(number)") }
      }
      let statistics = relay.statistics
      #expect(statistics.clients == clients.count && statistics.clientsAdded == clients.count)
      #expect(statistics.datagrams == clients.count * 4)
    }
  }

  /// One socket that sends to two addresses is two clients: its answers come from each.
  @Test func oneSocketMaySendToTwoAddresses() throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_DGRAM)
      let relay = try Relay()
      try relay.open(published(.udp))
      let client = try TestSocket.bound(SOCK_DGRAM, "0.0.0.0", 9000)
      for address in ["127.0.0.1", TestBed.hostV4] {
        try client.send(Array("hello".utf8), to: martlet_socket_address(IPAddress(address)!, port: 8080))
        try server.echo()
        let source = try client.receiveDatagram().from.v4
        #expect(IPv4Address(bits: UInt32(bigEndian: source.sin_addr.s_addr)) == IPv4Address(address))
        #expect(UInt16(bigEndian: source.sin_port) == 8080)
      }
    }
  }

  @Test(arguments: [0, 1, 1472, 65507]) func everyLengthPasses(length: Int) throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_DGRAM)
      let relay = try Relay()
      try relay.open(published(.udp))
      let client = try TestSocket.connected(SOCK_DGRAM, "127.0.0.1", 8080)
      try client.send(String(repeating: "x", count: length))
      try server.echo()
      #expect(try client.receive() == String(repeating: "x", count: length))
    }
  }

  @Test func everyPortOfTheRangeHasItsTarget() throws {
    try TestBed.run { bed in
      let servers = try (90...91).map { try bed.server(SOCK_DGRAM, TestBed.containerV6, $0) }
      let relay = try Relay()
      try relay.open(published(.udp, "127.0.0.1", 8000...8001, to: TestBed.containerV6, 90))
      for (place, server) in servers.enumerated() {
        let client = try TestSocket.connected(SOCK_DGRAM, "127.0.0.1", 8000 + UInt16(place))
        try client.send("\(place)")
        #expect(try server.receive() == "\(place)")
      }
    }
  }

  @Test func targetWithoutASocketEndsTheClient() throws {
    try TestBed.run { bed in
      let relay = try Relay()
      try relay.open(published(.udp))
      let client = try TestSocket.connected(SOCK_DGRAM, "127.0.0.1", 8080)
      try client.send("anyone?")
      eventually("the client is still remembered") { relay.statistics.clientsRefusedByTarget == 1 }
      #expect(relay.statistics.clients == 0)
      let server = try bed.server(SOCK_DGRAM)
      try client.send("now?")
      #expect(try server.receive() == "now?")
    }
  }

  @Test func silentClientIsForgotten() throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_DGRAM)
      var limits = RelayLimits()
      limits.clientIdleSeconds = 1
      let relay = try Relay(limits: limits)
      try relay.open(published(.udp))
      let client = try TestSocket.connected(SOCK_DGRAM, "127.0.0.1", 8080)
      try client.send("hello")
      #expect(try server.receive() == "hello")
      #expect(relay.statistics.clients == 1)
      eventually("the client is still remembered") { relay.statistics.clients == 0 }
      #expect(relay.statistics.clientsExpired == 1)
      try client.send("hello again")
      #expect(try server.receive() == "hello again")
    }
  }

  @Test func oneClientTooManyEndsTheOneSilentLongest() throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_DGRAM)
      var limits = RelayLimits()
      limits.clientCountMax = 2
      let relay = try Relay(limits: limits)
      try relay.open(published(.udp))
      let clients = try (0..<3).map { _ in try TestSocket.connected(SOCK_DGRAM, "127.0.0.1", 8080) }
      for number in [0, 1, 0, 2] {
        try clients[number].send("\(number)")
        try server.echo()
        #expect(try clients[number].receive() == "\(number)")
      }
      #expect(relay.statistics.clients == 2 && relay.statistics.clientsEvicted == 1)
      // It was 1 that went: 0 is known still.
      try clients[0].send("0")
      try server.echo()
      #expect(try clients[0].receive() == "0")
      #expect(relay.statistics.clientsAdded == 3)
    }
  }

  @Test func closeForgetsClientsAtOnce() throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_DGRAM)
      let relay = try Relay()
      try relay.open(published(.udp))
      let client = try TestSocket.connected(SOCK_DGRAM, "127.0.0.1", 8080)
      try client.send("hello")
      #expect(try server.receive() == "hello")
      relay.close(published(.udp))
      #expect(relay.statistics.clients == 0)
      // Soon: a child process that another test just forked holds our sockets until it runs its program.
      eventually("the port is still open") {
        // The refusal of one is told at the next.
        do throws(Errno) { try client.send("anyone?") } catch { return error.code == ECONNREFUSED }
        return false
      }
    }
  }
}
