import ControlModel
import Dispatch
import Glibc
import HTTPService
import Support
import Synchronization
import Testing

@testable import DockerDriver

/// Over the real socket, with the bytes that Docker sends.
@Suite struct PluginSocketTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/plugins/martlet.sock" }

  init() throws { directory = try TemporaryDirectory() }

  private func serve(
    _ driver: StandInDriver, limits: ServerLimits = ServerLimits(), _ body: () throws -> Void
  ) throws {
    let server = PluginServer(driver: driver, logger: silent, limits: limits)
    try server.start(socketPath: path)
    defer { server.stop() }
    try body()
  }

  /// As Docker 20.10 sends it: with an empty Host.
  private func request(_ method: String, _ body: String, host: String = "") -> String {
    "POST /\(method) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: \(body.utf8.count)\r\n"
      + "Accept: application/vnd.docker.plugins.v1.2+json\r\n\r\n\(body)"
  }

  @Test func `one connection stays for many calls`() throws {
    let driver = StandInDriver()
    try serve(driver) {
      let client = try RawClient(path)
      client.send(request("Plugin.Activate", ""))
      let activated = try #require(client.readAnswer())
      #expect(activated.head.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(activated.head.contains("content-type: application/vnd.docker.plugins.v1.2+json\r\n"))
      #expect(activated.body == #"{"Implements":["NetworkDriver","IpamDriver"]}"#)
      client.send(request("NetworkDriver.Leave", "{\(ids)}", host: "plugin.moby.localhost"))
      #expect(client.readAnswer()?.body == "{}")
      client.send(request("NetworkDriver.Nothing", "{}"))
      #expect(client.readAnswer()?.head.hasPrefix("HTTP/1.1 404 ") == true)
      client.send(request("NetworkDriver.DeleteEndpoint", "{\(ids)}"))
      #expect(client.readAnswer()?.body == "{}")
    }
    #expect(
      driver.calls == [
        .leave(network: network, endpoint: endpoint), .deleteEndpoint(network: network, endpoint: endpoint),
      ])
  }

  @Test func `a body that is too large is refused in the protocol's form`() throws {
    var limits = ServerLimits()
    limits.bodyBytesMax = 1000
    let driver = StandInDriver()
    try serve(driver, limits: limits) {
      let client = try RawClient(path)
      client.send(request("NetworkDriver.Leave", String(repeating: " ", count: 1001)))
      let answer = try #require(client.readToEnd())
      #expect(answer.hasPrefix("HTTP/1.1 413 "))
      #expect(answer.hasSuffix(#"{"Err":"the request's body is larger than 1000 bytes"}"#))
      let broken = try RawClient(path)
      broken.send("no HTTP at all\r\n\r\n")
      #expect(broken.readToEnd()?.contains(#"{"Err":"malformed HTTP: "#) == true)
    }
    #expect(driver.calls.isEmpty)
  }

  /// Containers start at the same time, each with calls on a connection of its own.
  @Test func `a call that takes long does not hold up others`() throws {
    let (entered, proceed) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let driver = StandInDriver { call in
      guard case .join = call else { return }
      entered.signal()
      proceed.wait()
    }
    try serve(driver) {
      let slow = try (1..<PluginServer.threads).map { _ in try RawClient(path) }
      for client in slow {
        client.send(request("NetworkDriver.Join", #"{\#(ids), "SandboxKey": "/var/run/docker/netns/1"}"#))
        #expect(entered.wait(timeout: .now() + 10) == .success)
      }
      let other = try RawClient(path)
      for _ in 0..<3 {
        other.send(request("NetworkDriver.EndpointOperInfo", "{\(ids)}"))
        #expect(other.readAnswer()?.body.hasPrefix(#"{"Value":"#) == true)
      }
      for _ in slow { proceed.signal() }
      for client in slow { #expect(client.readAnswer()?.body.contains("InterfaceName") == true) }
    }
  }

  @Test func `calls of several connections interleave, and each gets its own answer`() throws {
    let driver = StandInDriver()
    let wrong = Atomic(0)
    let (clients, rounds) = (16, 20)
    try serve(driver) { [path] in
      DispatchQueue.concurrentPerform(iterations: clients) { number in
        guard let client = try? RawClient(path) else {
          wrong.add(1, ordering: .relaxed)
          return
        }
        for round in 0..<rounds {
          let method = round % 2 == 0 ? "NetworkDriver.NoMethod\(number)" : "NetworkDriver.Leave"
          client.send(request(method, #"{"NetworkID": "n\#(number)", "EndpointID": "e\#(round)"}"#))
          let expected = round % 2 == 0 ? #"{"Err":"no method \#(method) here"}"# : "{}"
          if client.readAnswer()?.body != expected { wrong.add(1, ordering: .relaxed) }
        }
      }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
    for number in 0..<clients {
      let own = driver.calls.filter {
        if case .leave("n\(number)", _) = $0 { true } else { false }
      }
      #expect(own == stride(from: 1, to: rounds, by: 2).map { .leave(network: "n\(number)", endpoint: "e\($0)") })
    }
  }

  @Test func `who may not enter dockerd's directory does not enter ours`() throws {
    try serve(StandInDriver()) {
      var status = stat()
      #expect(lstat(directory.path + "/plugins", &status) == 0 && status.st_mode & 0o7777 == 0o700)
    }
    #expect(access(path, F_OK) != 0)
  }

  @Test func `a socket that is handed over is served and stays`() throws {
    let path = directory.path + "/martlet.sock"
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(try UnixSocketAddress(path: path).bind(descriptor) == 0)
    #expect(listen(descriptor, 8) == 0)
    let server = PluginServer(driver: StandInDriver(), logger: silent)
    try server.start(inherited: descriptor, name: path)
    let client = try RawClient(path)
    client.send(request("Plugin.Activate", ""))
    #expect(client.readAnswer()?.body.hasPrefix(#"{"Implements""#) == true)
    server.stop()
    #expect(access(path, F_OK) == 0)
  }
}
