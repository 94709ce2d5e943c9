import ControlModel

/// The fields of a JSON object, with the name it goes by in messages. A field that is null is absent; one of another type than
/// asked for is `invalid`.
public struct JSONObject: Sendable {
  public let fields: [String: JSONValue]
  private let name: String

  public init(_ fields: [String: JSONValue], name: String = "") { (self.fields, self.name) = (fields, name) }

  /// - Parameter name: how messages call the value.
  public init(_ value: JSONValue, name: String) throws(ControlError) {
    guard case .object(let fields) = value else { throw Self.refusal(name, "an object", value) }
    self.init(fields, name: name)
  }

  public func has(_ key: String) -> Bool { fields[key].map { $0 != .null } ?? false }

  public func string(_ key: String) throws(ControlError) -> String? {
    try field(key, "a string") { if case .string(let value) = $0 { value } else { nil } }
  }

  public func boolean(_ key: String) throws(ControlError) -> Bool? {
    try field(key, "true or false") { if case .boolean(let value) = $0 { value } else { nil } }
  }

  public func integer(_ key: String) throws(ControlError) -> Int? {
    try field(key, "a whole number") { if case .integer(let value) = $0 { Int(exactly: value) } else { nil } }
  }

  public func object(_ key: String) throws(ControlError) -> JSONObject? {
    try field(key, "an object") {
      if case .object(let fields) = $0 { JSONObject(fields, name: path(key)) } else { nil }
    }
  }

  public func array(_ key: String) throws(ControlError) -> [JSONValue]? {
    try field(key, "a list") { if case .array(let values) = $0 { values } else { nil } }
  }

  public func strings(_ key: String) throws(ControlError) -> [String]? {
    try field(key, "a list of strings") {
      guard case .array(let values) = $0 else { return nil }
      let strings = values.compactMap { if case .string(let value) = $0 { value } else { nil } }
      return strings.count == values.count ? strings : nil
    }
  }

  public func objects(_ key: String) throws(ControlError) -> [JSONObject]? {
    try field(key, "a list of objects") {
      guard case .array(let values) = $0 else { return nil }
      let objects = values.enumerated().compactMap { index, value -> JSONObject? in
        guard case .object(let fields) = value else { return nil }
        return JSONObject(fields, name: "\(path(key))[\(index)]")
      }
      return objects.count == values.count ? objects : nil
    }
  }

  /// Strings, or what is written as one: numbers and booleans.
  public func texts(_ key: String) throws(ControlError) -> [String: String]? {
    try field(key, "an object of strings") {
      guard case .object(let fields) = $0 else { return nil }
      let texts = fields.compactMapValues { value -> String? in
        switch value {
        case .string(let text): text
        case .boolean, .integer: value.text
        default: nil
        }
      }
      return texts.count == fields.count ? texts : nil
    }
  }

  /// How messages call a field.
  public func path(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }

  private func field<Value>(
    _ key: String, _ kind: String, _ read: (JSONValue) -> Value?
  ) throws(ControlError) -> Value? {
    guard let value = fields[key], value != .null else { return nil }
    guard let read = read(value) else { throw Self.refusal(path(key), kind, value) }
    return read
  }

  private static let shownBytesMax = 80

  private static func refusal(_ name: String, _ kind: String, _ value: JSONValue) -> ControlError {
    let text = value.text
    let shown = text.utf8.count > shownBytesMax ? "\(text.prefix(shownBytesMax))..." : text
    return ControlError(.invalid, "\(name) must be \(kind), not \(shown)")
  }
}
