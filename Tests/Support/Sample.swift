import ControlModel

/// One of everything the control plane shows, with every optional field set somewhere.
package enum Sample {
  package static let endpoint = Endpoint(
    id: "e1d0" + String(repeating: "5", count: 60), network: "lab", sandbox: "web", netns: "/run/netns/web",
    interface: "eth0", mac: "02:42:0a:00:00:02", addresses: ["10.0.0.2/24", "fd00::2/64"], aliases: ["www"],
    labels: ["tier": "front"], nameServers: ["10.0.0.1"],
    published: [PublishedPort(hostIP: "0.0.0.0", hostPort: 8080, port: 80, protocol: "tcp")], isolated: false,
    guard: true,
    macLimit: 16, mtu: 1500, state: "down", detail: "its interface is gone",
    counters: Counters(rxFrames: 10, rxBytes: 1000, txFrames: 20, txBytes: 3000, drops: ["runt": 1]))

  package static let publications = [
    Publication(
      endpoint: endpoint.id, network: "lab",
      published: PublishedPort(hostIP: "0.0.0.0", hostPort: 8080, port: 80, protocol: "tcp")),
    Publication(
      endpoint: endpoint.id, network: "lab",
      published: PublishedPort(
        hostIP: "::", hostPort: 9000, hostPortEnd: 9002, port: 53, portEnd: 55, protocol: "udp",
        detail: "port 9001/udp is already in use by named (pid 7)")),
  ]

  package static let uplink = Uplink(
    interface: "eth0", state: "up", detail: "address 192.0.2.9 is no longer on interface eth0",
    mac: "02:42:c0:00:02:01", mtu: 1500, addresses: ["192.0.2.1", "2001:db8::1"],
    chosenAddresses: ["192.0.2.1", "2001:db8::1", "192.0.2.9"], ports: ["61000-65535"], ipv6NAT: true,
    counters: endpoint.counters)

  package static let sessions = [
    Session(
      protocol: "tcp", inside: "10.0.0.2:40000", outside: "192.0.2.1:61000", remote: "198.51.100.7:443",
      state: "established", expiresSeconds: 7440),
    Session(
      protocol: "udp", inside: "[fd00::2]:5353", outside: "[2001:db8::1]:61001", remote: "[2001:db8::53]:53",
      state: "new", expiresSeconds: 300),
  ]
  package static let timeouts = SessionTimeouts(
    udp: 300, udpStream: 301, tcpEstablished: 7440, tcpTransitory: 240, icmp: 60)
  package static let translation = Translation(mapping: "endpoint-independent", filtering: "address-dependent")

  package static let ports = [
    InterfacePort(
      network: "lab", interface: "enp0s31f6np0d1", state: "down", detail: "the interface is down",
      counters: Counters(rxFrames: 5, rxBytes: 500, txFrames: 6, txBytes: 600)),
    InterfacePort(network: "lab", interface: "veth0", state: "missing"),
  ]

  package static let networks = [
    Network(
      id: "7fca4eb8c647" + String(repeating: "0", count: 52), name: "lab", driver: "bridge",
      subnets: [
        Subnet(
          subnet: "10.0.0.0/24", gateway: "10.0.0.1", ipRange: "10.0.0.128/25",
          auxiliaryAddresses: ["printer": "10.0.0.9"]),
        Subnet(subnet: "fd00::/64", gateway: "fd00::1"),
      ],
      internal: false, mtu: 1500, ageingSeconds: 300, fdbLimit: 8192, gatewayMode: "nat",
      gatewayInterface: "mg-7fca4eb8", parent: "enp0s31f6", overlay: overlay,
      labels: ["env": "test", "team": "blue"], options: ["o": "1"], created: "2026-01-02T03:04:05Z",
      endpoints: [endpoint], ports: ports),
    Network(
      id: "9f904ee27bf5" + String(repeating: "1", count: 52), name: "plain", driver: "none", subnets: [],
      internal: true,
      mtu: 1500, ageingSeconds: 300, fdbLimit: 8192, gatewayMode: "isolated", gatewayInterface: nil, labels: [:],
      options: [:],
      created: "2026-01-02T03:04:06Z", endpoints: [], ports: []),
  ]

  package static let sandboxes = [
    Sandbox(
      id: "5a4db0c5" + String(repeating: "2", count: 56), name: "web", netns: "/run/netns/web", inode: 4_026_532_177,
      sharedWith: ["sidecar"], origin: "made", endpoints: [endpoint],
      routes: [Route(destination: "default", gateway: "10.0.0.1", interface: "eth0")],
      dns: NameServers(servers: ["10.0.0.1"], search: ["lab"], options: ["ndots:0"]), created: "2026-01-02T03:04:07Z"),
    Sandbox(
      id: "c0ffee00" + String(repeating: "3", count: 56), name: "db", netns: "/proc/42/ns/net", inode: 4_026_532_178,
      sharedWith: [], origin: "adopted", endpoints: [], routes: [], dns: NameServers(), created: "2026-01-02T03:04:08Z"),
  ]

  package static let forwardingEntries = [
    ForwardingEntry(
      mac: "02:42:0a:00:00:02", port: ForwardingPort(kind: "endpoint", endpoint: endpoint.id, interface: "eth0"),
      static: false, ageSeconds: 7),
    ForwardingEntry(mac: "02:42:0a:00:00:01", port: ForwardingPort(kind: "gateway"), static: true, ageSeconds: 0),
    ForwardingEntry(
      mac: "02:42:0a:00:00:04", port: ForwardingPort(kind: "interface", interface: "veth0"), static: false,
      ageSeconds: 1),
    ForwardingEntry(
      mac: "02:42:0a:00:00:03", port: ForwardingPort(kind: "vtep", address: "192.0.2.7"), static: true, ageSeconds: 0),
  ]

  package static let statistics = Statistics(networks: [
    NetworkStatistics(
      name: "lab", rxFrames: 30, txFrames: 32, floodedCopies: 3, drops: ["runt": 1], fdbEntries: 2,
      ports: [
        PortStatistics(
          kind: "endpoint", name: endpoint.id, sandbox: "web", interface: "eth0", counters: endpoint.counters),
        PortStatistics(
          kind: "gateway", name: "mg-7fca4eb8", sandbox: nil, interface: "mg-7fca4eb8",
          counters: Counters(rxFrames: 20, rxBytes: 3000, txFrames: 12, txBytes: 900)),
      ])
  ])
}
