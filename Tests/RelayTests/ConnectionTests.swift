import Glibc
import Relay
import Support
import SystemCalls
import Testing
import Wire

@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct ConnectionTests {
  /// Words of 8 bytes from a generator, so that each place of the stream has its own.
  struct Stream {
    static let pieceByteCount = 64 << 10
    static let pieceCount = 800
    var state: UInt64
    /// FNV-1a, by words.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func fill(_ words: inout [UInt64]) {
      for index in words.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        words[index] = state
      }
    }

    mutating func take(_ words: [UInt64]) { for word in words { hash = (hash ^ word) &* 0x100_0000_01b3 } }

    /// Sends all pieces, then the end; the hash of what was sent.
    static func send(_ socket: TestSocket, seed: UInt64) throws -> UInt64 {
      var stream = Stream(state: seed)
      var words = [UInt64](repeating: 0, count: pieceByteCount / 8)
      for _ in 0..<pieceCount {
        stream.fill(&words)
        stream.take(words)
        var sent = 0
        while sent < pieceByteCount {
          let count = words.withUnsafeBytes {
            Glibc.send(socket.number, $0.baseAddress! + sent, pieceByteCount - sent, Int32(MSG_NOSIGNAL))
          }
          guard count > 0 else { throw Errno.current("send a piece") }
          sent += count
        }
      }
      socket.endSending()
      return stream.hash
    }

    /// Receives up to the end; the hash of what came.
    static func receive(_ socket: TestSocket) throws -> (hash: UInt64, count: Int) {
      var stream = Stream(state: 0)
      var words = [UInt64](repeating: 0, count: pieceByteCount / 8)
      var total = 0
      while true {
        let count = recv(socket.number, &words, pieceByteCount, Int32(MSG_WAITALL))
        guard count >= 0 else { throw Errno.current("receive a piece") }
        total += count
        if count < pieceByteCount { return (stream.hash, total) }
        stream.take(words)
      }
    }
  }

  @Test func fiftyMegabytesGoBothWaysUnharmed() throws {
    try TestBed.run { bed in
      let server = try bed.server()
      let relay = try Relay()
      try relay.open(published())
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      let peer = try server.accept()
      let up = Background { try Stream.send(client, seed: 1) }
      let down = Background { try Stream.send(peer, seed: 2) }
      let atServer = Background { try Stream.receive(peer) }
      let atClient = try Stream.receive(client)
      let total = Stream.pieceByteCount * Stream.pieceCount
      #expect(total > 50_000_000)
      #expect(try atServer.wait() == (try up.wait(), total))
      #expect(atClient == (try down.wait(), total))
      eventually("the connection did not end") { relay.statistics.connections == 0 }
      #expect(relay.statistics.reset == 0)
    }
  }

  @Test(arguments: [
    ("0.0.0.0", "127.0.0.1", TestBed.containerV4), ("0.0.0.0", TestBed.hostV4, TestBed.containerV6),
    ("127.0.0.1", "127.0.0.1", TestBed.containerV4), ("::1", "::1", TestBed.containerV6),
    ("::", "::1", TestBed.containerV4), (TestBed.hostV4, TestBed.hostV4, TestBed.containerV4),
  ])
  func requestAndAnswerPassOnEveryAddress(published address: String, used: String, target: String) throws {
    try TestBed.run { bed in
      let server = try bed.server(SOCK_STREAM, target)
      let relay = try Relay()
      try relay.open(published(.tcp, address, to: target))
      let client = try TestSocket.connected(SOCK_STREAM, used, 8080)
      let peer = try server.accept()
      try client.send("request")
      #expect(try peer.receive() == "request")
      try peer.send("answer")
      #expect(try client.receive() == "answer")
    }
  }

  /// Both families of one port are two publications.
  @Test func everyPortOfTheRangeHasItsTarget() throws {
    try TestBed.run { bed in
      let servers = try (90...92).map { try bed.server(SOCK_STREAM, TestBed.containerV4, $0) }
      let relay = try Relay()
      try relay.open(published(.tcp, "0.0.0.0", 8000...8002, 90))
      try relay.open(published(.tcp, "::", 8000...8002, 90))
      #expect(relay.statistics.ports == 6)
      for (place, server) in servers.enumerated() {
        for address in ["127.0.0.1", "::1"] {
          let client = try TestSocket.connected(SOCK_STREAM, address, 8000 + UInt16(place))
          try client.send("\(place)")
          #expect(try server.accept().receive() == "\(place)")
        }
      }
    }
  }

  @Test(arguments: [true, false]) func eachSideMayEndFirst(clientFirst: Bool) throws {
    try TestBed.run { bed in
      let server = try bed.server()
      let relay = try Relay()
      try relay.open(published())
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      let peer = try server.accept()
      let (first, second) = clientFirst ? (client, peer) : (peer, client)
      try first.send("all I have to say")
      first.endSending()
      #expect(try second.receiveAll() == "all I have to say")
      try second.send("and")
      #expect(try first.receive() == "and")
      try second.send("the answer")
      second.endSending()
      #expect(try first.receiveAll() == "the answer")
      eventually("the connection did not end") { relay.statistics.connections == 0 }
      #expect(relay.statistics.reset == 0)
    }
  }

  @Test func targetThatRefusesResetsTheClient() throws {
    try TestBed.run { bed in
      let relay = try Relay()
      try relay.open(published())
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      #expect(client.receiveError == ECONNRESET)
      #expect(relay.statistics.refusedByTarget == 1)
      #expect(relay.statistics.connections == 0)
    }
  }

  @Test func targetThatIsSilentResetsTheClientInTime() throws {
    try TestBed.run { bed in
      // A MAC that nobody has.
      try command(
        "ip", "-n", bed.host, "neighbour", "add", "10.88.0.9", "lladdr", "02:00:00:00:00:99", "dev", "veth0")
      var limits = RelayLimits()
      limits.connectTimeoutMilliseconds = 50
      let relay = try Relay(limits: limits)
      try relay.open(published(to: "10.88.0.9"))
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      #expect(client.receiveError == ECONNRESET)
      #expect(relay.statistics.timedOut == 1)
    }
  }

  @Test(arguments: [true, false]) func resetPasses(fromClient: Bool) throws {
    try TestBed.run { bed in
      let server = try bed.server()
      let relay = try Relay()
      try relay.open(published())
      var client: TestSocket? = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      var peer: TestSocket? = try server.accept()
      let leaving = fromClient ? client! : peer!
      var hard = linger(l_onoff: 1, l_linger: 0)
      setsockopt(leaving.number, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
      let staying = fromClient ? peer! : client!
      let waiting = Background { staying.receiveError }
      _ = consume leaving
      if fromClient { client = nil } else { peer = nil }
      #expect(try waiting.wait() == ECONNRESET)
      _ = (client, peer)
    }
  }

  /// What the other side does not read holds the sender back, and nothing of it is lost.
  @Test func sideThatDoesNotReadHoldsBackTheOther() throws {
    try TestBed.run { bed in
      let server = try bed.server()
      let relay = try Relay()
      try relay.open(published())
      let client = try TestSocket.connected(SOCK_STREAM, "127.0.0.1", 8080)
      let peer = try server.accept()
      let piece = [UInt8](repeating: 7, count: 1 << 16)
      var sent = 0
      let bound = 64 << 20
      var wait = pollfd(fd: client.number, events: Int16(POLLOUT), revents: 0)
      while sent < bound, poll(&wait, 1, 300) == 1 {
        let count = send(client.number, piece, piece.count, Int32(MSG_DONTWAIT))
        if count > 0 { sent += count }
      }
      #expect(sent < bound)
      client.endSending()
      #expect(try peer.receiveAll().utf8.count == sent)
    }
  }
}
