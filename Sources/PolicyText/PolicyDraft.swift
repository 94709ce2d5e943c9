import Datapath

/// What a frame's way through the rules ends with.
enum Ending: UInt8, BitwiseCopyable {
  /// The learning switch decides.
  case learn
  case flood, forward, drop
  /// The search goes on.
  case next

  init?(word: String) {
    switch word {
    case "learn": self = .learn
    case "flood": self = .flood
    case "forward": self = .forward
    case "drop": self = .drop
    case "next": self = .next
    default: return nil
    }
  }
}

/// An ending with what belongs to it.
struct DraftEnding {
  var kind: Ending
  /// Places in `PolicyDraft.ports`; of `.forward`.
  var ports: [Int] = []
  var tagging = DraftTagging.unchanged
}

enum DraftTagging: Equatable {
  case unchanged, removed
  case identifier(UInt16)
}

enum DraftAction {
  /// Place in `PolicyDraft.counters`.
  case count(Int)
  case meter(Int, exceeded: DraftEnding)
  /// Place in `PolicyDraft.ports`.
  case mirror(Int)
  case rewrite(FieldRewrite, Field)
}

struct DraftRule {
  var line: Int
  /// Where its text is, in bytes.
  var text: Range<Int>
  /// Dimension and condition, by their places.
  var matches: [(dimension: Int, condition: Int)] = []
  var actions: [DraftAction] = []
  var ending = DraftEnding(kind: .next)
}

struct DraftSet {
  var name: String
  var elements: [String]
}

struct DraftMeter {
  var name: String
  /// Bits a second.
  var rate: UInt64
  /// Bytes; nil: a tenth of a second's worth.
  var burst: UInt64?
}

/// One thing about frames that rules ask for: a field, perhaps masked, and all conditions that rules have for it.
struct Dimension {
  let field: Field
  /// Of a MAC address where it is no prefix; else all bits.
  let mask: UInt64
  private(set) var conditions: [ValueSet] = []
  private var places: [ValueSet: Int] = [:]

  init(_ field: Field, mask: UInt64 = .max) { (self.field, self.mask) = (field, mask) }

  /// Where the condition stands; the same one stands there once.
  mutating func place(of condition: ValueSet) -> Int {
    if let place = places[condition] { return place }
    conditions.append(condition)
    places[condition] = conditions.count - 1
    return conditions.count - 1
  }
}

/// A condition for the port that a frame came in by: one of those named, or none of them.
struct PortCondition: Hashable {
  var names: [String]
  var isNegated: Bool
}

/// A policy as it is written, with its conditions and names numbered.
struct PolicyDraft {
  var name: String?
  var ending = Ending.learn
  var sets: [DraftSet] = []
  var meters: [DraftMeter] = []
  var counters: [String] = []
  /// Those that actions name.
  var ports: [String] = []
  var rules: [DraftRule] = []
  var dimensions: [Dimension] = []
  /// Of the dimension `.inPort`, in place of value sets.
  var portConditions: [PortCondition] = []
  /// Fields that are looked up in sets, with the sets' places; for traces.
  var setUses: [SetUse] = []
}

struct SetUse: Hashable {
  var field: Field
  var set: Int
}
