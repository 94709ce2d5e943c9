import Testing

@testable import LivePage

@Suite("Host header") struct HostHeaderTests {
  @Test(
    "what means this host is answered, with any port",
    arguments: [
      "localhost", "LocalHost", "localhost:9180", "127.0.0.1", "127.0.0.1:80", "127.1.2.3:9180", "[::1]", "[::1]:9180",
    ])
  func answered(host: String) { #expect(HostHeader.isLoopback(host)) }

  @Test(
    "any other name is not, however much it looks like one that is",
    arguments: [
      "", ":9180", "example.com", "example.com:9180", "localhost.example.com", "127.0.0.1.example.com",
      "127.example.com", "evil-localhost", "localhost.", "localhost:x", "localhost:80:80", "128.0.0.1", "0.0.0.0",
      "[::]", "[::1", "::1",
      "[::1].example.com", "[::ffff:192.0.2.1]", "[2001:db8::1]:80", "127.1", "2130706433", "127.0.0.1@example.com",
      "localhost ", " localhost", "localhost/", "user@localhost",
    ])
  func refused(host: String) { #expect(!HostHeader.isLoopback(host)) }
}
