import CLinux
import Foundation
import Logging
import SystemCalls
import Testing
import Wire

@testable import DNS

/// A host and a sandbox, each a network namespace, joined by a veth pair: 10.88.0.1 and fd88::1 are the host's, a
/// gateway's say; 10.88.0.2 and fd88::2 the sandbox's. The name server is at home in the host's; it serves network n1
/// (`lan`) at the gateway's addresses, and sandbox s1 (`web`, `www`), which is the one that there is, at 127.0.0.11
/// within.
final class ServerBed {
  let server: NameServer
  private let host: String
  private let sandbox: String
  private(set) var listeners: [Listener] = []

  /// Takes everything away again whatever comes.
  static func run(limits: NameServerLimits = NameServerLimits(), _ body: (ServerBed) throws -> Void) throws {
    let suffix = "\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: .min ... .max))"
    let (host, sandbox) = ("martlet-h-\(suffix)", "martlet-s-\(suffix)")
    defer {
      for name in [host, sandbox] { _ = try? command("ip", "netns", "del", name) }
      _ = try? FileManager.default.removeItem(atPath: "/etc/netns/\(sandbox)")
    }
    for name in [host, sandbox] {
      try command("ip", "netns", "add", name)
      try command("ip", "-n", name, "link", "set", "lo", "up")
    }
    try command("ip", "-n", host, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", sandbox)
    for name in [host, sandbox] { try command("ip", "-n", name, "link", "set", "veth0", "up") }
    for (name, last) in [(host, 1), (sandbox, 2)] {
      try command("ip", "-n", name, "address", "add", "10.88.0.\(last)/24", "dev", "veth0")
      try command("ip", "-n", name, "address", "add", "fd88::\(last)/64", "dev", "veth0", "nodad")
    }
    try FileManager.default.createDirectory(atPath: "/etc/netns/\(sandbox)", withIntermediateDirectories: true)
    try "nameserver 127.0.0.11\noptions ndots:0\n"
      .write(toFile: "/etc/netns/\(sandbox)/resolv.conf", atomically: true, encoding: .utf8)
    try inside(host) {
      let bed = ServerBed(NameServer(logger: Logger(label: "names"), limits: limits), host, sandbox)
      defer { bed.server.stop() }
      try bed.fill()
      try body(bed)
    }
  }

  private init(_ server: NameServer, _ host: String, _ sandbox: String) {
    (self.server, self.host, self.sandbox) = (server, host, sandbox)
  }

  private func fill() throws {
    server.setNetwork(id: "n1", name: "lan")
    server.setEndpoint(
      NamedEndpoint(
        id: "e1", network: "n1", sandbox: "s1", names: ["web", "www"],
        addresses: [IPAddress("10.88.0.2")!, IPAddress("fd88::2")!], services: [.init(port: 80)]))
    for (clientele, address) in [
      (Clientele.network("n1"), "10.88.0.1"), (.network("n1"), "fd88::1"), (.sandbox("s1"), "127.0.0.11"),
    ] { try serve(clientele, address) }
  }

  /// At port 53 of `address`: within the sandbox where that is a loopback address.
  func serve(_ clientele: Clientele, _ address: String) throws {
    let place = address.hasPrefix("127.") ? sandbox : host
    let sockets = try ServerBed.inside(place) {
      (
        try TestSocket.bound(SOCK_DGRAM, address, 53).release(),
        try TestSocket.bound(SOCK_STREAM, address, 53).release()
      )
    }
    listeners.append(
      try server.serve(
        clientele, datagrams: FileDescriptor(owning: sockets.0), streams: FileDescriptor(owning: sockets.1)))
  }

  /// The upstreams, in the host's namespace, by their ports on 127.0.0.1.
  func setUpstreams(_ ports: UInt16..., timeoutSeconds: Int = 5, attempts: Int = 2) {
    var upstreams = Upstreams(ports.map { Upstreams.Server(IPAddress("127.0.0.1")!, port: $0) })
    (upstreams.timeoutSeconds, upstreams.attempts) = (timeoutSeconds, attempts)
    server.setUpstreams(upstreams)
  }

  /// What dig prints in the sandbox, line by line. Asks once, and waits ten seconds.
  func dig(_ words: String...) throws -> [String] {
    try command(["ip", "netns", "exec", sandbox, "dig", "+tries=1", "+time=10"] + words)
      .split(separator: "\n").map(String.init)
  }

  /// What a program prints, in the sandbox and with its resolv.conf.
  func execute(_ words: String...) throws -> String { try command(["ip", "netns", "exec", sandbox] + words) }

  func inSandbox<Result>(_ body: () throws -> Result) throws -> Result { try ServerBed.inside(sandbox, body) }

  /// A client's socket in the sandbox, connected to 127.0.0.11 or another server.
  func client(_ type: __socket_type, _ address: String = "127.0.0.11") throws -> TestSocket {
    try inSandbox { try TestSocket.connected(type, address, 53) }
  }

  private static func inside<Result>(_ name: String, _ body: () throws -> Result) throws -> Result {
    let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
    let namespace = try FileDescriptor.open("/run/netns/\(name)", O_RDONLY)
    _ = try check(martlet_setns_network(namespace.number), "enter \(name)")
    defer { precondition(martlet_setns_network(home.number) == 0) }
    return try body()
  }
}

/// Waits until `condition` holds, twenty seconds at most.
func eventually(
  _ words: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + .seconds(20)
  while try !condition() {
    try #require(ContinuousClock.now < end, words, sourceLocation: sourceLocation)
    usleep(2000)
  }
}

/// A run of a program that must succeed; its output.
@discardableResult
func command(_ words: String...) throws -> String { try command(words) }

func command(_ words: [String]) throws -> String {
  let process = Process()
  let output = Pipe()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = words
  process.standardOutput = output
  try process.run()
  let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  let text = String(decoding: bytes, as: UTF8.self)
  try #require(process.terminationStatus == 0, "\(words.joined(separator: " ")): \(text)")
  return text
}
