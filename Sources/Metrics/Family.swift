/// Metrics of one name: what they are, and a value for each set of labels.
struct Family: Equatable {
  enum Kind: Equatable {
    /// Only grows, and begins anew with the daemon. `_total` follows the name.
    case counter
    case gauge
    /// Always 1: its labels say it. `_info` follows the name.
    case info
  }

  struct Sample: Equatable {
    /// In the order in which they are written.
    var labels: [Label]
    var value: Value
  }

  struct Label: Equatable {
    var name: String
    var value: String

    init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
  }

  enum Value: Equatable {
    case count(UInt64)
    /// Finite.
    case number(Double)
  }

  /// Without what its kind adds.
  var name: String
  var kind: Kind
  /// At the name's end; nil: it counts nothing that has a name there.
  var unit: String?
  /// One line, without a backslash or a quote.
  var help: String
  var samples: [Sample] = []

  init(_ name: String, _ kind: Kind, unit: String? = nil, _ help: String) {
    (self.name, self.kind, self.help) = (unit.map { "\(name)_\($0)" } ?? name, kind, help)
    self.unit = unit
  }

  mutating func add(_ value: UInt64, _ labels: [Label]) { samples.append(Sample(labels: labels, value: .count(value))) }

  mutating func add(_ value: Int, _ labels: [Label]) { add(UInt64(max(value, 0)), labels) }
}
