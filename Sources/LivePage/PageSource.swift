import ControlModel
import FoundationEssentials
import Synchronization

/// Answers for all who look at the page, each made once for all of them and shown again until its time is over. Calls may come
/// from any thread; one waits for the other.
final class PageSource: Sendable {
  typealias Instant = ContinuousClock.Instant

  /// An answer, and how long it is good.
  private struct Kept<Value> {
    var value: Value
    var until: Instant
    /// No renewal before, whatever happens.
    var earliest: Instant
  }

  private struct Memory {
    var state: Kept<[UInt8]>?
    var topology: Kept<Topology>?
    /// By the network's id.
    var tables: [String: Kept<[UInt8]>] = [:]
  }

  private let service: any ControlService
  private let source: any MeasurementSource
  private let start: Instant
  private let now: @Sendable () -> Instant
  private let memory = Mutex(Memory())

  init(
    _ service: any ControlService, _ source: any MeasurementSource,
    now: @escaping @Sendable () -> Instant = { ContinuousClock.now }
  ) {
    (self.service, self.source, self.now, start) = (service, source, now, now())
  }

  /// `PageState` as JSON.
  func state() throws(ControlError) -> [UInt8] {
    try memory.withLock { memory throws(ControlError) in
      if let state = memory.state, now() < state.until { return state.value }
      let measured = try timed(for: PageLimits.lifetime) { () throws(ControlError) in try source.measurements() }
      let time = start.duration(to: now()) / .seconds(1)
      let topology = try topology(&memory, fitting: measured.value)
      let state = try Self.json(PageState(measured.value, topology, time: time))
      memory.state = Kept(value: state, until: measured.until, earliest: measured.earliest)
      return state
    }
  }

  /// `PageTables` as JSON.
  /// - Parameter id: a network's; `notFound` where there is none.
  func tables(of id: String) throws(ControlError) -> [UInt8] {
    try memory.withLock { memory throws(ControlError) in
      if let tables = memory.tables[id], now() < tables.until { return tables.value }
      let topology = try topology(&memory)
      guard let network = topology.networks.first(where: { $0.id == id }) else {
        throw ControlError(.notFound, "no network has the id \(id)")
      }
      let tables = try timed(for: PageLimits.lifetime) { () throws(ControlError) in
        let entries = topology.hasSwitch(network) ? try service.forwardingEntries(network: id) : []
        return try Self.json(PageTables(network, entries, try service.sessions(SessionFilter())))
      }
      if memory.tables[id] == nil, memory.tables.count >= PageLimits.tablesMax {
        let oldest = memory.tables.min { $0.value.until < $1.value.until }
        if let oldest { memory.tables[oldest.key] = nil }
      }
      memory.tables[id] = tables
      return tables.value
    }
  }

  /// The one that is kept, unless its time is over or ports came and went since.
  /// - Parameter measured: nil: it need not fit.
  private func topology(
    _ memory: inout Memory, fitting measured: Measurements? = nil
  ) throws(ControlError) -> Topology {
    if let kept = memory.topology {
      let fits = measured.map(kept.value.fits) ?? true
      if now() < (fits ? kept.until : kept.earliest) { return kept.value }
    }
    let measured = if let measured { measured } else { try source.measurements() }
    let kept = try timed(for: PageLimits.topologyLifetime) { () throws(ControlError) in
      try Topology(of: service, measured)
    }
    memory.topology = kept
    return kept.value
  }

  /// What is made now, good for `lifetime` from now on, and longer where it took long.
  private func timed<Value>(
    for lifetime: Duration, _ make: () throws(ControlError) -> Value
  ) throws(ControlError) -> Kept<Value> {
    let begun = now()
    let value = try make()
    let ended = now()
    let earliest = ended + begun.duration(to: ended) * PageLimits.costFactor
    return Kept(value: value, until: max(begun + lifetime, earliest), earliest: earliest)
  }

  private static func json(_ value: some Encodable) throws(ControlError) -> [UInt8] {
    do { return Array(try JSONEncoder().encode(value)) } catch {
      throw ControlError(.system, "the state cannot be written as JSON: \(error)")
    }
  }
}
