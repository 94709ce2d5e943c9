import ControlModel

/// A LAN of a router, a station and the daemon's namespace, each by `eth0` at one bridge in a namespace of its own.
struct LAN {
  static let parent = "eth0"
  static let (router4, router6) = ("192.0.2.1", "2001:db8::1")
  static let (station4, station6) = ("192.0.2.2", "2001:db8::2")
  static let (host4, host6) = ("192.0.2.10", "2001:db8::10")
  /// Behind the router.
  static let (beyond4, beyond6) = ("198.51.100.1", "2001:db8:1::1")
  static let hostMAC = "02:00:00:00:20:10"
  /// The addresses of endpoints.
  static let subnets = [
    "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.64/27", "--gateway", router4, "--subnet", "2001:db8::/64",
    "--ip-range", "2001:db8::100/120", "--gateway", router6,
  ]
  static let (first4, first6, second4, second6) = ("192.0.2.64", "2001:db8::100", "192.0.2.65", "2001:db8::101")

  let daemon: Daemon
  let bridge: Namespace
  let router: Namespace
  let station: Namespace

  init(_ daemon: Daemon) throws {
    self.daemon = daemon
    let testbed = daemon.namespace.testbed
    bridge = try testbed.makeNamespace("lan")
    router = try testbed.makeNamespace("router")
    station = try testbed.makeNamespace("station")
    try bridge.run("ip", "link", "add", "name", "br0", "type", "bridge")
    try bridge.run("ip", "link", "set", "br0", "up")
    try plug(router, as: "router", "02:00:00:00:20:01", Self.router4, Self.router6)
    try plug(station, as: "station", "02:00:00:00:20:02", Self.station4, Self.station6)
    try plugHost()
    for address in [Self.beyond4, Self.beyond6] { try router.run("ip", "addr", "add", address, "dev", "lo") }
  }

  /// The daemon's end of the LAN, made anew.
  func plugHost() throws { try plug(daemon.namespace, as: "host", Self.hostMAC, Self.host4, Self.host6) }

  private func plug(_ namespace: Namespace, as name: String, _ mac: String, _ ipv4: String, _ ipv6: String) throws {
    try bridge.run(
      "ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "address", mac, "netns",
      namespace.name)
    try bridge.run("ip", "link", "set", name, "master", "br0", "up")
    try namespace.run("ip", "link", "set", "eth0", "up")
    try namespace.run("ip", "addr", "add", ipv4 + "/24", "dev", "eth0")
    try namespace.run("ip", "addr", "add", ipv6 + "/64", "dev", "eth0", "nodad")
  }

  /// The bridge sends frames back by the port they came in by, as a switch that knows VEPA does.
  func setReflection(_ state: String) throws {
    try bridge.run("ip", "link", "set", "host", "type", "bridge_slave", "hairpin", state)
  }

  /// Makes a network `name` on the LAN.
  func network(_ driver: String, _ options: [String] = [], name: String = "lan", subnets: [String] = subnets) throws {
    let words = ["network", "create", name, "--driver", driver, "-o", "parent=" + Self.parent]
    let outcome = try daemon.attempt(words + options.flatMap { ["-o", $0] } + subnets)
    guard outcome.status == 0 else { throw Failure("network \(name): \(outcome.complaint)") }
  }

  /// At which MAC the station knows an address.
  func mac(of address: String) throws -> String? {
    let words = try station.run("ip", "neigh", "show", address).split { $0 == " " || $0 == "\n" }
    guard let place = words.firstIndex(of: "lladdr") else { return nil }
    return String(words[place + 1])
  }
}

func withLAN(_ body: (LAN) throws -> Void) throws { try withDaemon { try body(LAN($0)) } }
