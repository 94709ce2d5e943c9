import FoundationEssentials
import Glibc

/// A WireGuard interface on each of two hosts, and each the other's peer: the kernel's, or where it has none, wireguard-go's.
struct WireGuardTunnel {
  static let port = 51_820
  /// Of both ends, in both families.
  static let addresses = [(ipv4: "10.7.0.1", ipv6: "fd07::1"), (ipv4: "10.7.0.2", ipv6: "fd07::2")]
  /// wg-quick's, for any way below.
  static let mtu = 1420

  /// One for each host. wireguard-go has a socket of that name for the whole machine.
  let names: [String]
  private let hosts: [Namespace]

  static var isAvailable: Bool {
    ["wg", "wireguard-go"].allSatisfy { FileManager.default.isExecutableFile(atPath: "/usr/bin/" + $0) }
  }

  /// - Parameter outside: by which the hosts reach each other without it.
  init(between hosts: [Namespace], at outside: [String]) throws {
    self.hosts = hosts
    let stem = "wg" + String(UInt32.random(in: .min ... .max), radix: 16)
    names = ["\(stem)-1", "\(stem)-2"]
    for (host, name) in zip(hosts, names) { try Self.makeInterface(name, in: host) }
    let keys = try hosts.map { try $0.run("wg", "genkey") }
    let publicKeys = try zip(hosts, keys).map { try $0.run("wg", "pubkey", input: $1).filter { !$0.isWhitespace } }
    for (index, host) in hosts.enumerated() {
      let far = outside[1 - index]
      try host.run(
        "wg", "set", names[index], "listen-port", "\(Self.port)", "private-key", "/dev/stdin", "peer",
        publicKeys[1 - index], "allowed-ips", "10.7.0.0/24,fd07::/64", "endpoint",
        (far.contains(":") ? "[\(far)]" : far) + ":\(Self.port)", input: keys[index])
      try host.batch(
        "link set \(names[index]) mtu \(Self.mtu) up",
        "address add \(Self.addresses[index].ipv4)/24 dev \(names[index])",
        "address add \(Self.addresses[index].ipv6)/64 dev \(names[index]) nodad")
    }
    // What was sent before the other end was there is sent again five seconds later.
    let far = [Self.addresses[1].ipv4, Self.addresses[1].ipv6]
    try eventually("the tunnel carries") { try hosts[0].answering(far) == far }
  }

  private static func makeInterface(_ name: String, in host: Namespace) throws {
    if try host.attempt("ip", "link", "add", name, "type", "wireguard").status == 0 { return }
    let program = try host.start("wireguard-go", "-f", name)
    host.testbed.atEnd {
      program.signal(SIGTERM)
      _ = try? program.end()
      unlink("/var/run/wireguard/\(name).sock")
    }
    // wg(8) must not ask earlier: it removes a socket that nobody listens to yet.
    try eventually("wireguard-go made \(name)") {
      guard program.isRunning else { throw Failure("wireguard-go ended: \(program.complaintSoFar)") }
      return try host.run("ss", "--no-header", "--unix", "--listening").contains("/wireguard/\(name).sock")
    }
  }

  /// Bytes that the host has sent by it, encrypted.
  func sent(by host: Int) throws -> Int {
    // For each peer its key, bytes received, bytes sent.
    Int(try hosts[host].run("wg", "show", names[host], "transfer").split { $0.isWhitespace }.last ?? "") ?? 0
  }
}
