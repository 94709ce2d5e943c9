import Etcd
import Foundation
import Support
import Testing

@Suite(.enabled(if: EtcdServer.isThere, EtcdBed.skip))
struct FailoverTests {
  /// Three members at 127.0.0.1 to 127.0.0.3.
  private func withThree(_ body: (TestNamespace, [EtcdServer]) throws -> Void) throws {
    let namespace = try TestNamespace()
    let cluster = Dictionary(uniqueKeysWithValues: (1...3).map { ("m\($0)", "http://127.0.0.\($0):2380") })
    let servers = try (1...3).map {
      try EtcdServer(in: namespace, address: "127.0.0.\($0)", name: "m\($0)", cluster: cluster)
    }
    for server in servers { try server.launch() }
    defer { for server in servers { server.kill() } }
    for server in servers { try server.waitUntilReady() }
    try body(namespace, servers)
  }

  @Test func oneMemberDies() throws {
    try withThree { namespace, servers in
      let client = try namespace.client(servers.map(\.endpoint))
      let start = try client.put("/a", Data("1"))
      let watch = try client.watch(.key("/a"), from: start)
      #expect(try watch.next(within: .seconds(30))?.events.count == 1)
      servers[0].kill()
      expect(.unreachable) { try watch.next(within: .seconds(30)) }
      #expect(try client.range(.key("/a")).values.map(\.value.text) == ["1"])
      let other = try client.watch(.key("/a"), from: start + 1)
      try client.put("/a", Data("2"))
      #expect(try other.next(within: .seconds(30))?.events.count == 1)
    }
  }

  /// A member that is reached and has no majority is left for another; alone it ends its watches and refuses.
  @Test func aMemberWithoutMajority() throws {
    try withThree { namespace, servers in
      let client = try namespace.client([servers[0].endpoint]) {
        $0.limits.answerTimeout = .seconds(3)
        $0.limits.patience = .seconds(3)
      }
      let start = try client.put("/a", Data("1"))
      let watch = try client.watch(.key("/a"), from: start + 1)
      for server in servers.dropFirst() { server.signal(SIGSTOP) }
      expect(.unreachable) { try watch.next(within: .seconds(60)) }
      expect(.unreachable) { try client.range(.key("/a")) }
      expect(.uncertain) { try client.put("/a", Data("2")) }
    }
  }

  @Test func endpointsThatAreNotWell() throws {
    try EtcdBed.run { bed in
      // Takes connections and says nothing.
      let mute = try bed.namespace.inside { try FakeServer(.silence) { AnySequence([]) } }
      defer { mute.stop() }
      let dead = "http://127.0.0.1:9"
      let client = try bed.namespace.client([dead, "http://127.0.0.1:\(mute.port)", bed.server.endpoint]) {
        $0.limits.answerTimeout = .milliseconds(500)
      }
      #expect(try client.range(.key("/a")).values.isEmpty)
      let asked = mute.requestCount
      for _ in 0..<10 { try client.put("/a", Data("1")) }
      let watch = try client.watch(.key("/a"), from: 1)
      #expect(try watch.next(within: .seconds(30))?.events.isEmpty == false)
      // It stays with the one that answers.
      #expect((asked, mute.requestCount) == (1, 1))

      let none = try bed.namespace.client([dead, dead]) { $0.limits.patience = .seconds(1) }
      let error = expect(.unreachable) { try none.put("/a", Data()) }
      #expect(error?.message.contains("127.0.0.1:9") == true)
      #expect(error?.message.contains("none of the endpoints") == true)
    }
  }

  @Test func manyAtOnce() throws {
    try EtcdBed.run { bed in
      let client = try bed.client()
      let threads = (0..<8).map { number in
        Background {
          for turn in 0..<50 {
            #expect(throws: Never.self) { try client.put("/t/\(number)/\(turn)", Data("\(turn)")) }
          }
        }
      }
      for thread in threads { thread.wait() }
      #expect(try client.range(.prefix("/t/"), limit: 1).count == 400)
    }
  }

  @Test(arguments: [
    "", "etcd:2379", "ftp://etcd", "http://", "http://etcd:0", "http://etcd:70000", "http://etcd:x", "http://[::1",
    "http://[::1]2379", "http://etcd/v3", "http://user@etcd", "http://a b",
  ])
  func noEndpoint(_ text: String) throws {
    let error = expect(.invalid) { try TestNamespace().client([text]) }
    #expect(error?.message.contains("\"\(text)\"") == true)
  }

  @Test func noSensibleConfiguration() throws {
    let namespace = try TestNamespace()
    expect(.invalid) { try namespace.client([]) }
    expect(.invalid) { try namespace.client(["http://[::1]:2379/"]) { $0.user = "martlet" } }
    _ = try namespace.client(["http://[::1]:2379/", "https://etcd.example"])
  }
}
