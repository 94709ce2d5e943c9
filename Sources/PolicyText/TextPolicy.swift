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
  @usableFromInline var fast: FastPath

  public init(_ compiled: CompiledPolicy) {
    self.compiled = compiled
    tables = compiled.tables
    meters = MeterBank(compiled.tables.draft.meters)
    fast = FastPath(compiled.tables)
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
    fast.cache = memory.cache
  }

  /// Where no worker was told of ports yet there is no flow cache, and no port has a name.
  @inlinable
  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if let cache = fast.cache, !view.isTraced {
      let outcome = fast.find(frame, in: cache)
      if outcome.isSingle {
        let record = fast.records[outcome.place]
        if record.onlyLearns {
          view.count(Int(record.hits))
          return LearningSwitch().decide(frame, &view)
        }
      }
      if outcome.isKnown { return run(outcome, frame, &view) }
    }
    return decideAnew(frame, &view)
  }

  /// Where the flow cache's fast path did not find the flow.
  @usableFromInline
  @inline(never)
  mutating func decideAnew(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let key = FlowKey(frame, isDeep: tables.isDeep).masked(by: tables.mask)
    guard !view.isTraced, let worker else { return decideSlowly(key, frame, &view) }
    var outcome = worker.cache.find(key)
    if !outcome.isKnown {
      outcome = classify(key, worker)
      worker.cache.insert(key, outcome)
    }
    return run(outcome, frame, &view)
  }

  private func classify(_ key: FlowKey, _ worker: WorkerMemory) -> FlowOutcome {
    let classifier = classifier(worker)
    if worker.chainCapacity - worker.chainEnd < tables.draft.rules.count {
      // What follows may not fit, and what the cache holds is nobody's any more.
      worker.cache.clear()
      worker.chainEnd = 0
    }
    let rules = worker.chains + worker.chainEnd
    let count = classifier.rules(key, into: rules)
    if count == 1 { return FlowOutcome(count: 1, place: rules[0]) }
    defer { worker.chainEnd += count }
    return FlowOutcome(count: count, place: UInt32(worker.chainEnd))
  }

  private func classifier(_ worker: WorkerMemory?) -> Classifier {
    Classifier(
      dimensions: worker.map { UnsafePointer($0.dimensions) } ?? tables.dimensionMemory,
      dimensionCount: tables.dimensions.count, records: tables.rules.records)
  }

  /// Does what the rules say that a flow met.
  @usableFromInline
  @inline(never)
  mutating func run(_ outcome: FlowOutcome, _ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
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
  private mutating func decideSlowly(_ key: FlowKey, _ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if view.isTraced { explainSearch(key, view) }
    let rules = UnsafeMutablePointer<UInt32>.allocate(capacity: max(1, tables.draft.rules.count))
    defer { rules.deallocate() }
    let count = classifier(worker).rules(key, into: rules)
    for index in 0..<count {
      if let verdict = run(rule: Int(rules[index]), frame, &view) { return verdict }
    }
    return runDefault(frame, &view)
  }

  private func runDefault(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.explain("no rule decides: default \(tables.draft.ending)")
    let ending = EndingRecord(kind: tables.draft.ending, tag: 0, firstPort: 0, portCount: 0)
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
