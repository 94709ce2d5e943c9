import Datapath
import Tables
import Wire

// Theory of operation.
//
// A frame's key is looked for in the flow cache. What is found there are the numbers of the rules that such a frame meets, up to the
// one that decides; where nothing is found they are looked for in the tables, and kept. Then the rules' actions are done: a meter
// answers anew for each frame, and the learning switch decides anew. All rules look at the frame as it came, whatever an earlier one
// has changed in it.
//
// The tables are shared by all workers and never change. The flow cache, and what ports' names mean, are a worker's own: memory that
// `portsChanged` makes anew. So a copy of the value shares it with its original until then, and is good for dry runs only, which
// write nothing there.

/// A policy written as text (docs/policy-language.md).
public struct TextPolicy: LoadablePolicy {
  public static let name = "text"
  public static let summary = "rules written as text, from a file (docs/policy-language.md)"

  public let compiled: CompiledPolicy
  let tables: PolicyTables
  let meters: MeterBank
  /// nil: it has not been told of ports.
  private(set) var worker: WorkerMemory?
  /// Of `worker`; nil too where the fast path is not for these rules.
  @usableFromInline private(set) var fast: UnsafePointer<FastPath>?

  public init(_ compiled: CompiledPolicy) {
    self.compiled = compiled
    tables = compiled.tables
    meters = MeterBank(compiled.tables.draft.meters)
  }

  /// Refuses: the rules are not in parameters.
  public init?(_ parameters: inout PolicyParameters) {
    parameters.refuse("its rules are in a file: load it by the file's name")
    return nil
  }

  public var counterNames: [String] { compiled.counterNames }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    let memory = WorkerMemory(tables, ports)
    worker = memory
    fast = memory.fast.pointee.isPlain ? UnsafePointer(memory.fast) : nil
  }

  /// Where no worker was told of ports yet there is no flow cache, and no port has a name.
  @inlinable
  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    var outcome = FlowOutcome(bits: 0)
    if let fast, !view.isTraced {
      outcome = FastPath.find(frame, fast)
      if outcome.onlyLearns {
        view.count(fast.pointee.firstHits &+ outcome.place)
        return LearningSwitch().decide(frame, &view)
      }
    }
    return decide(frame, &view, outcome)
  }

  /// All but the most common case.
  /// - Parameter known: what the flow cache said; nothing is known where it was not asked.
  @usableFromInline
  @inline(never)
  func decide(_ frame: borrowing Frame, _ view: inout NetworkView, _ known: FlowOutcome) -> Verdict {
    if known.isKnown { return run(known, frame, &view) }
    guard !view.isTraced, let worker else { return decideSlowly(frame, &view) }
    if !worker.fast.pointee.isPlain {
      let outcome = worker.fast.pointee.find(frame, in: worker.cache)
      if outcome.isKnown { return run(outcome, frame, &view) }
    }
    let key = FlowKey(frame, isDeep: tables.isDeep).masked(by: tables.mask)
    var outcome = worker.cache.find(key)
    if !outcome.isKnown {
      outcome = classify(key, worker)
      worker.cache.insert(key, outcome)
    }
    return run(outcome, frame, &view)
  }

  private func classify(_ key: FlowKey, _ worker: WorkerMemory) -> FlowOutcome {
    let classifier = classifier(worker)
    if worker.chainCapacity - worker.chainEnd < tables.ruleCount {
      // What follows may not fit, and what the cache holds is nobody's any more.
      worker.cache.clear()
      worker.chainEnd = 0
    }
    let rules = worker.chains + worker.chainEnd
    let count = classifier.rules(key, into: rules)
    if count == 1 {
      let onlyLearns = tables.rules.records[Int(rules[0])].onlyLearns
      return onlyLearns ? FlowOutcome(learning: rules[0]) : FlowOutcome(count: 1, place: rules[0])
    }
    if count == 0 && tables.ending == .learn { return FlowOutcome(learning: FlowOutcome.noRule) }
    defer { worker.chainEnd += count }
    return FlowOutcome(count: count, place: UInt32(worker.chainEnd))
  }

  private func classifier(_ worker: WorkerMemory?) -> Classifier {
    Classifier(
      dimensions: worker.map { UnsafePointer($0.dimensions) } ?? tables.dimensionMemory,
      dimensionCount: tables.dimensions.count, records: tables.rules.records)
  }

  /// Does what the rules say that a flow met.
  private func run(_ outcome: FlowOutcome, _ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if outcome.onlyLearns {
      view.count(tables.firstHits &+ outcome.place)
      return LearningSwitch().decide(frame, &view)
    }
    if outcome.isSingle {
      if let verdict = run(rule: outcome.place, frame, &view) { return verdict }
    } else if let worker {
      for index in 0..<outcome.count {
        let rule = Int(worker.chains[outcome.place + index])
        if let verdict = run(rule: rule, frame, &view) { return verdict }
      }
    }
    return runDefault(frame, &view)
  }

  /// Without a flow cache, or when somebody wants to read how: writes nothing in memory that outlives the call.
  private func decideSlowly(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let key = FlowKey(frame, isDeep: tables.isDeep).masked(by: tables.mask)
    if view.isTraced { explainSearch(key, view) }
    let rules = UnsafeMutablePointer<UInt32>.allocate(capacity: max(1, tables.ruleCount))
    defer { rules.deallocate() }
    let count = classifier(worker).rules(key, into: rules)
    for index in 0..<count {
      if let verdict = run(rule: Int(rules[index]), frame, &view) { return verdict }
    }
    return runDefault(frame, &view)
  }

  private func runDefault(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.explain("no rule decides: default \(tables.ending)")
    let ending = EndingRecord(kind: tables.ending, tag: 0, firstPort: 0, portCount: 0)
    return end(ending, frame, &view) ?? .drop(.policy)
  }
}

/// What all workers of a network share of a policy.
final class MeterBank: @unchecked Sendable {
  let meters: UnsafeMutablePointer<Meter>
  private let count: Int

  init(_ drafts: [DraftMeter]) {
    meters = copied(drafts.map { Meter(rate: $0.rate, burst: $0.burst) })
    count = drafts.count
  }

  deinit {
    for index in 0..<count { meters[index].deallocate() }
    meters.deallocate()
  }
}
