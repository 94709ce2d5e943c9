import Datapath

/// How a frame's way ends, as workers read it.
struct EndingRecord: BitwiseCopyable {
  let kind: Ending
  /// 0: the tag stays; `noTag`: it is taken away; else the VLAN's identifier.
  let tag: UInt16
  /// Of the ports it is forwarded to, in `RuleMemory.ports`.
  let firstPort: UInt32
  let portCount: UInt16

  static let noTag = UInt16.max
}

struct ActionRecord: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable {
    case count, meter, mirror, rewrite
  }

  let kind: Kind
  /// What is changed, of `.rewrite`.
  let field: Field
  /// A counter, a meter, a port's name, or a rewrite.
  let index: UInt32
  /// Of `.meter`: for frames beyond it.
  let exceeded: EndingRecord
}

struct RuleRecord: BitwiseCopyable {
  /// Counter of its hits.
  let hits: UInt32
  /// It does nothing beside, and the learning switch decides.
  let onlyLearns: Bool
  /// The search may go on behind it.
  let goesOn: Bool
  let actionCount: UInt8
  let firstAction: UInt32
  let ending: EndingRecord
}

/// What rules do, for all workers; nothing changes after it was made.
struct RuleMemory: BitwiseCopyable {
  let records: UnsafeMutablePointer<RuleRecord>
  let actions: UnsafeMutablePointer<ActionRecord>
  let rewrites: UnsafeMutablePointer<FieldRewrite>
  /// Places of ports' names.
  let ports: UnsafeMutablePointer<UInt32>

  init(_ draft: PolicyDraft) {
    var (records, actions): ([RuleRecord], [ActionRecord]) = ([], [])
    var (rewrites, ports): ([FieldRewrite], [UInt32]) = ([], [])
    func record(_ ending: DraftEnding) -> EndingRecord {
      defer { ports += ending.ports.map { UInt32($0) } }
      let tag: UInt16 =
        switch ending.tagging {
        case .unchanged: 0
        case .removed: EndingRecord.noTag
        case .identifier(let identifier): identifier
        }
      return EndingRecord(
        kind: ending.kind, tag: tag, firstPort: UInt32(ports.count), portCount: UInt16(ending.ports.count))
    }
    func record(_ action: DraftAction) -> ActionRecord {
      let none = EndingRecord(kind: .drop, tag: 0, firstPort: 0, portCount: 0)
      switch action {
      case .count(let counter):
        return ActionRecord(kind: .count, field: .ethType, index: UInt32(counter), exceeded: none)
      case .meter(let meter, let exceeded):
        return ActionRecord(kind: .meter, field: .ethType, index: UInt32(meter), exceeded: record(exceeded))
      case .mirror(let port):
        return ActionRecord(kind: .mirror, field: .ethType, index: UInt32(port), exceeded: none)
      case .rewrite(let rewrite, let field):
        rewrites.append(rewrite)
        return ActionRecord(
          kind: .rewrite, field: field, index: UInt32(rewrites.count - 1), exceeded: none)
      }
    }
    for (index, rule) in draft.rules.enumerated() {
      let firstAction = UInt32(actions.count)
      actions += rule.actions.map(record)
      records.append(
        RuleRecord(
          hits: UInt32(draft.counters.count + index), onlyLearns: rule.actions.isEmpty && rule.ending.kind == .learn,
          goesOn: rule.goesOn, actionCount: UInt8(rule.actions.count), firstAction: firstAction,
          ending: record(rule.ending)))
    }
    self.records = copied(records)
    self.actions = copied(actions)
    self.rewrites = copied(rewrites)
    self.ports = copied(ports)
  }

  func deallocate() {
    records.deallocate()
    actions.deallocate()
    rewrites.deallocate()
    ports.deallocate()
  }
}

extension DraftRule {
  fileprivate var goesOn: Bool {
    ending.kind == .next
      || actions.contains { if case .meter(_, let exceeded) = $0 { exceeded.kind == .next } else { false } }
  }
}
