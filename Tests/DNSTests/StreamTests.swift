import CLinux
import Foundation
import Testing
import Wire

@testable import DNS

/// Connections (RFC 7766): those that are used well, and those that are not.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct StreamTests {
  @Test func `queries in a row are all answered, a slow one delays no other`() throws {
    try ServerBed.run { bed in
      let upstream = try ScriptedUpstream(port: 5300) { asked in
        asked.message.contains(UInt8(ascii: "q")) ? nil : [ScriptedUpstream.answer(asked.message)]
      }
      defer { upstream.stop() }
      bed.setUpstreams(5300, timeoutSeconds: 1, attempts: 1)
      let client = try bed.client(SOCK_STREAM)
      try client.sendFramed(
        query("quiet.example", id: 1), query("web", id: 2), query("a.example", id: 3), query("www", id: 4))
      let answers = try (0..<4).map { _ in try #require(try client.receiveFramed()) }
      #expect(Set(answers.map { $0[1] }) == [1, 2, 3, 4])
      #expect(answers[0][1] == 2 && answers[1][1] == 4 && answers[2][1] == 3)
      #expect(answers[3][3] & 0xF == 2)
    }
  }

  @Test func `more queries than may wait at once are answered in the end`() throws {
    var limits = NameServerLimits()
    limits.waitingQueryCountPerConnectionMax = 3
    try ServerBed.run(limits: limits) { bed in
      let upstream = try ScriptedUpstream(port: 5300) { [ScriptedUpstream.answer($0.message)] }
      defer { upstream.stop() }
      bed.setUpstreams(5300)
      let client = try bed.client(SOCK_STREAM)
      for number in 0..<300 {
        try client.sendFramed(query(number % 3 == 0 ? "web" : "a\(number).example", id: UInt16(number)))
      }
      client.endOutput()
      var ids: Set<UInt16> = []
      while let answer = try client.receiveFramed() { ids.insert(UInt16(answer[0]) << 8 | UInt16(answer[1])) }
      #expect(ids.count == 300)
      try eventually("not closed") { bed.server.counters.connections == 0 }
    }
  }

  @Test func `a message in pieces is one message, and a client that ends its side is answered`() throws {
    try ServerBed.run { bed in
      let client = try bed.client(SOCK_STREAM)
      for byte in [0, UInt8(query("web").count)] + query("web") { try client.send([byte]) }
      #expect(try client.receiveFramed()?.suffix(4) == [10, 88, 0, 2])
      try client.sendFramed(query("www"))
      client.endOutput()
      #expect(try client.receiveFramed()?.suffix(4) == [10, 88, 0, 2])
      #expect(try client.receiveFramed() == nil)
    }
  }

  @Test(arguments: [
    [0, 0], [0, 11] + [UInt8](repeating: 7, count: 11), [0xFF, 0xFF, 1, 2, 3], Array("GET / HTTP/1.1\r\n\r\n".utf8),
  ])
  func `a length that lies ends the connection`(bytes: [UInt8]) throws {
    try ServerBed.run { bed in
      let client = try bed.client(SOCK_STREAM)
      try client.send(bytes)
      #expect(try client.receive() == [])
      try eventually("not counted") { bed.server.counters.badLengths == 1 && bed.server.counters.connections == 0 }
      #expect(bed.server.counters.idleConnections == 0)
    }
  }

  @Test func `garbage of a good length is answered as such, and what follows too`() throws {
    try ServerBed.run { bed in
      let client = try bed.client(SOCK_STREAM)
      try client.sendFramed([UInt8](hex: "0001 0100 0001 0000 0000 0000 c00c"), query("web", id: 2))
      #expect(try client.receiveFramed() == [UInt8](hex: "0001 8181 0000 0000 0000 0000"))
      #expect(try client.receiveFramed()?[1] == 2)
    }
  }

  @Test func `who says nothing, half of something, or takes no answers, is not waited for`() throws {
    var limits = NameServerLimits()
    limits.connectionIdleSeconds = 1
    try ServerBed.run(limits: limits) { bed in
      for number in 1...200 {
        bed.server.setEndpoint(
          NamedEndpoint(
            id: "m\(number)", network: "n1", sandbox: "m\(number)", names: ["many"],
            addresses: [IPAddress("10.88.1.\(number)")!]))
      }
      let (silent, half) = (try bed.client(SOCK_STREAM), try bed.client(SOCK_STREAM))
      try half.send([0, 40, 1, 2])
      #expect(try silent.receive() == [])
      #expect(try half.receive() == [])
      #expect(bed.server.counters.idleConnections == 2)
      // 3.2 KB for 24 bytes, until both sides' buffers are full.
      let deaf = try bed.client(SOCK_STREAM)
      let questions = (0..<200).map { query("many", id: UInt16($0)) }
      try eventually("it was served on and on") {
        do { for question in questions { try deaf.sendFramed(question) } } catch { return true }
        return false
      }
      try eventually("it is kept") { bed.server.counters.connections == 0 }
    }
  }

  @Test func `a client has so many connections, and all together so many`() throws {
    var limits = NameServerLimits()
    (limits.connectionCountPerClientMax, limits.connectionCountMax) = (2, 3)
    try ServerBed.run(limits: limits) { bed in
      var clients: [TestSocket] = []
      func open(_ address: String) throws -> Bool {
        let client = try bed.client(SOCK_STREAM, address)
        clients.append(client)
        do { try client.sendFramed(query("web")) } catch { return false }
        return try client.receiveFramed() != nil
      }
      #expect(try [open("127.0.0.11"), open("127.0.0.11"), open("127.0.0.11")] == [true, true, false])
      #expect(try [open("10.88.0.1"), open("10.88.0.1")] == [true, false])
      #expect(bed.server.counters.surplusConnections == 2)
      clients.removeFirst(1)
      try eventually("its place is not free") { bed.server.counters.connections == 2 }
      #expect(try open("10.88.0.1"))
    }
  }

  @Test func `stopping ends what is open, and what waits`() throws {
    try ServerBed.run { bed in
      let silent = try ScriptedUpstream(port: 5300) { _ in nil }
      defer { silent.stop() }
      bed.setUpstreams(5300)
      let client = try bed.client(SOCK_STREAM)
      try client.sendFramed(query("a.example"))
      try eventually("not asked") { !silent.queries.isEmpty }
      bed.server.stop()
      #expect(try client.receive() == [])
    }
  }
}
