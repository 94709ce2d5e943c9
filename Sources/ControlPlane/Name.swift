import ControlModel

/// The rules for names that users give. Every refusal says what was given and what is allowed.
enum Name {
  /// As Docker's: letters, digits, `_`, `.` and `-`, the first a letter or digit. Not the form of an id, which would hide one.
  static func check(_ name: String, of kind: String) throws(ControlError) {
    guard !name.isEmpty else { throw ControlError(.invalid, "a \(kind) needs a name") }
    guard name.utf8.count <= Limits.nameLength else {
      throw ControlError(
        .invalid, "the \(kind)'s name has \(name.utf8.count) bytes: at most \(Limits.nameLength) are allowed")
    }
    guard name.utf8.first!.isLetterOrDigit, name.utf8.allSatisfy({ $0.isLetterOrDigit || "_.-".utf8.contains($0) })
    else {
      throw ControlError(
        .invalid, "\(kind) name \(name.quoted): allowed are letters, digits, _ . and -, the first a letter or digit")
    }
    guard !Identifier.isWellFormed(name) else {
      throw ControlError(.invalid, "\(kind) name \(name.quoted) has the form of an id: choose another")
    }
  }

  /// What dev_valid_name() of net/core/dev.c takes, less what the kernel gives a meaning of its own (`%`, `all`, `default`).
  static func checkInterface(_ name: String) throws(ControlError) {
    guard (1...Limits.interfaceNameLength).contains(name.utf8.count) else {
      throw ControlError(
        .invalid, "interface name \(name.quoted): 1 to \(Limits.interfaceNameLength) bytes are allowed")
    }
    let reserved = [".", "..", "lo", "all", "default"]
    guard !reserved.contains(name), name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"/:%".utf8.contains($0) }) else {
      throw ControlError(
        .invalid,
        "interface name \(name.quoted): allowed are printable characters but / : and %, and not \(reserved.joined(separator: ", "))"
      )
    }
  }

  /// A name in the DNS: labels of letters, digits, `-` and `_`, as Docker takes them.
  static func checkAlias(_ alias: String) throws(ControlError) {
    guard (1...Limits.aliasLength).contains(alias.utf8.count), alias.utf8.first!.isLetterOrDigit,
      alias.utf8.allSatisfy({ $0.isLetterOrDigit || "_.-".utf8.contains($0) })
    else {
      throw ControlError(
        .invalid,
        "alias \(alias.quoted): allowed are letters, digits, _ . and -, the first a letter or digit, at most \(Limits.aliasLength)"
      )
    }
  }

  static func checkLabels(_ labels: [String: String]) throws(ControlError) {
    guard labels.count <= Limits.labels else {
      throw ControlError(.invalid, "\(labels.count) labels: at most \(Limits.labels) are allowed")
    }
    for (key, value) in labels {
      guard (1...Limits.labelKeyLength).contains(key.utf8.count), value.utf8.count <= Limits.labelValueLength else {
        throw ControlError(
          .invalid,
          "label \(key.quoted): keys have 1 to \(Limits.labelKeyLength) bytes, values at most \(Limits.labelValueLength)"
        )
      }
    }
  }
}

extension String {
  /// Bytes of a user's text that are repeated to him.
  private static let quotedLength = 80

  /// The text for a message: in quotes, on one line, cut where it is long.
  var quoted: String {
    var text = ""
    for scalar in unicodeScalars {
      if text.utf8.count >= Self.quotedLength { return "\"\(text)...\"" }
      let printable =
        scalar.value >= 0x20 && scalar.properties.generalCategory != .control && scalar != "\u{2028}"
        && scalar != "\u{2029}"
      text += printable ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
    }
    return "\"\(text)\""
  }
}

extension UInt8 {
  var isLetterOrDigit: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}
