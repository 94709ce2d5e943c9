import ControlModel

/// A daemon with a network `lab`, a sandbox on it, and a machine outside: a namespace that a veth pair joins to the daemon's,
/// whose near end is to be attached.
struct Outside {
  static let near = "uplink0"
  static let far = "eth0"
  static let mac = "02:00:00:00:10:64"
  static let (ipv4, ipv6) = ("10.8.0.100", "fd08::100")

  let daemon: Daemon
  let sandbox: Namespace
  let endpoint: Endpoint
  let machine: Namespace

  init(_ daemon: Daemon) throws {
    self.daemon = daemon
    machine = try daemon.namespace.testbed.makeNamespace("out")
    try daemon.martlet("network", "create", "lab", "--subnet", "10.8.0.0/24", "--subnet", "fd08::/64")
    sandbox = try daemon.sandbox("a", on: "lab")
    endpoint = try daemon.endpoint(of: sandbox, on: "lab")
    try makePair()
  }

  /// The veth pair, its far end up and addressed, its near end as it was made: down. The same MAC each time: who knows the
  /// machine need not ask again.
  func makePair() throws {
    try daemon.namespace.run(
      "ip", "link", "add", "name", Self.near, "type", "veth", "peer", "name", Self.far, "address", Self.mac, "netns",
      machine.name)
    try machine.run("ip", "link", "set", Self.far, "up")
    try machine.run("ip", "addr", "add", Self.ipv4 + "/24", "dev", Self.far)
    try machine.run("ip", "addr", "add", Self.ipv6 + "/64", "dev", Self.far, "nodad")
  }

  func attach() throws { try daemon.martlet("port", "attach", "lab", Self.near) }

  /// `ethtool -K` at the near end.
  func setFeatures(_ state: String) throws {
    try daemon.namespace.run(
      ["ethtool", "-K", Self.near] + ["tx", "tso", "gso", "tx-udp-segmentation"].flatMap { [$0, state] })
  }

  func port() throws -> InterfacePort {
    guard let port = try daemon.ask([InterfacePort].self, "port", "ls", "lab").first else {
      throw Failure("\(Self.near) is not on lab")
    }
    return port
  }

  /// The switch's counters balance, and the near end's port has received all that the far end has sent.
  func settle() throws {
    var counted = try daemon.statistics("lab")
    try eventually("the counters balance: \(counted)") {
      counted = try daemon.statistics("lab")
      return counted.rxFrames + counted.floodedCopies == counted.txFrames + counted.drops.values.reduce(0, +)
    }
    var (received, sent): (UInt64, UInt64) = (0, 0)
    try eventually("the switch has received, or counted as lost, all that was sent: \(received) of \(sent)") {
      sent = try machine.link(Self.far).statistics.tx.packets
      received = try port().counters.rxFrames
      return received == sent
    }
  }
}

func withOutside(workers: Int? = nil, _ body: (Outside) throws -> Void) throws {
  try withDaemon(workers: workers) { try body(Outside($0)) }
}

extension Namespace {
  @discardableResult
  func run(_ words: [String]) throws -> String { try start(words).succeed() }
}
