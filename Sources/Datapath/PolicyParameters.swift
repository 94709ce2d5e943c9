import Tables
import Wire

/// What a policy is told when it is made: `key=value`, as people wrote it. Whoever takes one says what it must be; the first that is
/// wrong, or that nobody takes, is refused.
public struct PolicyParameters {
  private var values: [String: String]
  private var known: [String] = []
  /// Why a parameter is refused: a sentence for people. nil: none is.
  public private(set) var complaint: String?

  public init(_ values: [String: String] = [:]) { self.values = values }

  public mutating func refuse(_ reason: String) { complaint = complaint ?? reason }

  /// nil where it was not given.
  public mutating func text(_ key: String) -> String? {
    known.append(key)
    return values.removeValue(forKey: key)
  }

  public mutating func number(_ key: String, in range: ClosedRange<UInt64>, default value: UInt64) -> UInt64 {
    guard let text = text(key) else { return value }
    guard let number = UInt64(text), range.contains(number) else {
      refuse("\(key)=\(text): give a number from \(range.lowerBound) to \(range.upperBound)")
      return value
    }
    return number
  }

  public mutating func flag(_ key: String, default value: Bool) -> Bool {
    guard let text = text(key) else { return value }
    switch text {
    case "on", "true", "yes", "1": return true
    case "off", "false", "no", "0": return false
    default:
      refuse("\(key)=\(text): say on or off")
      return value
    }
  }

  /// Words separated by commas; `words` where it was not given.
  public mutating func list(_ key: String, default words: [String] = []) -> [String] {
    text(key).map { $0.split(separator: ",").map(String.init) } ?? words
  }

  /// One of the words; the first where it was not given.
  public mutating func choice(_ key: String, of words: [String]) -> String {
    guard let text = text(key) else { return words[0] }
    if !words.contains(text) { refuse("\(key)=\(text): say \(words.joined(separator: " or "))") }
    return text
  }

  /// All that begin with `prefix`, by what follows it: `port.web=10`.
  public mutating func all(prefix: String) -> [(key: String, value: String)] {
    known.append(prefix + "NAME")
    let keys = values.keys.filter { $0.hasPrefix(prefix) }.sorted()
    return keys.map { (String($0.dropFirst(prefix.count)), values.removeValue(forKey: $0)!) }
  }

  /// Bits a second: a number, perhaps with k, M or G behind it. nil where it was not given.
  public mutating func rate(_ key: String) -> UInt64? {
    guard let text = text(key) else { return nil }
    guard let rate = Self.scaled(text), rate > 0 else {
      refuse("\(key)=\(text): give bits a second, as 500k, 10M or 1G")
      return nil
    }
    return rate
  }

  /// What may pass in a second, as the value of a parameter: bits, as `rate` takes them, or frames: 200fps.
  /// - Parameter key: for the complaint.
  public mutating func meter(_ text: String, of key: String) -> RateMeter? {
    let isOfFrames = text.hasSuffix("fps")
    let range = isOfFrames ? RateMeter.frameRange : RateMeter.bitRange
    guard let rate = Self.scaled(isOfFrames ? String(text.dropLast(3)) : text), range.contains(rate) else {
      refuse("\(key)=\(text): give bits a second, as 500k, 10M or 1G (1k at least), or frames a second, as 200fps")
      return nil
    }
    return isOfFrames ? RateMeter(frames: rate) : RateMeter(bits: rate)
  }

  private static func scaled(_ text: String) -> UInt64? {
    let factors: [Character: UInt64] = [
      "k": 1000, "K": 1000, "m": 1_000_000, "M": 1_000_000, "g": 1_000_000_000, "G": 1_000_000_000,
    ]
    let factor = text.last.flatMap { factors[$0] }
    guard let number = UInt64(factor == nil ? text : String(text.dropLast())) else { return nil }
    let (rate, overflow) = number.multipliedReportingOverflow(by: factor ?? 1)
    return overflow ? nil : rate
  }

  /// To be called when all were taken: refuses what is left.
  public mutating func finish() {
    guard let unknown = values.keys.sorted().first else { return }
    let choices = known.isEmpty ? "it has none" : "there are \(known.sorted().joined(separator: ", "))"
    refuse("no parameter is called \(unknown): \(choices)")
  }
}
