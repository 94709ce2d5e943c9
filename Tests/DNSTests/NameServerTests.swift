import CLinux
import Foundation
import Testing
import Wire

@testable import DNS

/// The sandbox's own programs ask, of what the table has.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct NameServerTests {
  @Test func `dig is answered by the gateway and within the sandbox, over UDP, TCP and IPv6`() throws {
    try ServerBed.run { bed in
      for server in ["@10.88.0.1", "@fd88::1", "@127.0.0.11"] {
        for transport in ["+notcp", "+tcp"] {
          #expect(try bed.dig(server, transport, "+short", "WEB") == ["10.88.0.2"], "\(server) \(transport)")
          #expect(try bed.dig(server, transport, "+short", "www.lan", "AAAA") == ["fd88::2"])
          #expect(try bed.dig(server, transport, "+short", "-x", "10.88.0.2") == ["web.lan."])
          #expect(try bed.dig(server, transport, "+short", "-x", "fd88::2") == ["web.lan."])
          #expect(try bed.dig(server, transport, "+short", "_80._tcp.web.lan", "SRV") == ["0 0 80 web.lan."])
        }
      }
      let whole = try bed.dig("@10.88.0.1", "WeB").joined(separator: "\n")
      #expect(whole.contains("status: NOERROR") && whole.contains("flags: qr aa rd ra"))
      #expect(whole.contains("WeB.\t\t\t0\tIN\tA\t10.88.0.2"))
      #expect(whole.contains("EDNS: version: 0, flags:; udp: 1232"))
    }
  }

  @Test func `the registered name of a port finds it`() throws {
    try #require(FileManager.default.fileExists(atPath: "/etc/services"), "netbase has it")
    try ServerBed.run { bed in
      let answer = try bed.dig("@127.0.0.11", "+short", "_http._tcp.web", "SRV")
      #expect(answer == ["0 0 80 web."])
    }
  }

  @Test func `the C library finds names and addresses`() throws {
    try ServerBed.run { bed in
      let addresses = try bed.execute("getent", "ahosts", "web")
      #expect(addresses.contains("10.88.0.2") && addresses.contains("fd88::2"))
      #expect(try bed.execute("getent", "hosts", "10.88.0.2").contains("web.lan"))
      // It has IPv4 alone: that there is no AAAA record fails nothing.
      bed.server.setEndpoint(
        NamedEndpoint(
          id: "e2", network: "n1", sandbox: "s2", names: ["plain"], addresses: [IPAddress("10.88.0.3")!]))
      #expect(try bed.execute("getent", "ahosts", "plain").contains("10.88.0.3"))
    }
  }

  @Test func `an answer follows every change at once`() throws {
    try ServerBed.run { bed in
      let client = try bed.client(SOCK_DGRAM)
      for round in 0..<50 {
        let address = "10.88.0.\(100 + round)"
        bed.server.setEndpoint(
          NamedEndpoint(id: "e2", network: "n1", sandbox: "s2", names: ["db"], addresses: [IPAddress(address)!]))
        try client.send(query("db"))
        #expect(try client.receive().suffix(4) == IPAddress(address)!.bytes[...])
        bed.server.removeEndpoint(id: "e2")
        try client.send(query("db"))
        // SERVFAIL: not ours, and there is no upstream.
        #expect(try client.receive()[3] & 0xF == 2)
      }
    }
  }

  @Test func `strangers are refused, the host is not, and nobody learns of other networks`() throws {
    try ServerBed.run { bed in
      bed.server.setNetwork(id: "n2", name: "far")
      bed.server.setEndpoint(
        NamedEndpoint(id: "e9", network: "n2", sandbox: "s9", names: ["secret"], addresses: [IPAddress("10.99.0.2")!]))
      for name in ["secret", "secret.far"] {
        #expect(try bed.dig("@10.88.0.1", name).joined().contains("status: SERVFAIL"))
      }
      let host = try TestSocket.connected(SOCK_DGRAM, "10.88.0.1", 53)
      try host.send(query("web"))
      #expect(try host.receive().suffix(4) == [10, 88, 0, 2])
      bed.server.removeEndpoint(id: "e1")
      for name in ["web", "example.com"] {
        #expect(try bed.dig("@10.88.0.1", name).joined().contains("status: REFUSED"))
        #expect(try bed.dig("@10.88.0.1", "+tcp", name).joined().contains("status: REFUSED"))
      }
    }
  }

  @Test func `more addresses than a datagram takes come over TCP`() throws {
    try ServerBed.run { bed in
      for number in 1...200 {
        bed.server.setEndpoint(
          NamedEndpoint(
            id: "m\(number)", network: "n1", sandbox: "m\(number)", names: ["many"],
            addresses: [IPAddress("10.88.1.\(number)")!]))
      }
      for words in [["+noedns"], ["+bufsize=1232"], ["+bufsize=4096"]] {
        #expect(try bed.dig("@10.88.0.1", "+short", "many", words[0]).filter { $0.hasPrefix("10.88.1.") }.count == 200)
        let cut = try bed.dig("@10.88.0.1", "+ignore", "many", words[0]).joined(separator: "\n")
        #expect(cut.contains("flags: qr aa tc rd ra"))
      }
    }
  }

  @Test func `closed sockets are free again, and others stay`() throws {
    try ServerBed.run { bed in
      let (held, other) = (try bed.client(SOCK_STREAM, "10.88.0.1"), try bed.client(SOCK_STREAM))
      for socket in [held, other] {
        try socket.sendFramed(query("web"))
        #expect(try socket.receiveFramed() != nil)
      }
      bed.server.close(bed.listeners[0])
      bed.server.close(bed.listeners[0])
      #expect(try held.receive() == [])
      #expect(bed.server.counters.connections == 1)
      try other.sendFramed(query("web"))
      #expect(try other.receiveFramed() != nil)
      try bed.serve(.network("n1"), "10.88.0.1")
      #expect(try bed.dig("@10.88.0.1", "+short", "web") == ["10.88.0.2"])
    }
  }

  @Test func `who cannot be answered ends nothing`() throws {
    try ServerBed.run { bed in
      // From port 0, and from addresses that no route leads to, by a raw socket: IPv4 and UDP headers, then the query.
      let message = query("web")
      let length = UInt8(8 + message.count)
      try bed.inSandbox {
        let raw = socket(AF_INET, Int32(SOCK_RAW.rawValue), Int32(IPPROTO_RAW))
        defer { close(raw) }
        for (source, port) in [("0a580002", "0000"), ("cb007109", "1234"), ("ffffffff", "1234"), ("7f000001", "1234")] {
          let packet =
            [UInt8](hex: "4500 00\([20 + length].hex) 0000 0000 4011 0000 \(source) 0a580001")
            + [UInt8](hex: "\(port) 0035 00\([length].hex) 0000") + message
          SocketEnd(IPAddress("10.88.0.1")!, port: 53).with { _ = sendto(raw, packet, packet.count, 0, $0, $1) }
        }
      }
      // The first is taken off the socket at least; others the kernel may have kept.
      try eventually("nothing came") { bed.server.counters.droppedRunts == 1 }
      #expect(try bed.dig("@10.88.0.1", "+short", "web") == ["10.88.0.2"])
    }
  }
}
