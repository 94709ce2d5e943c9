import ControlModel

extension PageState {
  init(_ measured: Measurements, _ topology: Topology, time: Double) {
    let counted = Dictionary(measured.networks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let shown = topology.networks.prefix(PageLimits.networksMax)
    var room = PageLimits.portsMax
    let networks = shown.map { network in
      let shown = PageNetwork(
        network, counted[network.name], topology.policies[network.name],
        portsMax: min(room, PageLimits.portsPerNetworkMax))
      room -= shown.ports.count
      return shown
    }
    self.init(
      version: Version.current.version, time: time, networks: networks,
      networksMore: topology.networks.count - shown.count,
      uplink: measured.uplink.map { PageUplink($0, topology.uplink) },
      carriers: measured.carriers.map {
        PageCarrier(local: $0.local, port: $0.port, interface: $0.interface, counters: $0.counters)
      },
      sessions: PageSessions(
        byProtocol: measured.sessions.byProtocol, limit: measured.sessions.limit, evictions: measured.sessions.evictions
      ))
  }
}

extension PageUplink {
  init(_ measured: UplinkMeasurements, _ uplink: Uplink?) {
    self.init(
      interface: measured.interface, isUp: measured.isUp,
      addresses: Array((uplink?.addresses ?? []).prefix(PageLimits.addressesPerPortMax)), detail: uplink?.detail,
      counters: measured.counters)
  }
}

extension PageNetwork {
  private static let isolatedMode = "isolated"
  private static let activeState = "active"

  init(_ network: Network, _ counted: NetworkMeasurements?, _ policy: Policy?, portsMax: Int) {
    let ports = Self.ports(of: network, counted?.ports ?? [])
    let shown = ports.count <= portsMax ? ports : Self.busiest(portsMax, of: ports)
    self.init(
      id: network.id, name: network.name, driver: network.driver, scope: network.scope,
      subnets: network.subnets.map(\.subnet), gatewayMode: network.gatewayMode, policy: policy.map(Self.text),
      isRouted: network.gatewayInterface != nil && !network.internal && network.gatewayMode != Self.isolatedMode,
      mtu: network.mtu, counts: counted.map(PageNetworkCounts.init),
      overlay: counted?.overlay.map { PageOverlay(vni: $0.vni, local: $0.local, isUp: $0.isUp, peers: $0.peers) },
      ports: shown, portsMore: ports.count - shown.count)
  }

  private static func text(_ policy: Policy) -> String {
    guard policy.state != activeState else { return policy.name }
    return [policy.name, policy.state, policy.detail].compactMap(\.self).joined(separator: ", ")
  }

  /// Those that are counted, and those that are down, of which nothing is.
  private static func ports(of network: Network, _ counted: [PortStatistics]) -> [PagePort] {
    let endpoints = Dictionary(network.endpoints.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    let interfaces = Dictionary(network.ports.map { ($0.interface, $0) }, uniquingKeysWith: { first, _ in first })
    var ports = counted.map { port in
      PagePort(
        port, endpoint: port.kind == PagePort.endpointKind ? endpoints[port.name] : nil,
        attached: port.kind == PagePort.interfaceKind ? interfaces[port.name] : nil)
    }
    let known = Set(counted.map { $0.kind + $0.name })
    for endpoint in network.endpoints where !known.contains(PagePort.endpointKind + endpoint.id) {
      let port = PortStatistics(
        kind: PagePort.endpointKind, name: endpoint.id, sandbox: endpoint.sandbox, interface: endpoint.interface,
        counters: endpoint.counters)
      ports.append(PagePort(port, endpoint: endpoint, attached: nil))
    }
    for attached in network.ports where !known.contains(PagePort.interfaceKind + attached.interface) {
      let port = PortStatistics(
        kind: PagePort.interfaceKind, name: attached.interface, sandbox: nil, interface: attached.interface,
        counters: attached.counters)
      ports.append(PagePort(port, endpoint: nil, attached: attached))
    }
    return ports
  }

  /// In the order that they had; what is no endpoint goes first.
  private static func busiest(_ count: Int, of ports: [PagePort]) -> [PagePort] {
    let ranked = ports.enumerated().sorted { one, other in
      let (first, second) = (one.element, other.element)
      let isEndpoint = (first.kind == PagePort.endpointKind, second.kind == PagePort.endpointKind)
      if isEndpoint.0 != isEndpoint.1 { return isEndpoint.1 }
      let bytes = (first.counters.bytes, second.counters.bytes)
      return bytes.0 == bytes.1 ? one.offset < other.offset : bytes.0 > bytes.1
    }
    return ranked.prefix(count).sorted { $0.offset < $1.offset }.map(\.element)
  }
}

extension Counters {
  fileprivate var bytes: UInt64 { rxBytes &+ txBytes }
}

extension PageNetworkCounts {
  init(_ counted: NetworkMeasurements) {
    self.init(
      total: counted.total, floodedCopies: counted.floodedCopies, routedIn: counted.routedIn,
      routedOut: counted.routedOut, macEntries: counted.fdbEntries, macLimit: counted.fdbLimit,
      endpointsUp: counted.endpointsUp, endpointsDown: counted.endpointsDown)
  }
}

extension PagePort {
  static let endpointKind = "endpoint"
  static let interfaceKind = "interface"
  private static let upState = "up"

  /// - Parameters:
  ///   - endpoint: nil: it is none, or has just come.
  ///   - attached: nil: it is no interface that was attached.
  init(_ port: PortStatistics, endpoint: Endpoint?, attached: InterfacePort?) {
    let addresses = (endpoint?.addresses ?? []).prefix(PageLimits.addressesPerPortMax)
    self.init(
      kind: port.kind, name: port.name, label: port.sandbox ?? port.name, interface: port.interface,
      addresses: addresses.map { String($0.prefix { $0 != "/" }) }, mac: endpoint?.mac,
      state: endpoint?.state ?? attached?.state ?? Self.upState, detail: endpoint?.detail ?? attached?.detail,
      counters: port.counters)
  }
}

extension PageTables {
  /// - Parameter sessions: of all networks.
  init(_ network: Network, _ entries: [ForwardingEntry], _ sessions: [Session]) {
    let addresses = Set(network.endpoints.flatMap(\.addresses).map { $0.prefix { $0 != "/" } })
    let own = sessions.filter { addresses.contains(Self.address(of: $0.inside)) }
    self.init(
      network: network.id, macTable: Array(entries.prefix(PageLimits.macEntriesMax)),
      macTableMore: max(entries.count - PageLimits.macEntriesMax, 0),
      sessions: Array(own.prefix(PageLimits.sessionsMax)), sessionsMore: max(own.count - PageLimits.sessionsMax, 0))
  }

  /// Of `ADDRESS:PORT`, or `[ADDRESS]:PORT`.
  private static func address(of end: String) -> Substring {
    if end.hasPrefix("[") { return end.dropFirst().prefix { $0 != "]" } }
    return end.prefix { $0 != ":" }
  }
}
