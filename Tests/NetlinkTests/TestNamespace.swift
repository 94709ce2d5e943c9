import Foundation
import Netlink
import Testing

/// A namespace that iproute2 made for one test.
struct TestNamespace {
  let name: String
  var path: String { "/run/netns/\(name)" }

  /// `ip -n NAME WORDS`.
  func ip(_ words: String...) throws {
    let command = try attempt(["ip"] + words)
    try #require(command.status == 0, "ip \(words.joined(separator: " ")): \(command.complaint)")
  }

  /// `ip -n NAME -batch -`.
  func ip(batch: [String]) throws {
    let command = try attempt(["ip", "-batch", "-"], input: batch.joined(separator: "\n") + "\n")
    try #require(command.status == 0, "\(command.complaint)")
  }

  /// `ip -n NAME -j -d WORDS`, or another program of iproute2; it prints nothing where it has nothing to show.
  func show<Object: Decodable>(_: Object.Type, program: String = "ip", _ words: String...) throws -> [Object] {
    let command = try attempt([program, "-j", "-d"] + words)
    try #require(command.status == 0, "\(words.joined(separator: " ")): \(command.complaint)")
    return command.output.isEmpty ? [] : try JSONDecoder().decode([Object].self, from: command.output)
  }

  func attempt(_ words: [String], input: String = "") throws -> Command {
    try Command.attempt([words[0], "-n", name] + words.dropFirst(), input: input)
  }
}

/// Of this process and this call alone, so that a second run beside this one does no harm.
func uniqueName() -> String {
  "martlet-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: .min ... .max))"
}

/// Runs `body` with `count` namespaces, taken away whatever comes.
func withNamespaces(_ count: Int, _ body: ([TestNamespace]) throws -> Void) throws {
  let names = (0..<count).map { _ in uniqueName() }
  defer { for name in names { _ = try? Command.attempt(["ip", "netns", "del", name]) } }
  for name in names { try Command.run("ip", "netns", "add", name) }
  try body(names.map(TestNamespace.init))
}

func withNamespace(_ body: (TestNamespace) throws -> Void) throws {
  try withNamespaces(1) { try body($0[0]) }
}

/// Runs `body` with a namespace, a socket in it, and the TAPs tap0 and tap1: up, without carrier, and without the
/// link-local addresses that the kernel would add in its own time.
func withTAPs(_ body: (TestNamespace, inout RouteSocket, _ tap0: Int32, _ tap1: Int32) throws -> Void) throws {
  try withNamespace { namespace in
    for name in ["tap0", "tap1"] {
      try namespace.ip("tuntap", "add", name, "mode", "tap")
      try namespace.ip("link", "set", name, "addrgenmode", "none", "up")
    }
    var socket = try RouteSocket(in: NetworkNamespace(path: namespace.path))
    let first = try #require(try socket.link(named: "tap0")).index
    let second = try #require(try socket.link(named: "tap1")).index
    try body(namespace, &socket, first, second)
  }
}
