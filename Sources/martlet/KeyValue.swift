import ArgumentParser

/// `KEY=VALUE` on the command line.
struct KeyValue: Equatable, Sendable {
  var key: String
  var value: String

  /// The value may be left out, as in docker's `--label KEY`.
  static func partial(_ argument: String) throws -> KeyValue {
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard let key = parts.first, !key.isEmpty else { throw ValidationError("a key should stand before the '='") }
    return KeyValue(key: String(key), value: parts.count > 1 ? String(parts[1]) : "")
  }

  static func complete(_ argument: String) throws -> KeyValue {
    guard argument.contains("=") else { throw ValidationError("KEY=VALUE is needed") }
    return try partial(argument)
  }
}

extension [KeyValue] {
  /// The last of several with one key counts; nil where there are none, so that the request leaves the field out.
  var dictionary: [String: String]? {
    isEmpty ? nil : Dictionary(map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
  }
}

extension Array {
  /// Nil where empty, so that the request leaves the field out.
  var nonEmpty: Self? { isEmpty ? nil : self }
}

/// `on` or `off`.
enum Switch: String, ExpressibleByArgument, CaseIterable {
  case on, off
  var isOn: Bool { self == .on }
}
