import ControlModel
import FoundationEssentials
import Glibc

/// A host whose daemon has an uplink, a machine outside at the other end of its wire, and one container on the network `lan`.
///
///     container 10.77.0.2 -- lan -- host 192.0.2.1 -- wire -- 192.0.2.9 machine 203.0.113.7
///               fd77::2                  2001:db8::1    2001:db8::9         2001:db8:7::7
///
/// The machine has a second address of each family, and one `beyond`, which is reached by routing. It routes the network's
/// IPv6 subnet to the host, as that one is not translated, and knows nothing of the IPv4 one.
struct UplinkBed {
  static let (near, far) = ("up0", "eth0")
  static let host = (ipv4: "192.0.2.1", ipv6: "2001:db8::1")
  static let machine = (ipv4: "192.0.2.9", ipv6: "2001:db8::9")
  static let second = (ipv4: "192.0.2.10", ipv6: "2001:db8::a")
  static let beyond = (ipv4: "203.0.113.7", ipv6: "2001:db8:7::7")
  static let subnet = (ipv4: "10.77.0.0/24", ipv6: "fd77::/64")
  static let gateway = (ipv4: "10.77.0.1", ipv6: "fd77::1")

  let daemon: Daemon
  let machine: Namespace
  let container: Namespace
  let endpoint: Endpoint

  var host: Namespace { daemon.namespace }
  var testbed: Testbed { daemon.namespace.testbed }

  /// - Parameters:
  ///   - machine: where the wire is there already; nil: both are made.
  ///   - network: further words of `network create`.
  ///   - ports: what the container publishes.
  ///   - uplink: further words of `uplink set`.
  init(
    _ daemon: Daemon, machine: Namespace? = nil, network: [String] = [], ports: [String] = [], uplink: [String] = []
  ) throws {
    self.daemon = daemon
    self.machine = try machine ?? daemon.namespace.testbed.makeNamespace("out")
    if machine == nil { try Self.makeWire(from: daemon.namespace, to: self.machine) }
    try daemon.start()
    try daemon.command(
      ["network", "create", "lan", "--subnet", Self.subnet.ipv4, "--subnet", Self.subnet.ipv6] + network)
    try daemon.command(["uplink", "set", Self.near] + uplink)
    container = try daemon.sandbox("a")
    try daemon.connect(container, to: "lan", ports.flatMap { ["-p", $0] })
    endpoint = try daemon.endpoint(of: container, on: "lan")
  }

  /// The veth pair, both ends up, with addresses and routes. No duplicate address detection: it takes seconds, and the kernel
  /// asks no neighbour as long as its link-local address is tentative.
  static func makeWire(from host: Namespace, to machine: Namespace) throws {
    for end in [host, machine] { try end.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0") }
    try host.batch(
      "link add \(near) type veth peer name \(far) netns \(machine.name)",
      "address add \(Self.host.ipv4)/24 dev \(near)", "address add \(Self.host.ipv6)/64 dev \(near) nodad",
      "link set \(near) up")
    try machine.batch(
      "address add \(Self.machine.ipv4)/24 dev \(far)", "address add \(second.ipv4)/24 dev \(far)",
      "address add \(Self.machine.ipv6)/64 dev \(far) nodad",
      // Deprecated: the machine sends from the first, unless it is told to.
      "address add \(second.ipv6)/64 dev \(far) nodad preferred_lft 0",
      "link set \(far) up",
      // Again where the wire is made again: the machine's loopback has kept it.
      "address replace \(beyond.ipv4)/32 dev lo", "address replace \(beyond.ipv6)/128 dev lo nodad",
      "route replace \(subnet.ipv6) via \(Self.host.ipv6)")
    try host.batch("route add default via \(Self.machine.ipv4)", "route add default via \(Self.machine.ipv6)")
  }

  /// A second container on `lan`, or on another network.
  func container(_ label: String, on network: String = "lan", ports: [String] = []) throws -> Namespace {
    let container = try daemon.sandbox(label)
    try daemon.connect(container, to: network, ports.flatMap { ["-p", $0] })
    return container
  }

  func publish(_ ports: String...) throws { try daemon.command(["publish", endpoint.id] + ports) }

  func unpublish(_ ports: String...) throws { try daemon.command(["unpublish", endpoint.id] + ports) }

  func uplink() throws -> Uplink { try daemon.ask(Uplink.self, "uplink", "show") }

  func sessions(_ filter: String...) throws -> [Session] {
    try daemon.answer([Session].self, ["session", "ls"] + filter.flatMap { ["--filter", $0] })
  }

  /// Ends the daemon and starts it again.
  func restart(by signal: Int32) throws {
    try daemon.end(by: signal)
    try daemon.start()
  }
}

/// A test on such a bed, which runs; with the daemon's default of workers, unless told otherwise.
func withUplink(
  workers: Int? = nil, network: [String] = [], ports: [String] = [], uplink: [String] = [],
  _ body: (UplinkBed) throws -> Void
) throws {
  try withTestbed { testbed in
    let daemon = try testbed.makeDaemon()
    if let workers { try daemon.configure("workers: \(workers)") }
    try body(UplinkBed(daemon, network: network, ports: ports, uplink: uplink))
  }
}

extension Namespace {
  /// Commands of ip(8), by one process.
  func batch(_ commands: String...) throws {
    try run("ip", "-batch", "-", input: commands.map { $0 + "\n" }.joined())
  }
}
