/// How metrics are written, for the scraper that asks.
enum Exposition: Equatable, CaseIterable {
  /// Prometheus' text format 0.0.4 (prometheus.io, "Exposition formats").
  case text
  /// OpenMetrics 1.0 (prometheus.io, "OpenMetrics").
  case openMetrics

  var contentType: String {
    switch self {
    case .text: "text/plain; version=0.0.4; charset=utf-8"
    case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
  }

  func write(_ families: [Family]) -> [UInt8] {
    var text: [UInt8] = []
    for family in families where !family.samples.isEmpty { write(family, to: &text) }
    if self == .openMetrics { text += "# EOF\n".utf8 }
    return text
  }

  private func write(_ family: Family, to text: inout [UInt8]) {
    let sample = family.name + suffix(of: family.kind)
    // OpenMetrics describes the family, the older format what is written below.
    let described = self == .openMetrics ? family.name : sample
    text += "# HELP \(described) \(family.help)\n# TYPE \(described) \(word(for: family.kind))\n".utf8
    if self == .openMetrics, let unit = family.unit { text += "# UNIT \(described) \(unit)\n".utf8 }
    for entry in family.samples {
      text += sample.utf8
      write(entry.labels, to: &text)
      switch entry.value {
      case .count(let count): text += " \(count)\n".utf8
      case .number(let number): text += " \(number)\n".utf8
      }
    }
  }

  private func suffix(of kind: Family.Kind) -> String {
    switch kind {
    case .counter: "_total"
    case .gauge: ""
    case .info: "_info"
    }
  }

  private func word(for kind: Family.Kind) -> String {
    switch kind {
    case .counter: "counter"
    case .gauge: "gauge"
    case .info: self == .openMetrics ? "info" : "gauge"
    }
  }

  private func write(_ labels: [Family.Label], to text: inout [UInt8]) {
    guard !labels.isEmpty else { return }
    text.append(UInt8(ascii: "{"))
    for (index, label) in labels.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      text += label.name.utf8
      text += "=\"".utf8
      for byte in label.value.utf8 {
        switch byte {
        case UInt8(ascii: "\\"): text += "\\\\".utf8
        case UInt8(ascii: "\""): text += "\\\"".utf8
        case UInt8(ascii: "\n"): text += "\\n".utf8
        default: text.append(byte)
        }
      }
      text.append(UInt8(ascii: "\""))
    }
    text.append(UInt8(ascii: "}"))
  }
}

extension Exposition {
  /// The one that a scraper wants most: by its Accept header (RFC 9110, section 12.5.1), of several values one behind the other.
  /// One that wants neither gets the older format, which whoever reads metrics reads.
  init(accept: String) {
    var (best, bestWeight) = (Exposition.text, 0.0)
    for range in accept.split(separator: ",") {
      let parts = range.split(separator: ";").map { Self.trimmed($0).lowercased() }
      guard let type = parts.first else { continue }
      let parameters = parts.dropFirst()
      let weight = parameters.lazy.compactMap { Self.value(of: "q", in: $0) }.first.map { Double($0) ?? 0 } ?? 1
      let version = parameters.lazy.compactMap { Self.value(of: "version", in: $0) }.first
      let wanted: Exposition
      switch type {
      case "application/openmetrics-text" where version == nil || version == "1.0.0": wanted = .openMetrics
      case "text/plain" where version == nil || version == "0.0.4", "text/*", "*/*": wanted = .text
      default: continue
      }
      if weight > bestWeight { (best, bestWeight) = (wanted, weight) }
    }
    self = best
  }

  private static func trimmed(_ text: Substring) -> Substring {
    let isSpace = { (character: Character) in character == " " || character == "\t" }
    guard let last = text.lastIndex(where: { !isSpace($0) }) else { return "" }
    return text[...last].drop(while: isSpace)
  }

  private static func value(of name: String, in parameter: String) -> String? {
    guard parameter.hasPrefix(name + "=") else { return nil }
    return parameter.dropFirst(name.count + 1).filter { $0 != "\"" }
  }
}
