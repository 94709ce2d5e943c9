import ControlModel

/// Two hosts on one wire, each with a container of the same network: the first is Martlet's, the second is Martlet's too or has the
/// kernel's vxlan and bridge.
///
///     container 10.42.0.1 -- lab -- host 192.0.2.1 -- wire -- 192.0.2.2 host -- lab -- 10.42.0.2 container
///               fd42::1             2001:db8::1               2001:db8::2              fd42::2
struct OverlayBed {
  enum Peer: CaseIterable { case martlet, kernel }

  static let vni = 42
  static let wire = "u0"
  static let containers = [(ipv4: "10.42.0.1", ipv6: "fd42::1"), (ipv4: "10.42.0.2", ipv6: "fd42::2")]

  let daemon: Daemon
  /// nil: the second host has the kernel's.
  let other: Daemon?
  let hosts: [Namespace]
  let containers: [Namespace]
  let underlay: [String]
  /// By which the hosts reach each other, where the overlay goes by it.
  let tunnel: WireGuardTunnel?
  let mtu: Int

  /// Of a datagram that is not fragmented, IPv6 or not.
  var payloadMax: Int { mtu - 48 }

  /// - Parameters:
  ///   - mtu: of the wire.
  ///   - offloads: the wire takes segmented packets whole, as a card does not.
  ///   - segmentation: the most that Martlet asks of the kernel (`tunnel-segmentation`); nil: what there is.
  ///   - isEncrypted: a WireGuard tunnel is between the wire and the overlay, which asks for it.
  ///   - options: further words of the kernel's vxlan.
  init(
    _ testbed: Testbed, _ peer: Peer, overIPv6: Bool = false, mtu: Int = 1500, offloads: Bool = true,
    workers: Int? = nil, segmentation: String? = nil, isEncrypted: Bool = false, options: String = ""
  ) throws {
    let wires = overIPv6 ? ["2001:db8::1", "2001:db8::2"] : ["192.0.2.1", "192.0.2.2"]
    daemon = try testbed.makeDaemon("h1")
    other = peer == .martlet ? try testbed.makeDaemon("h2") : nil
    hosts = [daemon.namespace, try other?.namespace ?? testbed.makeNamespace("h2")]
    try hosts[0].batch("link add \(Self.wire) type veth peer name \(Self.wire) netns \(hosts[1].name)")
    let length = overIPv6 ? 64 : 24
    for (host, address) in zip(hosts, wires) {
      try host.batch(
        "address add \(address)/\(length) dev \(Self.wire)" + (overIPv6 ? " nodad" : ""),
        "link set \(Self.wire) mtu \(mtu) up")
      if !offloads {
        try host.run("ethtool", "-K", Self.wire, "tx", "off", "tso", "off", "gso", "off", "gro", "on")
      }
    }
    tunnel = isEncrypted ? try WireGuardTunnel(between: hosts, at: wires) : nil
    underlay = isEncrypted ? WireGuardTunnel.addresses.map { overIPv6 ? $0.ipv6 : $0.ipv4 } : wires
    self.mtu = (isEncrypted ? WireGuardTunnel.mtu : mtu) - (overIPv6 ? 70 : 50)
    var containers: [Namespace] = []
    for (index, daemon) in [daemon, other].enumerated() {
      guard let daemon else { continue }
      let lines = [workers.map { "workers: \($0)" }, segmentation.map { "tunnel-segmentation: \($0)" }]
      try daemon.configure(lines.compactMap(\.self))
      try daemon.start()
      let (own, far) = (underlay[index], underlay[1 - index])
      try daemon.command(
        [
          "network", "create", "lab", "--driver", "overlay", "-o", "vni=\(Self.vni)", "-o", "local=\(own)", "--subnet",
          "10.42.0.0/24", "--subnet", "fd42::/64", "--no-gateway",
        ] + (isEncrypted ? ["-o", "encrypted"] : []))
      try daemon.martlet("overlay", "peer", "add", "lab", far)
      let address = Self.containers[index]
      containers.append(try daemon.sandbox("c\(index + 1)", on: "lab", "--ip", address.ipv4, "--ip6", address.ipv6))
    }
    if other == nil {
      containers.append(
        try Self.makeKernelHost(
          hosts[1], local: underlay[1], remote: underlay[0], mtu: self.mtu, options))
    }
    self.containers = containers
  }

  /// The kernel's vxlan and bridge, and a container behind them.
  private static func makeKernelHost(
    _ host: Namespace, local: String, remote: String, mtu: Int, _ options: String
  ) throws -> Namespace {
    let container = try host.testbed.makeNamespace("c2")
    try host.batch(
      "link add br0 type bridge", "link set br0 up",
      "link add vx0 type vxlan id \(vni) local \(local) remote \(remote) dstport 4789 \(options)",
      "link set vx0 mtu \(mtu) master br0 up",
      "link add v0 type veth peer name eth0 netns \(container.name)", "link set v0 mtu \(mtu) master br0 up")
    try container.batch(
      "link set eth0 mtu \(mtu) up", "address add \(containers[1].ipv4)/24 dev eth0",
      "address add \(containers[1].ipv6)/64 dev eth0 nodad")
    return container
  }
}
