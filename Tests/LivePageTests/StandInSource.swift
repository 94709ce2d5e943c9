import ControlModel
import Support
import Synchronization

@testable import LivePage

/// Measurements that a test sets, and how often they were asked for.
final class StandInSource: MeasurementSource {
  private let state: Mutex<(measurements: Measurements, refusal: ControlError?, calls: Int)>

  init(_ measurements: Measurements = StandInSource.sample) { state = Mutex((measurements, nil, 0)) }

  var shown: Measurements {
    get { state.withLock { $0.measurements } }
    set { state.withLock { $0.measurements = newValue } }
  }

  var refusal: ControlError? {
    get { state.withLock { $0.refusal } }
    set { state.withLock { $0.refusal = newValue } }
  }

  var calls: Int { state.withLock { $0.calls } }

  func measurements() throws(ControlError) -> Measurements {
    let (measurements, refusal) = state.withLock { state in
      state.calls += 1
      return (state.measurements, state.refusal)
    }
    if let refusal { throw refusal }
    return measurements
  }

  /// Of the first network of `Sample`, whose endpoint and interfaces are down: not counted.
  static let sample = Measurements(
    networks: [
      NetworkMeasurements(
        name: "lab", total: Sample.endpoint.counters, floodedCopies: 1, routedOut: 2, routedIn: 3, fdbEntries: 4,
        fdbLimit: 8192,
        ports: [
          PortStatistics(
            kind: "gateway", name: "mt-7fca4eb8c647", sandbox: nil, interface: "mt-7fca4eb8c647", counters: Counters()),
          PortStatistics(kind: "vtep", name: "192.0.2.7", sandbox: nil, interface: "mtv0", counters: Counters()),
        ], endpointsDown: 1, overlay: OverlayMeasurements(vni: 42, local: "192.0.2.1", port: 4789, isUp: true, peers: 1)
      )
    ], uplink: UplinkMeasurements(interface: "eth0", isUp: true, counters: Counters()),
    sessions: SessionMeasurements(byProtocol: ["tcp": 1], limit: 100, evictions: 7),
    carriers: [CarrierMeasurements(local: "192.0.2.1", port: 4789, interface: "eth0", counters: Counters())])
}

/// A clock that goes only when it is told to.
final class StandInClock: Sendable {
  private let instant = Mutex(ContinuousClock.now)

  var now: ContinuousClock.Instant { instant.withLock { $0 } }
  func advance(by duration: Duration) { instant.withLock { $0 += duration } }
}
