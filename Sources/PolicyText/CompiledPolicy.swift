import Datapath

/// A policy's text, understood and made into tables. Made by any thread but a worker; read by all.
public struct CompiledPolicy: Sendable {
  /// Begins the name of a counter of a rule's hits; the rule's line follows. No counter that a text names has a space.
  public static let hitsPrefix = "rule "

  /// What the text calls itself.
  public let name: String?
  public let ruleCount: Int
  public let setCount: Int
  public let meterCount: Int
  /// Named counters in the order in which the text names them first, then each rule's hits, as "rule LINE".
  public let counterNames: [String]
  /// The fields that its rules look at, by name.
  public let fields: [String]
  /// Bytes of its tables.
  public let tableBytes: Int
  let tables: PolicyTables

  /// - Returns: all that is wrong, where anything is.
  public static func compile(_ source: String) -> Result<CompiledPolicy, PolicyDiagnostics> {
    guard source.utf8.count <= PolicyLimits.sourceBytesMax else {
      let message = "the text is longer than \(PolicyLimits.sourceBytesMax >> 20) MB"
      return .failure(PolicyDiagnostics([PolicyDiagnostic(line: 1, column: 1, message: message)]))
    }
    let bytes = Array(source.utf8)
    var parser = Parser(bytes)
    parser.parse()
    guard parser.diagnostics.isEmpty else { return .failure(PolicyDiagnostics(parser.diagnostics)) }
    guard let tables = PolicyTables(parser.draft, sets: parser.setConditions, source: bytes) else {
      let message =
        "the rules' tables would take more than \(PolicyLimits.tableBytesMax >> 20) MB: write fewer rules, or fewer "
        + "different values"
      return .failure(PolicyDiagnostics([PolicyDiagnostic(line: 1, column: 1, message: message)]))
    }
    return .success(CompiledPolicy(tables))
  }

  private init(_ tables: PolicyTables) {
    let draft = tables.draft
    self.tables = tables
    (name, ruleCount) = (draft.name, draft.rules.count)
    (setCount, meterCount) = (draft.sets.count, draft.meters.count)
    counterNames = draft.counters + draft.rules.map { "\(Self.hitsPrefix)\($0.line)" }
    fields = Field.allCases.filter { field in draft.dimensions.contains { $0.field == field } }.map(\.rawValue)
    tableBytes = tables.byteCount
  }
}

/// The tables of a policy's text: memory that all workers of all networks under the policy read. Nothing changes after it was made.
final class PolicyTables: @unchecked Sendable {
  let draft: PolicyDraft
  let source: [UInt8]
  let rules: RuleMemory
  let ruleCount: Int
  /// The counter of the first rule's hits.
  let firstHits: Int
  /// Where no rule decides.
  let ending: Ending
  /// For traces.
  let setConditions: [SetUse: ValueSet]
  let dimensions: [DimensionTable]
  /// The same, for those that have no worker's memory.
  let dimensionMemory: UnsafePointer<DimensionTable>
  /// Where `dimensions` has the port that a frame came in by, which each worker has a table of its own for; nil: no rule asks.
  let portDimension: Int?
  /// Of each port condition, the rules that have it; and the rules that have none.
  let portRules: [[UInt32]]
  let portFreeRules: [UInt32]
  /// The bits of a key that rules look at.
  let mask: FlowKey
  let isDeep: Bool
  let byteCount: Int
  private let memory: [DimensionMemory]

  /// nil where the tables would be larger than allowed.
  init?(_ draft: PolicyDraft, sets: [SetUse: ValueSet], source: [UInt8]) {
    var draft = draft
    // Where no rule asks for anything each frame meets them all: a dimension that holds for all.
    if draft.dimensions.isEmpty { draft.dimensions.append(Dimension(.ethType)) }
    portDimension = draft.dimensions.firstIndex { $0.field == .inPort }
    var memory: [DimensionMemory] = []
    var byteCount = 0
    var (portRules, portFreeRules): ([[UInt32]], [UInt32]) = ([], [])
    for (place, dimension) in draft.dimensions.enumerated() {
      let (rules, free) = Self.rules(of: draft, in: place)
      var conditions = dimension.conditions
      if dimension.field == .inPort {
        (portRules, portFreeRules) = (rules, free)
        conditions = draft.portConditions.map { $0.values(of: []) }
      }
      let made = DimensionDraft(conditions: conditions, rules: rules, free: free, ruleCount: draft.rules.count)
      byteCount += made.byteCount
      guard byteCount <= PolicyLimits.tableBytesMax else {
        for each in memory { each.deallocate() }
        return nil
      }
      memory.append(DimensionMemory(made, field: dimension.field, mask: dimension.mask))
    }
    var mask = FlowKey()
    for dimension in draft.dimensions where !dimension.conditions.isEmpty || dimension.field == .inPort {
      mask.formUnion(dimension.field.mask, onlyMAC: dimension.mask)
    }
    isDeep = draft.dimensions.contains { $0.field.isDeep }
    (self.mask, self.memory, self.byteCount) = (mask, memory, byteCount)
    (self.portRules, self.portFreeRules) = (portRules, portFreeRules)
    dimensions = memory.map(\.table)
    dimensionMemory = UnsafePointer(copied(dimensions))
    setConditions = sets
    rules = RuleMemory(draft)
    (ruleCount, firstHits, ending) = (draft.rules.count, draft.counters.count, draft.ending)
    self.source = source
    self.draft = draft
  }

  deinit {
    for each in memory { each.deallocate() }
    dimensionMemory.deallocate()
    rules.deallocate()
  }

  /// Of each condition in the dimension, the rules that have it; and the rules that have none there.
  private static func rules(of draft: PolicyDraft, in dimension: Int) -> ([[UInt32]], free: [UInt32]) {
    let isPort = draft.dimensions[dimension].field == .inPort
    let count = isPort ? draft.portConditions.count : draft.dimensions[dimension].conditions.count
    var rules: [[UInt32]] = Array(repeating: [], count: count)
    var free: [UInt32] = []
    for (index, rule) in draft.rules.enumerated() {
      if let match = rule.matches.first(where: { $0.dimension == dimension }) {
        rules[match.condition].append(UInt32(index))
      } else {
        free.append(UInt32(index))
      }
    }
    return (rules, free)
  }

  /// A table for the ports that are there.
  func portTable(_ ports: [PolicyPort]) -> DimensionMemory {
    let byName = Dictionary(
      grouping: ports.flatMap { port in port.names.map { (name: $0, index: UInt64(port.index)) } }, by: \.name)
    let known = byName.mapValues { $0.map(\.index) }
    let conditions = draft.portConditions.map { condition in
      condition.values(of: condition.names.flatMap { known[$0] ?? [] })
    }
    let made = DimensionDraft(
      conditions: conditions, rules: portRules, free: portFreeRules, ruleCount: draft.rules.count)
    return DimensionMemory(made, field: .inPort, mask: .max)
  }

  /// The rule as it is written, on one line.
  func text(of rule: Int) -> String {
    let text = String(decoding: source[draft.rules[rule].text], as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).map { $0.drop { $0 == " " || $0 == "\t" } }.joined(separator: " ")
  }
}

extension PortCondition {
  /// - Parameter ports: those that have one of the names.
  fileprivate func values(of ports: [UInt64]) -> ValueSet {
    var set = ValueSet()
    set.narrow = ports.map { $0...$0 }
    set.normalize()
    return isNegated ? set.complement(of: .inPort) : set
  }
}

extension FlowKey {
  fileprivate mutating func formUnion(_ other: FlowKey, onlyMAC mask: UInt64) {
    header |= other.header
    station |= other.station
    addresses |= other.addresses
    destinationMAC |= other.destinationMAC & mask
    sourceMAC |= other.sourceMAC & mask
    source |= other.source
    destination |= other.destination
  }
}
