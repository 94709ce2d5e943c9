/// Where metrics come from. `ControlPlane` conforms; tests give a stand-in. Calls may come from any thread.
public protocol MeasurementSource: Sendable {
  func measurements() throws(ControlError) -> Measurements
}

/// All that is counted, at one time. Counts begin at 0 with the daemon.
public struct Measurements: Sendable, Equatable {
  public var networks: [NetworkMeasurements]
  /// nil: none is set.
  public var uplink: UplinkMeasurements?
  public var sessions: SessionMeasurements
  public var carriers: [CarrierMeasurements]
  public var relay: RelayMeasurements
  /// For which the control plane could do nothing else.
  public var lockedSeconds: Double

  public init(
    networks: [NetworkMeasurements] = [], uplink: UplinkMeasurements? = nil,
    sessions: SessionMeasurements = SessionMeasurements(), carriers: [CarrierMeasurements] = [],
    relay: RelayMeasurements = RelayMeasurements(), lockedSeconds: Double = 0
  ) {
    (self.networks, self.uplink, self.sessions) = (networks, uplink, sessions)
    (self.carriers, self.relay, self.lockedSeconds) = (carriers, relay, lockedSeconds)
  }
}

/// Of a network that has a switch.
public struct NetworkMeasurements: Sendable, Equatable {
  public var name: String
  /// What its ports counted, with those that have gone.
  public var total: Counters
  /// Copies that flooding made beyond the one frame that came in.
  public var floodedCopies: UInt64
  /// Frames that the router took out of the network, and that it put into it, its own among them.
  public var routedOut: UInt64
  public var routedIn: UInt64
  public var fdbEntries: Int
  public var fdbLimit: Int
  public var ports: [PortStatistics]
  public var endpointsUp: Int
  public var endpointsDown: Int
  public var published: [PublishedMeasurements]
  /// nil: it has none.
  public var overlay: OverlayMeasurements?
  /// nil: it has none, and is a learning switch.
  public var policy: PolicyMeasurements?

  public init(
    name: String, total: Counters, floodedCopies: UInt64 = 0, routedOut: UInt64 = 0, routedIn: UInt64 = 0,
    fdbEntries: Int = 0, fdbLimit: Int = 0, ports: [PortStatistics] = [], endpointsUp: Int = 0, endpointsDown: Int = 0,
    published: [PublishedMeasurements] = [], overlay: OverlayMeasurements? = nil,
    policy: PolicyMeasurements? = nil
  ) {
    (self.name, self.total, self.floodedCopies) = (name, total, floodedCopies)
    (self.routedOut, self.routedIn) = (routedOut, routedIn)
    (self.fdbEntries, self.fdbLimit, self.ports) = (fdbEntries, fdbLimit, ports)
    (self.endpointsUp, self.endpointsDown) = (endpointsUp, endpointsDown)
    (self.published, self.overlay, self.policy) = (published, overlay, policy)
  }
}

/// Of a network's policy.
public struct PolicyMeasurements: Sendable, Equatable {
  public var name: String
  public var kind: PolicyKind
  /// As `Policy.state`.
  public var state: String
  /// Its own, each name once; without the hits of rules, and no more than a limit.
  public var counters: [PolicyCounter]

  public init(name: String, kind: PolicyKind, state: String, counters: [PolicyCounter] = []) {
    (self.name, self.kind, self.state, self.counters) = (name, kind, state, counters)
  }
}

/// Published ports of one network and protocol; each port of a range counts.
public struct PublishedMeasurements: Sendable, Equatable {
  /// tcp or udp.
  public var `protocol`: String
  public var reachable: Int
  /// A program of the host has the port, say.
  public var unreachable: Int

  public init(protocol: String, reachable: Int, unreachable: Int) {
    (self.protocol, self.reachable, self.unreachable) = (`protocol`, reachable, unreachable)
  }
}

/// Of a network's overlay. Its peers are ports of the network.
public struct OverlayMeasurements: Sendable, Equatable {
  public var vni: Int
  public var local: String
  public var port: Int
  public var isUp: Bool
  public var peers: Int

  public init(vni: Int, local: String, port: Int, isUp: Bool, peers: Int) {
    (self.vni, self.local, self.port, self.isUp, self.peers) = (vni, local, port, isUp, peers)
  }
}

public struct UplinkMeasurements: Sendable, Equatable {
  public var interface: String
  /// The data plane has it.
  public var isUp: Bool
  public var counters: Counters

  public init(interface: String, isUp: Bool, counters: Counters) {
    (self.interface, self.isUp, self.counters) = (interface, isUp, counters)
  }
}

/// Of all overlays with one local address and UDP port: encapsulated frames.
public struct CarrierMeasurements: Sendable, Equatable {
  public var local: String
  public var port: Int
  /// The one that has the local address.
  public var interface: String
  public var counters: Counters

  public init(local: String, port: Int, interface: String, counters: Counters) {
    (self.local, self.port, self.interface, self.counters) = (local, port, interface, counters)
  }
}

/// Sessions of the translation.
public struct SessionMeasurements: Sendable, Equatable {
  /// tcp, udp, icmp (of both families) and other.
  public var byProtocol: [String: Int]
  public var limit: Int
  /// Sessions that went before their time, to make room.
  public var evictions: UInt64

  public init(byProtocol: [String: Int] = [:], limit: Int = 0, evictions: UInt64 = 0) {
    (self.byProtocol, self.limit, self.evictions) = (byProtocol, limit, evictions)
  }
}

/// Of published ports on the host's own stack.
public struct RelayMeasurements: Sendable, Equatable {
  /// TCP connections that are open, or on their way to the endpoint.
  public var connections: Int
  /// UDP clients that are remembered.
  public var clients: Int
  public var acceptedConnections: UInt64
  /// Of those, reset: the endpoint refused, did not answer, or either side broke off.
  public var resetConnections: UInt64
  public var datagrams: UInt64
  public var droppedDatagrams: UInt64

  public init(
    connections: Int = 0, clients: Int = 0, acceptedConnections: UInt64 = 0, resetConnections: UInt64 = 0,
    datagrams: UInt64 = 0, droppedDatagrams: UInt64 = 0
  ) {
    (self.connections, self.clients, self.acceptedConnections) = (connections, clients, acceptedConnections)
    (self.resetConnections, self.datagrams, self.droppedDatagrams) = (resetConnections, datagrams, droppedDatagrams)
  }
}
