import ControlModel

// What is exposed, and under which names. docs/metrics.md lists it; a test holds the two together. Names stay: dashboards and
// alerts lean on them.
extension Family {
  static func all(of measured: Measurements) -> [Family] {
    [build] + networks(measured.networks) + policies(measured.networks) + ports(measured.networks)
      + published(measured.networks) + overlays(measured.networks) + carriers(measured.carriers)
      + uplink(measured.uplink) + sessions(measured.sessions) + relay(measured.relay) + [scrape(measured)]
  }

  /// A family with one sample for each of `elements`.
  private static func each<Element>(
    _ elements: [Element], _ family: Family, _ labels: (Element) -> [Label], _ value: (Element) -> UInt64
  ) -> Family {
    var family = family
    for element in elements { family.add(value(element), labels(element)) }
    return family
  }

  private static var build: Family {
    var family = Family("martlet_build", .info, "The version that runs.")
    family.add(1, [Label("version", Version.current.version)])
    return family
  }

  // MARK: Frames

  /// The five families that tell of counters. rx is what the switch receives, tx what it transmits.
  private static func frames<Element>(
    _ prefix: String, of what: String, _ elements: [Element], _ labels: (Element) -> [Label],
    _ counters: (Element) -> Counters
  ) -> [Family] {
    let received = "that the switch received from \(what)"
    let transmitted = "that the switch transmitted to \(what)"
    var drops = Family(
      "\(prefix)_dropped", .counter, unit: "frames", "Frames of \(what) that went nowhere, by reason.")
    for element in elements {
      let labels = labels(element)
      for (reason, count) in counters(element).drops.sorted(by: { $0.key < $1.key }) {
        drops.add(count, labels + [Label("reason", reason)])
      }
    }
    return [
      each(elements, Family("\(prefix)_receive", .counter, unit: "frames", "Frames \(received)."), labels) {
        counters($0).rxFrames
      },
      each(elements, Family("\(prefix)_receive", .counter, unit: "bytes", "Bytes of frames \(received)."), labels) {
        counters($0).rxBytes
      },
      each(elements, Family("\(prefix)_transmit", .counter, unit: "frames", "Frames \(transmitted)."), labels) {
        counters($0).txFrames
      },
      each(elements, Family("\(prefix)_transmit", .counter, unit: "bytes", "Bytes of frames \(transmitted)."), labels) {
        counters($0).txBytes
      },
      drops,
    ]
  }

  // MARK: Networks

  private static func labels(_ network: NetworkMeasurements) -> [Label] { [Label("network", network.name)] }

  private static func networks(_ networks: [NetworkMeasurements]) -> [Family] {
    var endpoints = Family("martlet_endpoints", .gauge, "Endpoints of the network, by state.")
    for network in networks {
      endpoints.add(network.endpointsUp, labels(network) + [Label("state", "up")])
      endpoints.add(network.endpointsDown, labels(network) + [Label("state", "down")])
    }
    func each(_ family: Family, _ value: (NetworkMeasurements) -> UInt64) -> Family {
      Self.each(networks, family, labels, value)
    }
    return frames("martlet_network", of: "the network's ports, gone ones too", networks, labels, \.total) + [
      each(
        Family(
          "martlet_network_flooded", .counter, unit: "copies",
          "Copies that flooding made beyond the one frame that came in, and copies of the switch's own frames."),
        \.floodedCopies),
      each(
        Family("martlet_network_routed_in", .counter, unit: "frames", "Frames that the router put into the network."),
        \.routedIn),
      each(
        Family(
          "martlet_network_routed_out", .counter, unit: "frames", "Frames that the router took out of the network."),
        \.routedOut),
      each(Family("martlet_network_mac_entries", .gauge, "Entries of the network's MAC table.")) {
        UInt64($0.fdbEntries)
      },
      each(Family("martlet_network_mac_entries_limit", .gauge, "Entries that the network's MAC table takes.")) {
        UInt64($0.fdbLimit)
      },
      endpoints,
    ]
  }

  private static func policies(_ networks: [NetworkMeasurements]) -> [Family] {
    var info = Family("martlet_policy", .info, "The policy that the network was given.")
    var events = Family(
      "martlet_policy", .counter, unit: "events", "What the network's policy counted, by the names of its counters.")
    for network in networks {
      guard let policy = network.policy else { continue }
      let labels = labels(network) + [Label("policy", policy.name)]
      info.add(1, labels + [Label("kind", policy.kind.rawValue), Label("state", policy.state)])
      for counter in policy.counters { events.add(counter.value, labels + [Label("counter", counter.name)]) }
    }
    return [info, events]
  }

  // MARK: Ports

  private struct NetworkPort {
    var network: String
    var port: PortStatistics

    var labels: [Label] {
      [
        Label("network", network), Label("kind", port.kind), Label("name", port.name),
        Label("sandbox", port.sandbox ?? ""), Label("interface", port.interface),
      ]
    }
  }

  private static func ports(_ networks: [NetworkMeasurements]) -> [Family] {
    let ports = networks.flatMap { network in network.ports.map { NetworkPort(network: network.name, port: $0) } }
    return frames("martlet_port", of: "the port", ports, \.labels, \.port.counters)
  }

  private static func published(_ networks: [NetworkMeasurements]) -> [Family] {
    var family = Family(
      "martlet_published_ports", .gauge, "Published ports, each of a range, by whether they are reachable.")
    for network in networks {
      for published in network.published {
        let labels = labels(network) + [Label("protocol", published.protocol)]
        family.add(published.reachable, labels + [Label("state", "reachable")])
        family.add(published.unreachable, labels + [Label("state", "unreachable")])
      }
    }
    return [family]
  }

  // MARK: Overlays

  private static func overlays(_ networks: [NetworkMeasurements]) -> [Family] {
    var up = Family("martlet_overlay_up", .gauge, "1 while the network's overlay is up, else 0.")
    var peers = Family("martlet_overlay_peers", .gauge, "Peers to which the network's overlay leads.")
    for network in networks {
      guard let overlay = network.overlay else { continue }
      let labels =
        labels(network) + [
          Label("vni", String(overlay.vni)), Label("local", overlay.local), Label("port", String(overlay.port)),
        ]
      up.add(overlay.isUp ? 1 : 0, labels)
      peers.add(overlay.peers, labels)
    }
    return [up, peers]
  }

  private static func carriers(_ carriers: [CarrierMeasurements]) -> [Family] {
    frames(
      "martlet_carrier", of: "other hosts, encapsulated", carriers,
      { [Label("local", $0.local), Label("port", String($0.port)), Label("interface", $0.interface)] }, \.counters)
  }

  // MARK: The way outside

  private static func uplink(_ uplink: UplinkMeasurements?) -> [Family] {
    let uplinks = uplink.map { [$0] } ?? []
    let labels = { (uplink: UplinkMeasurements) in [Label("interface", uplink.interface)] }
    let up = Family("martlet_uplink_up", .gauge, "1 while the router has the uplink, 0 while its interface is missing.")
    return [each(uplinks, up, labels) { $0.isUp ? 1 : 0 }]
      + frames("martlet_uplink", of: "the uplink", uplinks, labels, \.counters)
  }

  private static func sessions(_ measured: SessionMeasurements) -> [Family] {
    var sessions = Family("martlet_nat_sessions", .gauge, "Sessions of the router, translated or not, by protocol.")
    for (name, count) in measured.byProtocol.sorted(by: { $0.key < $1.key }) {
      sessions.add(count, [Label("protocol", name)])
    }
    var limit = Family("martlet_nat_sessions_limit", .gauge, "Sessions that the router's table takes.")
    limit.add(measured.limit, [])
    var evicted = Family(
      "martlet_nat_evicted", .counter, unit: "sessions", "Sessions that ended before their time, to make room.")
    evicted.add(measured.evictions, [])
    return [sessions, limit, evicted]
  }

  private static func relay(_ relay: RelayMeasurements) -> [Family] {
    func one(_ family: Family, _ value: UInt64) -> Family { each([value], family, { _ in [] }, { $0 }) }
    return [
      one(
        Family("martlet_relay_connections", .gauge, "TCP connections that the relay of published ports has open."),
        UInt64(relay.connections)),
      one(
        Family("martlet_relay_clients", .gauge, "UDP clients that the relay of published ports remembers."),
        UInt64(relay.clients)),
      one(
        Family("martlet_relay_accepted", .counter, unit: "connections", "TCP connections that the relay accepted."),
        relay.acceptedConnections),
      one(
        Family(
          "martlet_relay_reset", .counter, unit: "connections",
          "Of those, reset: the endpoint refused or was silent, or a side broke off."),
        relay.resetConnections),
      one(
        Family("martlet_relay", .counter, unit: "datagrams", "UDP datagrams that the relay passed on."), relay.datagrams
      ),
      one(
        Family("martlet_relay_dropped", .counter, unit: "datagrams", "UDP datagrams that the relay could not pass on."),
        relay.droppedDatagrams),
    ]
  }

  private static func scrape(_ measured: Measurements) -> Family {
    var family = Family(
      "martlet_scrape_locked", .gauge, unit: "seconds", "For how long this scrape kept the control plane waiting.")
    family.samples.append(Sample(labels: [], value: .number(measured.lockedSeconds)))
    return family
  }
}
