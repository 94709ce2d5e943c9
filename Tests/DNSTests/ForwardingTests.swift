import CLinux
import Foundation
import Testing
import Wire

@testable import DNS

/// What is not ours, with upstreams that the test made.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct ForwardingTests {
  @Test func `a query goes on as it is, over the same transport, under another id and from another port each time`()
    throws
  {
    try ServerBed.run { bed in
      let upstream = try ScriptedUpstream(port: 5300) { [ScriptedUpstream.answer($0.message)] }
      defer { upstream.stop() }
      bed.setUpstreams(5300)
      let client = try bed.client(SOCK_DGRAM)
      for number in 0..<20 {
        try client.send(query("host\(number).example", id: UInt16(number)))
        let answer = try client.receive()
        #expect(answer == ScriptedUpstream.answer(query("host\(number).example", id: UInt16(number))))
      }
      let asked = upstream.queries
      #expect(asked.map { $0.message[2...] } == (0..<20).map { query("host\($0).example")[2...] })
      #expect(Set(asked.map { $0.message[..<2] }).count > 15 && Set(asked.map(\.port)).count > 15)
      // With EDNS and a cookie, over TCP, and by IPv6.
      let words = ["+tcp", "+ednsopt=65001:0102", "+short", "other.example"]
      #expect(try bed.dig("@fd88::1", words[0], words[1], words[2], words[3]) == ["192.0.2.1"])
      let last = try #require(upstream.queries.last)
      #expect(last.isOverTCP && last.message.suffix(6).elementsEqual([0xFD, 0xE9, 0, 2, 1, 2]))
      #expect(bed.server.counters.relayed == 21 && bed.server.counters.waiting == 0)
    }
  }

  @Test func `a silent upstream costs its time-out once, and one where nobody listens nothing`() throws {
    try ServerBed.run { bed in
      let silent = try ScriptedUpstream(port: 5300) { _ in nil }
      let good = try ScriptedUpstream(port: 5302) { [ScriptedUpstream.answer($0.message)] }
      defer { for upstream in [silent, good] { upstream.stop() } }
      // Nobody at 5301.
      bed.setUpstreams(5300, 5301, 5302, timeoutSeconds: 1)
      for transport in ["+notcp", "+tcp"] {
        for number in 0..<5 {
          #expect(try bed.dig("@127.0.0.11", transport, "+short", "a\(number).example") == ["192.0.2.1"])
        }
      }
      let counters = bed.server.counters
      #expect(counters.upstreamTimeouts == 1 && silent.queries.count == 1)
      #expect(counters.upstreamFailures == 10 && counters.relayed == 10)
    }
  }

  @Test func `an upstream that cannot tell is no last word while there is another`() throws {
    try ServerBed.run { bed in
      let codes: [UInt8] = [2, 4, 5]
      let refusing = try codes.map { code in
        try ScriptedUpstream(port: 5300 + UInt16(code)) { [ScriptedUpstream.refusal($0.message, code: code)] }
      }
      let good = try ScriptedUpstream(port: 5310) { [ScriptedUpstream.answer($0.message)] }
      let without = try ScriptedUpstream(port: 5311) { [ScriptedUpstream.refusal($0.message, code: 3)] }
      defer { for upstream in refusing + [good, without] { upstream.stop() } }
      bed.setUpstreams(5302, 5304, 5305, 5310)
      #expect(try bed.dig("@127.0.0.11", "+short", "a.example") == ["192.0.2.1"])
      // That there is no such name is an answer.
      bed.setUpstreams(5311, 5310)
      #expect(try bed.dig("@127.0.0.11", "a.example").joined().contains("status: NXDOMAIN"))
      // The last one's, where all are such.
      bed.setUpstreams(5302, 5305)
      #expect(try bed.dig("@127.0.0.11", "a.example").joined().contains("status: REFUSED"))
    }
  }

  @Test func `without an answer there is SERVFAIL`() throws {
    try ServerBed.run { bed in
      let silent = try ScriptedUpstream(port: 5300) { _ in nil }
      defer { silent.stop() }
      for transport in ["+notcp", "+tcp"] {
        bed.server.setUpstreams(.none)
        #expect(try bed.dig("@127.0.0.11", transport, "a.example").joined().contains("status: SERVFAIL"))
        bed.setUpstreams(5300, timeoutSeconds: 1, attempts: 2)
        #expect(try bed.dig("@127.0.0.11", transport, "a.example").joined().contains("status: SERVFAIL"))
      }
      #expect(silent.queries.count == 4 && bed.server.counters.failed == 4)
      // By way of IPv6, where nothing leads.
      bed.server.setUpstreams(Upstreams([.init(IPAddress("2001:db8::1")!), .init(IPAddress("fe80::1")!, scope: 99)]))
      #expect(try bed.dig("@127.0.0.11", "b.example").joined().contains("status: SERVFAIL"))
    }
  }

  @Test func `what answers another question is not believed`() throws {
    try ServerBed.run { bed in
      let upstream = try ScriptedUpstream(port: 5300) { asked in
        let id = asked.message[..<2].map { $0 ^ 0x55 }
        let right = ScriptedUpstream.answer(asked.message)
        return [
          id + ScriptedUpstream.answer(asked.message, "203.0.113.1")[2...],
          ScriptedUpstream.answer(query("other.example", id: asked.id), "203.0.113.2"),
          asked.message, [], [0], Array(right[..<15]),
          Array(right[..<2] + [0x81, 0x80] + [UInt8](repeating: 0, count: 8)),
          right,
        ]
      }
      defer { upstream.stop() }
      bed.setUpstreams(5300)
      #expect(try bed.dig("@127.0.0.11", "+short", "a.example") == ["192.0.2.1"])
      #expect(bed.server.counters.upstreamMismatches == 7 && bed.server.counters.upstreamTimeouts == 0)
    }
  }

  @Test func `an upstream's answer that is more than the client takes is cut, and comes over TCP`() throws {
    try ServerBed.run { bed in
      let upstream = try ScriptedUpstream(port: 5300) {
        [ScriptedUpstream.answer($0.message) + [UInt8](repeating: 0, count: 1000)]
      }
      defer { upstream.stop() }
      bed.setUpstreams(5300)
      let client = try bed.client(SOCK_DGRAM)
      try client.send(query("a.example"))
      let cut = try client.receive()
      #expect(cut == [UInt8](hex: "0962 8380 0001 0000 0000 0000") + query("a.example")[12...])
      let stream = try bed.client(SOCK_STREAM)
      try stream.sendFramed(query("a.example"))
      #expect(try stream.receiveFramed()?.count == ScriptedUpstream.answer(query("a.example")).count + 1000)
    }
  }

  @Test func `a name server that asks itself ends, and so does a circle through another`() throws {
    try ServerBed.run { bed in
      var itself = Upstreams([.init(IPAddress("10.88.0.1")!), .init(IPAddress("fd88::1")!)])
      (itself.timeoutSeconds, itself.attempts) = (1, 1)
      bed.server.setUpstreams(itself)
      for transport in ["+notcp", "+tcp"] {
        #expect(try bed.dig("@127.0.0.11", transport, "loop.example").joined().contains("status: SERVFAIL"))
      }
      var counters = bed.server.counters
      #expect(counters.forwarded == 4 && counters.joined == 4 && counters.waiting == 0)
      // The other one changes the message, so that it is never the same.
      let other = try ScriptedUpstream(port: 5300) { asked in
        var message = asked.message
        message[13] = message[13] &+ 1
        guard let back = try? TestSocket.connected(SOCK_DGRAM, "10.88.0.1", 53) else { return nil }
        try? back.send(message)
        return nil
      }
      defer { other.stop() }
      bed.setUpstreams(5300, timeoutSeconds: 1, attempts: 1)
      #expect(try bed.dig("@127.0.0.11", "loop.example").joined().contains("status: SERVFAIL"))
      try eventually("the circle went on") {
        counters = bed.server.counters
        return counters.waiting == 0
      }
    }
  }

  @Test func `a query that is sent again shares the answer, as do others in the same words`() throws {
    try ServerBed.run { bed in
      let mayAnswer = DispatchSemaphore(value: 0)
      let upstream = try ScriptedUpstream(port: 5300) { asked in
        mayAnswer.wait()
        return [ScriptedUpstream.answer(asked.message)]
      }
      defer {
        mayAnswer.signal()
        upstream.stop()
      }
      bed.setUpstreams(5300, timeoutSeconds: 60)
      let (first, second) = (try bed.client(SOCK_DGRAM), try bed.client(SOCK_DGRAM))
      for _ in 0..<3 { try first.send(query("a.example", id: 1)) }
      try second.send(query("a.example", id: 2))
      try eventually("not joined") { bed.server.counters.joined == 3 }
      #expect(bed.server.counters.waiting == 2 && bed.server.counters.forwarded == 1)
      mayAnswer.signal()
      #expect(try first.receive() == ScriptedUpstream.answer(query("a.example", id: 1)))
      #expect(try second.receive() == ScriptedUpstream.answer(query("a.example", id: 2)))
      #expect(bed.server.counters.relayed == 2)
    }
  }

  @Test func `clients of two sandboxes that have one address, port and id are two`() throws {
    try ServerBed.run { bed in
      let mayAnswer = DispatchSemaphore(value: 0)
      let upstream = try ScriptedUpstream(port: 5300) { asked in
        mayAnswer.wait()
        return [ScriptedUpstream.answer(asked.message)]
      }
      defer {
        mayAnswer.signal()
        upstream.stop()
      }
      bed.setUpstreams(5300, timeoutSeconds: 60)
      // As if in another namespace.
      try bed.serve(.sandbox("s2"), "127.0.0.12")
      let client = try bed.inSandbox { try TestSocket.bound(SOCK_DGRAM, "127.0.0.1", 5555) }
      for server in ["127.0.0.11", "127.0.0.12"] { try client.send(query("a.example"), to: server, 53) }
      try eventually("not joined") { bed.server.counters.joined == 1 }
      mayAnswer.signal()
      for _ in 0..<2 { #expect(try client.receive() == ScriptedUpstream.answer(query("a.example"))) }
    }
  }

  @Test func `those who ask too much at once are told, each for itself and all together`() throws {
    var limits = NameServerLimits()
    (limits.waitingQueryCountPerClientMax, limits.waitingQueryCountMax) = (4, 6)
    try ServerBed.run(limits: limits) { bed in
      let silent = try ScriptedUpstream(port: 5300) { _ in nil }
      defer { silent.stop() }
      bed.setUpstreams(5300)
      let (inside, outside) = (try bed.client(SOCK_DGRAM), try bed.client(SOCK_DGRAM, "10.88.0.1"))
      for number in 0..<10 { try inside.send(query("i\(number).example")) }
      try eventually("not told") { bed.server.counters.overloaded == 6 }
      for number in 0..<10 { try outside.send(query("o\(number).example")) }
      try eventually("not told") { bed.server.counters.overloaded == 14 }
      #expect(bed.server.counters.waiting == 6)
      #expect(try inside.receive()[3] & 0xF == 2)
      // Ours are answered as ever.
      #expect(try bed.dig("@127.0.0.11", "+short", "web") == ["10.88.0.2"])
    }
  }

  @Test func `dnsmasq as upstream gives its answers through us, cut ones over TCP`() throws {
    try ServerBed.run { bed in
      let text = String(repeating: "x", count: 200)
      let pidFile = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID()).pid").path
      // Goes into the background once it serves; in the namespace of this thread.
      try command(
        "/usr/sbin/dnsmasq", "-C", "/dev/null", "--no-hosts", "--no-resolv", "-p", "5353",
        "--listen-address=127.0.0.1,::1",
        "--bind-interfaces", "--pid-file=\(pidFile)", "--user=root", "--host-record=up.example,192.0.2.7,2001:db8::7",
        "--txt-record=big.example" + String(repeating: ",\(text)", count: 10), "--local=/example/")
      defer {
        let pid = (try? String(contentsOfFile: pidFile, encoding: .utf8)).flatMap { Int32($0.dropLast()) }
        if let pid { kill(pid, SIGKILL) }
        try? FileManager.default.removeItem(atPath: pidFile)
      }
      bed.server.setUpstreams(Upstreams([.init(IPAddress("::1")!, port: 5353)]))
      for transport in ["+notcp", "+tcp"] {
        #expect(try bed.dig("@fd88::1", transport, "+short", "up.example", "AAAA") == ["2001:db8::7"])
      }
      bed.setUpstreams(5353)
      #expect(try bed.dig("@127.0.0.11", "+short", "up.example") == ["192.0.2.7"])
      #expect(try bed.execute("getent", "ahosts", "up.example").contains("2001:db8::7"))
      #expect(try bed.dig("@10.88.0.1", "no.example").joined().contains("status: NXDOMAIN"))
      #expect(try bed.dig("@10.88.0.1", "+ignore", "big.example", "TXT").joined().contains("flags: qr aa tc rd ra"))
      #expect(try bed.dig("@10.88.0.1", "+short", "big.example", "TXT").joined().contains(text))
      #expect(
        try bed.dig("@10.88.0.1", "+notcp", "+bufsize=4096", "+short", "big.example", "TXT").joined().contains(text))
    }
  }
}
