import CLinux
import Glibc
import SystemCalls
import Testing

@testable import LinuxIO

/// A network namespace with a veth pair in it, `left` and `right`, that goes with this value. Nothing but the test sends there:
/// the interfaces have no IPv6.
final class Cable {
  let name = "martlet-cable-\(getpid())-\(UInt32.random(in: .min ... .max))"

  init() throws {
    try Self.run("ip", "netns", "add", name)
    try ip("link", "add", "name", "left", "type", "veth", "peer", "name", "right")
    for end in ["left", "right"] { try ip("link", "set", end, "addrgenmode", "none", "up") }
  }

  deinit { _ = try? Self.run("ip", "netns", "del", name) }

  func ip(_ words: String...) throws { try Self.run(["ip", "-n", name] + words) }

  /// `ethtool -K INTERFACE WORDS`.
  func features(of interface: String, _ words: String...) throws {
    try Self.run(["ip", "netns", "exec", name, "ethtool", "-K", interface] + words)
  }

  /// Runs `body` on this thread in the namespace.
  func inside<Value: ~Copyable>(_ body: () throws -> Value) throws -> Value {
    let home = try FileDescriptor.open("/proc/thread-self/ns/net", O_RDONLY)
    let there = try FileDescriptor.open("/run/netns/\(name)", O_RDONLY)
    let entered = martlet_setns_network(there.number)
    try #require(entered == 0)
    defer { precondition(martlet_setns_network(home.number) == 0) }
    return try body()
  }

  func socket(_ interface: String, queues: Int = 1) throws -> FileDescriptorGroup {
    try inside { try PacketSocket(interface: interface, queues: queues).release() }
  }

  static func run(_ words: String...) throws { try run(words) }

  static func run(_ words: [String]) throws {
    var child = pid_t()
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let result = posix_spawnp(&child, words[0], nil, nil, &arguments, Glibc.environ)
    try #require(result == 0, "\(words)")
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    try #require(status == 0, "\(words.joined(separator: " "))")
  }
}

/// Waits for what a worker does in its own time. One that never does it is an error, not a test without end.
func eventually(sourceLocation: SourceLocation = #_sourceLocation, _ condition: () -> Bool) throws {
  let end = ContinuousClock.now + .seconds(20)
  while !condition() {
    try #require(ContinuousClock.now < end, "waited in vain", sourceLocation: sourceLocation)
    sched_yield()
  }
}
