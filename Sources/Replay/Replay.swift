import Captures
import Datapath
import Policies
import Wire

// Theory of operation.
//
// The input is read twice. The first time says which ports there are and how long it takes, so that a policy knows its ports before
// the first frame, as in the switch. The second time each frame is given to the engine of each policy, alone, at its own time: so the
// outcome does not depend on how frames would have come together in bursts. Nothing reads a clock or draws a number that
// the input and the seeds do not decide.

/// The switch's own engine over a capture or a model, in simulated time.
public enum Replay {
  public static let portCountDefault = 64
  public static let portCountMax = 1024
  /// Of the timeline.
  public static let binCount = 100
  public static let differencesDefault = 10
  public static let differencesMax = 100_000
  static let ageingSeconds: UInt32 = 300
  /// At the first frame, so that no time is 0.
  static let startNanoseconds: UInt64 = 1_000_000_000
  /// Ports that a sentence names one by one.
  static let namedPortsMax = 8

  /// - Parameters:
  ///   - policies: one or two, made for this run; they have different values of their own.
  ///   - differences: how many are kept, frame by frame.
  ///   - directory: where what leaves is written by port, and what is dropped; nil: nowhere.
  /// - Throws: where nothing can be replayed, or not be written. A capture that ends early is replayed as far as it goes, and the report
  ///   says so.
  public static func run(
    _ input: ReplayInput, policies: [InstalledPolicy], differences: Int = differencesDefault,
    directory: String? = nil
  ) throws(CaptureError) -> ReplayReport {
    precondition((1...2).contains(policies.count))
    var source = try FrameSource(input)
    let contenders = policies.map { Contender($0, ports: source.ports, ageingSeconds: ageingSeconds) }
    var report = ReplayReport(source: sourceReport(input, source.survey))
    if policies.count > 1 { report.differences = DifferenceReport() }
    let names = source.ports.map(\.name) + ["gateway"]
    var captures: ReplayCaptures?
    if let directory {
      captures = try ReplayCaptures(
        directory: directory, letters: policies.count > 1 ? ["a", "b"] : [""], ports: names)
    }

    let clock = SimulatedClock(source.survey)
    var latest = source.survey.first
    while let arrival = next(&source, &report) {
      latest = max(latest, arrival.nanoseconds)
      report.frames += 1
      report.bytes += UInt64(arrival.length)
      for (index, contender) in contenders.enumerated() {
        contender.treat(arrival, source.bytes, nanoseconds: clock.time(latest), bin: clock.bin(latest))
        try captures?.write(index, arrival, source.bytes, contender, at: latest)
      }
      guard let second = contenders.last, second.differs(from: contenders[0]) else { continue }
      report.differences!.count += 1
      guard report.differences!.first.count < differences else { continue }
      let bytes = RawSpan(_unsafeStart: source.bytes, byteCount: arrival.length)
      report.differences!.first.append(
        Difference(
          number: report.frames, time: Int64(arrival.nanoseconds) - Int64(source.survey.first),
          port: names[Int(arrival.port)],
          frame: FrameSummary.words(bytes, originalLength: arrival.originalLength),
          treatments: contenders.map { $0.words(names) }))
    }
    try captures?.finish()
    for contender in contenders { contender.finish() }
    report.policies = contenders.map(\.totals)
    return report
  }

  private static func next(_ source: inout FrameSource, _ report: inout ReplayReport) -> Arrival? {
    do {
      return try source.next()
    } catch {
      report.source.error = error.description
      return nil
    }
  }

  private static func sourceReport(_ input: ReplayInput, _ survey: Survey) -> SourceReport {
    var report: SourceReport
    switch input {
    case .capture(let path, _, _): report = SourceReport(name: path, isModel: false, start: survey.first)
    case .model(let model): report = SourceReport(name: model.kind.rawValue, isModel: true)
    }
    report.duration = survey.last - survey.first
    (report.cut, report.disordered, report.outbound) = (survey.cut, survey.disordered, survey.outbound)
    return report
  }
}

/// From the capture's time to the engine's, which begins at `Replay.startNanoseconds`.
private struct SimulatedClock {
  private let first: UInt64
  private let binWidth: UInt64

  init(_ survey: Survey) {
    first = survey.first
    binWidth = (survey.last - survey.first) / UInt64(Replay.binCount) + 1
  }

  func time(_ nanoseconds: UInt64) -> UInt64 { nanoseconds - first + Replay.startNanoseconds }

  func bin(_ nanoseconds: UInt64) -> Int { min(Int((nanoseconds - first) / binWidth), Replay.binCount - 1) }
}

extension PolicyReport {
  mutating func count(_ arrival: Arrival, _ copies: [CopyNotes.Copy]) {
    ports[Int(arrival.port)].rxFrames += 1
    ports[Int(arrival.port)].rxBytes += UInt64(arrival.length)
    self.copies += UInt64(copies.count)
    for copy in copies {
      ports[Int(copy.port)].txFrames += 1
      ports[Int(copy.port)].txBytes += UInt64(copy.changed?.count ?? arrival.length)
    }
  }
}

extension Contender {
  /// Of the last frame. Whether a copy was meant for all or for one does not matter where it is the same copy.
  func differs(from other: Contender) -> Bool {
    if !output.isSame(as: other.output) { return true }
    switch (treatment, other.treatment) {
    case (.dropped, _), (_, .dropped): return treatment != other.treatment
    default: return false
    }
  }

  /// What was done with the last frame.
  func words(_ names: [String]) -> String {
    let named = output.copies.prefix(Replay.namedPortsMax).map {
      names[Int($0.port)] + ($0.changed == nil ? "" : " (changed, \(output.length(of: $0)) bytes)")
    }
    let more = output.copies.count - named.count
    let list = named.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    switch treatment {
    case .forwarded: return "forwarded to \(list)"
    case .flooded: return "flooded to \(list)"
    case .dropped(let reason): return "dropped: \(reason.name)" + (list.isEmpty ? "" : "; copied to \(list)")
    }
  }
}
