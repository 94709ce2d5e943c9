import ControlModel

/// All that the data plane counts, at one time.
public struct DataPlaneMeasurements: Sendable, Equatable {
  public var networks: [DataPlaneNetwork: DataPlaneNetworkCounters]
  /// The uplink's and carriers' among them.
  public var ports: [DataPlanePort: Counters]
  public var sessions: SessionMeasurements

  public init(
    networks: [DataPlaneNetwork: DataPlaneNetworkCounters] = [:], ports: [DataPlanePort: Counters] = [:],
    sessions: SessionMeasurements = SessionMeasurements()
  ) {
    (self.networks, self.ports, self.sessions) = (networks, ports, sessions)
  }
}

public protocol MeasuringPlane: AnyObject, Sendable {
  /// Reads counters, and asks one worker once, however many ports there are. While no port comes or goes, a network's total is
  /// the sum of its ports' counters and of what its gone ports had counted.
  func measure() -> DataPlaneMeasurements
}
