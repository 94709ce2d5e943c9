extension Array<UInt8> {
  /// The bytes of a text in hexadecimal; blanks are left out.
  init(hex text: String) {
    let digits = text.filter { !$0.isWhitespace }
    self = stride(from: 0, to: digits.count, by: 2).map { place in
      let start = digits.index(digits.startIndex, offsetBy: place)
      return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)!
    }
  }

  var hex: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
