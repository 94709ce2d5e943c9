/// Says where and why a text is not the JSON this API takes. `JSONDecoder` tells neither for bad syntax nor for a number that
/// does not fit its field, so this reads the text once more, only after a decoder refused it, to give the user a place.
///
/// Every number of this API counts something: one with a sign, a fraction or an exponent is reported with its field.
struct JSONSyntax {
  /// Deeper texts are refused; `JSONDecoder` has a limit of its own, further out than any request of ours reaches.
  private static let depthMax = 64
  /// The digits of 2^63 - 1, less one: any number of so many digits fits every field.
  private static let digitsMax = 18

  private struct Fault: Error { var message: String }

  private let bytes: [UInt8]
  private var position = 0
  private var path: [String] = []

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// A line for the user, or nil where nothing is wrong with the text.
  static func fault(in bytes: [UInt8]) -> String? {
    var syntax = JSONSyntax(bytes)
    do {
      try syntax.value(depth: 0)
      syntax.skipSpace()
      if syntax.position < bytes.count { try syntax.fail("nothing may follow the value") }
      return nil
    } catch {
      return error.message
    }
  }

  /// Line and column count from 1; the column counts bytes.
  private func fail(_ reason: String) throws(Fault) -> Never {
    let before = bytes[..<min(position, bytes.count)]
    let line = before.count { $0 == UInt8(ascii: "\n") } + 1
    let column = before.count - (before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0) + 1
    throw Fault(message: "line \(line), column \(column): \(reason)")
  }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard next == byte else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(Fault) {
    guard depth < Self.depthMax else { try fail("more than \(Self.depthMax) levels deep") }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): try object(depth: depth)
    case UInt8(ascii: "["): try array(depth: depth)
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "t"): try word("true")
    case UInt8(ascii: "f"): try word("false")
    case UInt8(ascii: "n"): try word("null")
    case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): try number()
    case nil: try fail("the text ends where a value should be")
    default: try fail("a value should be here")
    }
  }

  private mutating func object(depth: Int) throws(Fault) {
    position += 1
    if take(UInt8(ascii: "}")) { return }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { try fail("a field's name in double quotes should be here") }
      path.append(try string())
      guard take(UInt8(ascii: ":")) else { try fail("a colon should be here") }
      try value(depth: depth + 1)
      path.removeLast()
    } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "}")) else { try fail("a comma or } should be here") }
  }

  private mutating func array(depth: Int) throws(Fault) {
    position += 1
    if take(UInt8(ascii: "]")) { return }
    repeat { try value(depth: depth + 1) } while take(UInt8(ascii: ","))
    guard take(UInt8(ascii: "]")) else { try fail("a comma or ] should be here") }
  }

  /// The bytes between the quotes as they stand: only used to name a field.
  private mutating func string() throws(Fault) -> String {
    position += 1
    let start = position
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return String(decoding: bytes[start..<position - 1], as: UTF8.self)
      case UInt8(ascii: "\\"): position += 2
      case 0..<0x20: try fail("a control character in a string must be escaped")
      default: position += 1
      }
    }
    try fail("a string has no end")
  }

  private mutating func word(_ word: String) throws(Fault) {
    guard bytes[position...].starts(with: word.utf8) else { try fail("a value should be here") }
    position += word.utf8.count
  }

  private mutating func number() throws(Fault) {
    let start = position
    let part: Set<UInt8> = Set("+-.eE0123456789".utf8)
    while let byte = next, part.contains(byte) { position += 1 }
    let text = bytes[start..<position]
    let digits = text.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
    guard digits, text.count == 1 || text.first != UInt8(ascii: "0"), text.count <= Self.digitsMax else {
      let field = path.isEmpty ? "" : path.joined(separator: ".") + ": "
      position = start
      try fail("\(field)\(String(decoding: text, as: UTF8.self)) is not a whole number that fits")
    }
  }
}
