import ControlModel
import Wire

extension ControlPlane: MeasurementSource {
  public func measurements() throws(ControlError) -> Measurements {
    let (measured, host) = try locked { controller throws(ControlError) in
      let start = ContinuousClock.now
      var measured = try controller.measurements()
      measured.lockedSeconds = start.duration(to: .now) / .seconds(1)
      return (measured, controller.host)
    }
    // The relay's thread may be busy.
    var measurements = measured
    measurements.relay = host.relayed
    return measurements
  }
}

/// Everything for metrics, under one lock, so that no port comes or goes meanwhile.
extension Controller {
  func measurements() throws(ControlError) -> Measurements {
    let counted = dataPlane.measure()
    let (endpoints, interfaces) = (try store.measuredEndpoints(), try store.measuredInterfacePorts())
    let (publications, policies) = (try store.measuredPublications(), try store.measuredPolicies())
    let overlays = Dictionary(try store.overlays().map { ($0.networkId, $0) }, uniquingKeysWith: { $1 })
    var measured = Measurements(sessions: counted.sessions)
    for network in try store.networks() {
      guard let handle = dataPlaneNetworks[network.id], let counters = counted.networks[handle] else { continue }
      let endpoints = endpoints[network.id] ?? []
      let up = endpoints.count { $0.isSettled && endpointPorts[$0.id] != nil }
      measured.networks.append(
        NetworkMeasurements(
          name: network.name, total: counters.total, floodedCopies: counters.floodedCopies,
          routedOut: counters.routedOut, routedIn: counters.routedIn, fdbEntries: counters.fdbEntries,
          fdbLimit: network.fdbLimit,
          ports: ports(of: network, endpoints, interfaces[network.id] ?? [], counted).map(\.statistics),
          endpointsUp: up, endpointsDown: endpoints.count - up,
          published: published(publications[network.id] ?? []),
          overlay: overlays[network.id].map { measurements(of: $0) },
          policy: policies[network.id].map { measurements(of: $0, network: network.id) }))
    }
    if let record = uplinkRecord {
      measured.uplink = UplinkMeasurements(
        interface: record.interface, isUp: uplink != nil,
        counters: uplink.flatMap { counted.ports[$0.port] } ?? Counters())
    }
    measured.carriers = carriers.map { vtep, carrier in
      CarrierMeasurements(
        local: vtep.address.description, port: Int(vtep.port), interface: carrier.underlay.name,
        counters: carrier.port.flatMap { counted.ports[$0] } ?? Counters())
    }.sorted { ($0.local, $0.port) < ($1.local, $1.port) }
    return measured
  }

  func ports(
    of network: NetworkRecord, _ endpoints: [MeasuredEndpoint], _ interfaces: [String],
    _ counted: DataPlaneMeasurements
  ) -> [(port: DataPlanePort, statistics: PortStatistics)] {
    var ports: [(port: DataPlanePort, statistics: PortStatistics)] = []
    func add(_ port: DataPlanePort?, _ kind: String, _ name: String, sandbox: String? = nil, interface: String) {
      guard let port, let counters = counted.ports[port] else { return }
      let statistics = PortStatistics(
        kind: kind, name: name, sandbox: sandbox, interface: interface, counters: counters)
      ports.append((port, statistics))
    }
    if let interface = network.gatewayInterface {
      add(gatewayPorts[network.id], Self.gatewayPortName, interface, interface: interface)
    }
    for endpoint in endpoints {
      add(
        endpointPorts[endpoint.id], "endpoint", endpoint.id, sandbox: endpoint.sandbox, interface: endpoint.interface)
    }
    if let parent = network.parent {
      add(parents[network.id]?.port, Self.interfacePortKind, parent, interface: parent)
    }
    for interface in interfaces {
      add(interfacePorts[interface]?.port, Self.interfacePortKind, interface, interface: interface)
    }
    guard let overlay = raisedOverlays[network.id] else { return ports }
    for (address, remote) in overlay.remotes.sorted(by: { $0.key.bits < $1.key.bits }) {
      add(remote.port, Self.vtepKind, address.description, interface: overlay.vtep.carrier)
    }
    return ports
  }

  private func published(_ publications: [MeasuredPublication]) -> [PublishedMeasurements] {
    Dictionary(grouping: publications, by: \.transport).sorted { $0.key < $1.key }.map { transport, publications in
      let unreachable = publications.filter { publicationTroubles[$0.id] != nil }
      func ports(_ publications: [MeasuredPublication]) -> Int { publications.reduce(0) { $0 + $1.count } }
      return PublishedMeasurements(
        protocol: transport, reachable: ports(publications) - ports(unreachable), unreachable: ports(unreachable))
    }
  }

  private func measurements(of policy: MeasuredPolicy, network: String) -> PolicyMeasurements {
    let counters = raisedPolicies[network]?.installed.ownCounters(max: Limits.measuredPolicyCounters) ?? []
    return PolicyMeasurements(
      name: policy.name, kind: policy.kind, state: policyState(network: network),
      counters: counters.map { PolicyCounter(name: $0.name, value: $0.value) })
  }

  private func measurements(of overlay: OverlayRecord) -> OverlayMeasurements {
    let raised = raisedOverlays[overlay.networkId]
    return OverlayMeasurements(
      vni: overlay.vni, local: overlay.local.description, port: overlay.port,
      isUp: raised != nil && carriers[overlay.vtep]?.underlay.isUp == true, peers: raised?.remotes.count ?? 0)
  }
}
