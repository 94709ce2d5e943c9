import ControlModel

extension Sample {
  package static let overlay = Overlay(
    network: "lab", vni: 42, local: "192.0.2.1", port: 4789, ageingSeconds: 300, mtu: 1450, ttl: .value(64),
    tos: .inherit, learning: true, encrypted: true, peers: ["192.0.2.7", "192.0.2.8"], state: "up",
    detail: "MTU 1450 is more than fits by interface eth0: martlet network set lab --mtu 1250", interface: "eth0",
    notice: "MTU of network lab lowered from 1500 to 1450, the most that fits by interface eth0",
    counters: Counters(rxFrames: 7, rxBytes: 700, txFrames: 8, txBytes: 800, drops: ["unknown_vni": 2]))

  package static let waitingOverlay = Overlay(
    network: "far", vni: 0, local: "2001:db8::1", port: 8472, ageingSeconds: 60, mtu: 1430, ttl: .inherit,
    tos: .value(0), learning: false, peers: [], state: "missing",
    detail: "no interface has the address 2001:db8::1: the overlay waits for it")

  package static let overlayPeers = [
    OverlayPeer(
      network: "lab", address: "192.0.2.7",
      counters: Counters(rxFrames: 5, rxBytes: 500, txFrames: 6, txBytes: 600, drops: ["oversize": 1])),
    OverlayPeer(network: "lab", address: "192.0.2.8"),
  ]
}

extension Sample {
  package static let cluster = ClusterView(
    host: "alpha", state: "cut off", since: "2026-11-27T05:00:00Z", detail: "etcd: connection refused",
    hosts: [
      ClusterView.Host(name: "alpha", vteps: ["192.0.2.1", "2001:db8::1"], endpoints: 2),
      ClusterView.Host(name: "beta", vteps: ["192.0.2.2"], endpoints: 0),
    ],
    networks: [
      ClusterView.Network(
        id: "7fca4eb8c647" + String(repeating: "0", count: 52), name: "lab", vni: 4711,
        detail: "subnet 10.0.0.0/24 overlaps 10.0.0.0/8 of a route of the host: choose another"),
      ClusterView.Network(id: "8" + String(repeating: "0", count: 63), name: "far", vni: 5),
    ])
}
