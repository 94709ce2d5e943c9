import Foundation
import Netlink
import SystemCalls
import Testing
import Wire

/// Against sockets that another program has: socat, or Python where it can what socat cannot.
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces, which needs root"))
struct PortUserTests {
  /// Runs `script` in the namespace by Python until `body` is through; it begins when the script has printed a line.
  private func withPython(
    _ script: String, in namespace: TestNamespace, _ body: (Process) throws -> Void
  ) throws {
    let process = Process()
    let (input, output) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let program = "from socket import *\n\(script)\nprint('ready', flush=True)\ninput()\n"
    process.arguments = ["ip", "netns", "exec", namespace.name, "python3", "-c", program]
    (process.standardInput, process.standardOutput) = (input, output)
    try process.run()
    defer {
      try? input.fileHandleForWriting.close()
      process.waitUntilExit()
    }
    try #require(!output.fileHandleForReading.availableData.isEmpty, "the script failed")
    try body(process)
  }

  private func users(
    _ port: UInt16, _ transport: TransportProtocol, _ namespace: TestNamespace
  ) throws -> [PortUser] {
    try PortUser.users(of: port, protocol: transport, in: NetworkNamespace(path: namespace.path))
  }

  @Test func listenersOfBothFamiliesHaveTheirProcess() throws {
    let script = """
      a = socket(AF_INET, SOCK_STREAM); a.bind(('127.0.0.1', 8080)); a.listen()
      b = socket(AF_INET6, SOCK_STREAM); b.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1); b.bind(('::', 8080)); b.listen()
      c = socket(AF_INET6, SOCK_STREAM); c.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0); c.bind(('::', 8081)); c.listen()
      d = socket(AF_INET6, SOCK_STREAM); d.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
      d.bind(('::ffff:127.0.0.1', 8082)); d.listen()
      e = socket(AF_INET, SOCK_STREAM); e.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b'lo'); e.bind(('', 8083)); e.listen()
      """
    try withNamespace { namespace in
      try namespace.ip("link", "set", "lo", "up")
      try withPython(script, in: namespace) { process in
        let found = try users(8080, .tcp, namespace)
        #expect(found.map { "\($0.address) \($0.isIPv6Only)" } == ["127.0.0.1 false", ":: true"])
        #expect(found.allSatisfy { $0.port == 8080 && $0.linkIndex == nil && $0.inode != 0 })
        #expect(found.map(\.processID) == [process.processIdentifier, process.processIdentifier])
        let name = try String(contentsOfFile: "/proc/\(process.processIdentifier)/comm", encoding: .utf8)
        #expect(found.map(\.processName) == Array(repeating: String(name.dropLast()), count: 2))
        #expect(try users(8081, .tcp, namespace).map { "\($0.address) \($0.isIPv6Only)" } == [":: false"])
        #expect(try users(8082, .tcp, namespace).map { "\($0.address)" } == ["127.0.0.1"])
        #expect(try users(8083, .tcp, namespace).map(\.linkIndex) == [Link.loopbackIndex])
        #expect(try users(8080, .udp, namespace).isEmpty)
        #expect(try users(808, .tcp, namespace).isEmpty)
        try withNamespace { other in
          let elsewhere = try users(8080, .tcp, other)
          #expect(elsewhere.isEmpty)
        }
      }
    }
  }

  /// Linux 6.8 and later tell of these.
  @Test func socketThatIsBoundButDoesNotListenIsSeen() throws {
    try withNamespace { namespace in
      try withPython("a = socket(AF_INET, SOCK_STREAM); a.bind(('', 8080))", in: namespace) { process in
        let found = try users(8080, .tcp, namespace)
        #expect(found.map(\.processID) == [process.processIdentifier])
      }
    }
  }

  @Test func datagramSocketsAreSeenConnectedOrNot() throws {
    let script = """
      a = socket(AF_INET, SOCK_DGRAM); a.bind(('127.0.0.1', 5353))
      b = socket(AF_INET6, SOCK_DGRAM); b.bind(('::1', 5353)); b.connect(('::1', 9))
      """
    try withNamespace { namespace in
      try namespace.ip("link", "set", "lo", "up")
      try withPython(script, in: namespace) { process in
        let found = try users(5353, .udp, namespace)
        #expect(found.map { "\($0.address)" } == ["127.0.0.1", "::1"])
        #expect(found.allSatisfy { $0.processID == process.processIdentifier })
        #expect(try users(5353, .tcp, namespace).isEmpty)
      }
    }
  }

  /// A connection holds its own port, but does not keep anybody from listening on it elsewhere.
  @Test func boundPortsAreThoseOfSS() throws {
    let script = """
      a = socket(AF_INET, SOCK_STREAM); a.bind(('127.0.0.1', 8080)); a.listen()
      b = socket(AF_INET, SOCK_STREAM); b.bind(('127.0.0.1', 30001)); b.connect(('127.0.0.1', 8080)); c = a.accept()
      d = socket(AF_INET6, SOCK_STREAM); d.bind(('::', 8081))
      e = socket(AF_INET, SOCK_STREAM)
      f = socket(AF_INET, SOCK_DGRAM); f.connect(('127.0.0.1', 9)); print(f.getsockname()[1])
      g = socket(AF_INET6, SOCK_DGRAM); g.bind(('::', 5353))
      """
    try withNamespace { namespace in
      try namespace.ip("link", "set", "lo", "up")
      try withPython(script, in: namespace) { _ in
        let other = try NetworkNamespace(path: namespace.path)
        #expect(try PortUser.boundPorts(protocol: .tcp, in: other) == [8080, 8081, 30001])
        let shown = try Command.run("ip", "netns", "exec", namespace.name, "ss", "-H", "-u", "-a", "-n")
        let ports = shown.split(separator: "\n").compactMap { line in
          line.split(separator: " ").dropFirst(3).first?.split(separator: ":").last.flatMap { UInt16($0) }
        }
        #expect(ports.count == 2)
        #expect(try PortUser.boundPorts(protocol: .udp, in: other) == Set(ports))
        #expect(try users(30001, .tcp, namespace).isEmpty)
      }
    }
  }

  @Test func localPortRangeIsTheNamespacesOwn() throws {
    try withNamespace { namespace in
      let other = try NetworkNamespace(path: namespace.path)
      try Command.run(
        "ip", "netns", "exec", namespace.name, "sh", "-c", "echo 40000 40999 > /proc/sys/net/ipv4/ip_local_port_range")
      #expect(try other.localPortRange() == 40000...40999)
    }
  }
}
