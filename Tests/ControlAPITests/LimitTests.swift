import ControlClient
import ControlModel
import Dispatch
import Glibc
import HTTPService
import Support
import Synchronization
import Testing

@testable import ControlAPI

@Suite struct LimitTests {
  private static let bodyBytesMax = ServerLimits().bodyBytesMax

  private func body(of count: Int) -> String {
    let head = #"{"name":"lab","x":""#
    return head + String(repeating: "a", count: count - head.utf8.count - 2) + "\"}"
  }

  @Test func theLargestBodyPasses() throws {
    let fixture = try ServerFixture()
    let raw = try RawClient(fixture.socketPath)
    let body = body(of: Self.bodyBytesMax)
    raw.send("POST /v1/networks HTTP/1.1\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 201 ") == true)
  }

  @Test(arguments: [1, 1 << 20])
  func aLargerOneIsRefused(excess: Int) throws {
    let fixture = try ServerFixture()
    var request = NetworkRequest(name: "lab")
    request.labels = ["a": String(repeating: "a", count: Self.bodyBytesMax + excess)]
    let expected = ControlError(.tooLarge, "the request's body is larger than 1048576 bytes")
    #expect(throws: expected) { try fixture.client.createNetwork(request) }
    #expect(fixture.service.calls.isEmpty)
  }

  /// No length is declared, so that only counting helps.
  @Test func aLargerOneInChunksIsRefused() throws {
    let fixture = try ServerFixture()
    let raw = try RawClient(fixture.socketPath)
    raw.send("POST /v1/networks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    let chunk = "10000\r\n" + String(repeating: "a", count: 0x10000) + "\r\n"
    for _ in 0...Self.bodyBytesMax / 0x10000 { raw.send(chunk) }
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 413 ") == true)
  }

  @Test(arguments: [
    "X: \(String(repeating: "a", count: 20_000))\r\n",
    (0..<100).map { "X\($0): a\r\n" }.joined(),
    (0..<60).map { "X\($0): \(String(repeating: "a", count: 1000))\r\n" }.joined(),
  ])
  func headers(_ fields: String) throws {
    let fixture = try ServerFixture()
    let raw = try RawClient(fixture.socketPath)
    raw.send("GET /v1/version HTTP/1.1\r\n\(fields)\r\n")
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 431 ") == true)
  }

  @Test func target() throws {
    let fixture = try ServerFixture()
    let raw = try RawClient(fixture.socketPath)
    raw.send("GET /v1/\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\n\r\n")
    #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 431 ") == true)
  }

  @Test func connections() throws {
    var limits = ServerLimits()
    limits.connectionsMax = 20
    let fixture = try ServerFixture(limits: limits)
    let held = try (0..<20).map { _ in
      let raw = try RawClient(fixture.socketPath)
      raw.send("GET /v1/version HTTP/1.1\r\n\r\n")
      return raw
    }
    for raw in held { #expect(raw.read(until: "}") != nil) }
    let surplus = try RawClient(fixture.socketPath)
    #expect(surplus.readToEnd()?.hasPrefix("HTTP/1.1 503 ") == true)
    #expect(throws: ControlError(.exhausted, "the daemon already serves 20 connections")) {
      try fixture.client.networks()
    }
    withExtendedLifetime(held) {}
  }

  /// A connection that is closed makes room again.
  @Test func manyConnectionsOneAfterAnother() throws {
    var limits = ServerLimits()
    limits.connectionsMax = 2
    let fixture = try ServerFixture(limits: limits)
    for _ in 0..<100 {
      let raw = try RawClient(fixture.socketPath)
      raw.send("GET /v1/version HTTP/1.1\r\nConnection: close\r\n\r\n")
      #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 200 ") == true)
    }
  }

  /// The service is never called by two at once.
  @Test func callsAreServedOneByOne() throws {
    let inside = Atomic(0)
    let most = Atomic(0)
    let service = StandInService { _ in
      most.max(inside.add(1, ordering: .sequentiallyConsistent).newValue, ordering: .sequentiallyConsistent)
      // Gives a second caller, were there one, every chance to come in.
      usleep(1000)
      inside.subtract(1, ordering: .sequentiallyConsistent)
    }
    let fixture = try ServerFixture(service: service)
    let client = fixture.client
    DispatchQueue.concurrentPerform(iterations: 32) { _ in _ = try? client.networks() }
    #expect(service.calls.count == 32)
    #expect(most.load(ordering: .sequentiallyConsistent) == 1)
  }
}
