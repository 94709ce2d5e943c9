/// A piece of a policy's text.
struct Token {
  enum Kind {
    /// Everything that is nothing of what follows: a keyword, a number, an address, a range, a name.
    case word
    /// A name between quotes; its text is what stands between them.
    case quoted
    case comma, open, close, arrow, newline, end
  }

  var kind: Kind
  /// Where its text is, in bytes.
  var start: Int
  var end: Int
  /// From 1 on.
  var line: Int
}

/// Cuts a policy's text into tokens. Never fails: what makes no sense is a word, and the parser's to refuse.
struct Scanner {
  let bytes: [UInt8]
  private var position = 0
  private var line = 1

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func next() -> Token {
    skipBlanks()
    let start = position
    guard start < bytes.count else { return Token(kind: .end, start: start, end: start, line: line) }
    switch bytes[start] {
    case UInt8(ascii: "\n"):
      position += 1
      line += 1
      return Token(kind: .newline, start: start, end: start, line: line - 1)
    case UInt8(ascii: ","): return single(.comma)
    case UInt8(ascii: "{"): return single(.open)
    case UInt8(ascii: "}"): return single(.close)
    case UInt8(ascii: "\""): return quoted()
    case UInt8(ascii: "-") where isArrow(start):
      position += 2
      return Token(kind: .arrow, start: start, end: position, line: line)
    default:
      repeat { position += 1 } while position < bytes.count && !endsWord(position)
      return Token(kind: .word, start: start, end: position, line: line)
    }
  }

  /// Blanks, and a comment up to the end of its line.
  private mutating func skipBlanks() {
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
      case UInt8(ascii: "#"):
        while position < bytes.count && bytes[position] != UInt8(ascii: "\n") { position += 1 }
      default: return
      }
    }
  }

  private mutating func single(_ kind: Token.Kind) -> Token {
    position += 1
    return Token(kind: kind, start: position - 1, end: position, line: line)
  }

  /// Without its closing quote it is a word that begins with a quote.
  private mutating func quoted() -> Token {
    let start = position
    position += 1
    while position < bytes.count && bytes[position] != UInt8(ascii: "\"") && bytes[position] != UInt8(ascii: "\n") {
      position += 1
    }
    guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
      return Token(kind: .word, start: start, end: position, line: line)
    }
    position += 1
    return Token(kind: .quoted, start: start + 1, end: position - 1, line: line)
  }

  private func isArrow(_ place: Int) -> Bool {
    place + 1 < bytes.count && bytes[place] == UInt8(ascii: "-") && bytes[place + 1] == UInt8(ascii: ">")
  }

  private func endsWord(_ place: Int) -> Bool {
    switch bytes[place] {
    case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"), UInt8(ascii: ","),
      UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "#"), UInt8(ascii: "\""):
      true
    default: isArrow(place)
    }
  }
}
