import CLinux
import Foundation
import Relay
import Support
import SystemCalls
import Testing
import Wire

/// A host and a container, each a network namespace, joined by a veth pair: 10.88.0.1 and fd88::1 are the host's,
/// 10.88.0.2 and fd88::2 the container's.
struct TestBed {
  let host: String
  let container: String

  static let hostV4 = "10.88.0.1"
  static let containerV4 = "10.88.0.2"
  static let containerV6 = "fd88::2"

  /// Runs `body` with the calling thread in the host's namespace, and takes the namespaces away whatever comes.
  static func run(_ body: (TestBed) throws -> Void) throws {
    let suffix = "\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: .min ... .max))"
    let bed = TestBed(host: "martlet-h-\(suffix)", container: "martlet-c-\(suffix)")
    defer { for name in [bed.host, bed.container] { _ = try? command("ip", "netns", "del", name) } }
    for name in [bed.host, bed.container] {
      try command("ip", "netns", "add", name)
      try command("ip", "-n", name, "link", "set", "lo", "up")
    }
    try command(
      "ip", "-n", bed.host, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", bed.container)
    // Before it has addresses: one that is given while there is no carrier is tentative for a while.
    for name in [bed.host, bed.container] { try command("ip", "-n", name, "link", "set", "veth0", "up") }
    for (name, last) in [(bed.host, 1), (bed.container, 2)] {
      try command("ip", "-n", name, "address", "add", "10.88.0.\(last)/24", "dev", "veth0")
      try command("ip", "-n", name, "address", "add", "fd88::\(last)/64", "dev", "veth0", "nodad")
    }
    try bed.inHost { try body(bed) }
  }

  func inHost<Result>(_ body: () throws -> Result) throws -> Result { try inside(host, body) }
  func inContainer<Result>(_ body: () throws -> Result) throws -> Result { try inside(container, body) }

  private func inside<Result>(_ name: String, _ body: () throws -> Result) throws -> Result {
    let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
    let namespace = try FileDescriptor.open("/run/netns/\(name)", O_RDONLY)
    _ = try check(martlet_setns_network(namespace.number), "enter \(name)")
    defer { precondition(martlet_setns_network(home.number) == 0) }
    return try body()
  }

  /// `path` below /proc/sys/net, of which each thread sees its own namespace's.
  func setHostSysctl(_ path: String, to value: String) throws {
    try inHost {
      let file = try FileDescriptor.open("/proc/sys/net/\(path)", O_WRONLY)
      try #require(write(file.number, value, value.utf8.count) == value.utf8.count)
    }
  }

  /// A server's listening socket in the container.
  func server(_ type: __socket_type = SOCK_STREAM, _ address: String = containerV4, _ port: UInt16 = 80) throws
    -> TestSocket
  {
    try inContainer { try TestSocket.bound(type, address, port) }
  }
}

/// A publication of `ports` to the container's port 80 and those after it.
func published(
  _ transport: RelayedPorts.TransportProtocol = .tcp, _ address: String = "0.0.0.0",
  _ ports: ClosedRange<UInt16> = 8080...8080, to target: String = TestBed.containerV4, _ firstTargetPort: UInt16 = 80
) -> RelayedPorts {
  RelayedPorts(
    transport, hostAddress: IPAddress(address)!, hostPorts: ports, targetAddress: IPAddress(target)!,
    firstTargetPort: firstTargetPort)
}

/// Waits until `condition` holds, ten seconds at most.
func eventually(
  _ words: Comment, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool
) rethrows {
  let end = ContinuousClock.now + .seconds(10)
  while try !condition() {
    guard ContinuousClock.now < end else {
      Issue.record(words, sourceLocation: sourceLocation)
      return
    }
    usleep(1000)
  }
}

/// A run of a program that must succeed; its output.
@discardableResult
func command(_ words: String...) throws -> String {
  let process = Process()
  let output = Pipe()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = words
  process.standardOutput = output
  try process.run()
  let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  try #require(process.terminationStatus == 0, "\(words.joined(separator: " "))")
  return String(decoding: bytes, as: UTF8.self)
}
