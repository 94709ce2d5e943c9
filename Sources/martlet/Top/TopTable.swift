import ArgumentParser

/// By what rows are sorted: names in their order, rates with the largest first.
enum TopColumn: String, CaseIterable, ExpressibleByArgument {
  case network, port
  case rxFrames = "rx-frames"
  case rxBits = "rx-bits"
  case txFrames = "tx-frames"
  case txBits = "tx-bits"
  case drops

  var next: TopColumn { Self.allCases[(index + 1) % Self.allCases.count] }
  var previous: TopColumn { Self.allCases[(index + Self.allCases.count - 1) % Self.allCases.count] }
  private var index: Int { Self.allCases.firstIndex(of: self)! }

  fileprivate func rate(_ row: TopRow) -> Double {
    let rates = row.rates ?? TopRates()
    return switch self {
    case .network, .port: 0
    case .rxFrames: rates.rxFrames
    case .rxBits: rates.rxBits
    case .txFrames: rates.txFrames
    case .txBits: rates.txBits
    case .drops: rates.drops
    }
  }
}

enum TopUnit: String, CaseIterable, ExpressibleByArgument {
  case port, network
}

/// What is shown, and how.
struct TopView: Equatable {
  var unit = TopUnit.port
  var sort = TopColumn.rxBits
  var isReversed = false
  /// The terminal shows the characters of a sparkline.
  var isUnicode = true

  /// Rows that are alike in what they are sorted by stand by their names, so that they do not dance.
  func rows(of history: TopHistory) -> [TopRow] {
    let rows = unit == .port ? history.ports : history.networks
    let names = { (row: TopRow) in (row.network, row.port ?? "", row.interface ?? "", row.id ?? "") }
    let sorted = rows.sorted { one, other in
      switch sort {
      case .network: break
      case .port where one.port != other.port: return (one.port ?? "") < (other.port ?? "")
      default:
        let (rate, otherRate) = (sort.rate(one), sort.rate(other))
        if rate != otherRate { return rate > otherRate }
      }
      return names(one) < names(other)
    }
    return isReversed ? sorted.reversed() : sorted
  }

  func table(of rows: [TopRow]) -> Table {
    var columns = [Column<TopRow>(title("NETWORK", .network), \.network)]
    if unit == .port {
      columns += [
        Column(title("PORT", .port)) { $0.port ?? "" }, Column("INTERFACE") { $0.interface ?? "" },
      ]
    }
    columns += [
      Column(title("RX FRAMES/S", .rxFrames)) { Self.text($0.rates?.rxFrames) },
      Column(title("RX BITS/S", .rxBits)) { Self.text($0.rates?.rxBits) },
      Column(title("TX FRAMES/S", .txFrames)) { Self.text($0.rates?.txFrames) },
      Column(title("TX BITS/S", .txBits)) { Self.text($0.rates?.txBits) },
      Column(title("DROPS/S", .drops)) { Self.text($0.rates?.drops) },
      Column("BITS") { Self.sparkline($0.history, isUnicode: isUnicode) },
    ]
    return Table(rows, columns)
  }

  private func title(_ title: String, _ column: TopColumn) -> String {
    column == sort ? title + (isReversed ? "^" : "*") : title
  }

  /// Three digits and a prefix of the SI; nothing where there is no rate yet.
  static func text(_ rate: Double?) -> String {
    guard var rate else { return "" }
    for prefix in ["", "k", "M", "G", "T"] {
      if rate < 999.5 || prefix == "T" {
        // Small ones exact, as a drop every ten seconds is one too.
        let digits = rate == rate.rounded() || rate >= 99.95 ? 0 : rate >= 9.995 ? 1 : 2
        return fixed(rate, digits) + prefix
      }
      rate /= 1000
    }
    return ""
  }

  private static func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = [1, 10, 100][digits]
    let scaled = Int((value * Double(scale)).rounded())
    guard digits > 0 else { return String(scaled) }
    let fraction = String(scaled % scale)
    return "\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
  }

  private static let blocks = Array("▁▂▃▄▅▆▇█")
  private static let letters = Array("_.:-=+*#")

  /// The row's own largest is the top; the lowest is nothing at all.
  static func sparkline(_ history: [Double], isUnicode: Bool) -> String {
    let levels = isUnicode ? blocks : letters
    let top = history.max() ?? 0
    return String(
      history.map { value in
        guard value > 0, top > 0 else { return levels[0] }
        return levels[1 + min(levels.count - 2, Int(value / top * Double(levels.count - 1)))]
      })
  }
}

extension TopView {
  private static let keys = "q quit   p ports   n networks   < > sort   r reverse"

  /// A screen of exactly `height` lines of at most `width` characters, without line breaks.
  func screen(of history: TopHistory, interval: Double, width: Int, height: Int) -> [String] {
    let rows = rows(of: history)
    let lines = table(of: rows).text.split(separator: "\n").map(String.init)
    // The head, the keys, and an empty line behind each.
    let room = max(0, height - 4)
    let total = rows.reduce(into: TopRates()) { total, row in
      total.rxBits += row.rates?.rxBits ?? 0
      total.txBits += row.rates?.txBits ?? 0
      total.drops += row.rates?.drops ?? 0
    }
    let hidden = lines.count > room ? ", \(lines.count - room) more below" : ""
    let head =
      "\(rows.count) \(unit.rawValue)\(rows.count == 1 ? "" : "s") every \(Self.text(interval)) s   rx \(Self.text(total.rxBits))bit/s   "
      + "tx \(Self.text(total.txBits))bit/s   drops \(Self.text(total.drops))/s\(hidden)"
    let whole = [head, ""] + lines.prefix(room)
    let padding = Array(repeating: "", count: max(0, height - 1 - whole.count))
    return (whole + padding + [Self.keys]).prefix(max(height, 0)).map { String($0.prefix(width)) }
  }

  /// A key was pressed. false: to quit.
  mutating func take(_ key: TopKey) -> Bool {
    switch key {
    case .quit: return false
    case .ports: unit = .port
    case .networks: unit = .network
    case .next: sort = sort.next
    case .previous: sort = sort.previous
    case .reverse: isReversed.toggle()
    }
    return true
  }
}

enum TopKey: Equatable {
  case quit, ports, networks, next, previous, reverse

  /// What was typed, in order; keys that mean nothing are left out. Arrows come as ESC [ C and ESC [ D (ECMA-48, CUF and CUB).
  static func all(in bytes: [UInt8]) -> [TopKey] {
    var keys: [TopKey] = []
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      switch byte {
      // ^C is one, as the terminal makes no signal of it.
      case UInt8(ascii: "q"), UInt8(ascii: "Q"), 3: keys.append(.quit)
      case UInt8(ascii: "p"): keys.append(.ports)
      case UInt8(ascii: "n"): keys.append(.networks)
      case UInt8(ascii: ">"): keys.append(.next)
      case UInt8(ascii: "<"): keys.append(.previous)
      case UInt8(ascii: "r"): keys.append(.reverse)
      case 0x1B:
        guard let next = rest.popFirst(), next == UInt8(ascii: "[") || next == UInt8(ascii: "O") else { continue }
        // Up to the letter that ends it.
        let end = rest.firstIndex { (0x40...0x7E).contains($0) } ?? rest.endIndex
        if end < rest.endIndex, rest[end] == UInt8(ascii: "C") { keys.append(.next) }
        if end < rest.endIndex, rest[end] == UInt8(ascii: "D") { keys.append(.previous) }
        rest = rest[end...].dropFirst()
      default: break
      }
    }
    return keys
  }
}
