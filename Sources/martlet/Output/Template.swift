import ControlModel

/// The part of Go's text/template that `docker ... --format` is used for: `{{.Field.Field}}`, `{{.}}`, `{{json .Field}}`,
/// `{{range .Field}}...{{end}}`, text between them with `\t` and `\n`; `json` alone for `{{json .}}`; and a leading `table `,
/// which adds a header and aligns what tabs part.
///
/// Fields are looked up in the JSON that the API shows, by their names there or by Go's way to write them: `.gateway_mode`,
/// `.GatewayMode`. A field that the thing shown does not have is an error; further down, where labels and options have their
/// own names, an absent one prints as `<no value>`, as in Go.
struct Template: Sendable {
  private indirect enum Part: Sendable {
    case text(String)
    case field([String])
    case json([String])
    case range([String], [Part])
  }

  /// Rendered lines are rows of a table.
  let isTable: Bool
  private let parts: [Part]

  init(_ text: String) throws(ControlError) {
    var source = text == "json" ? "{{json .}}" : text
    let table = "table "
    isTable = source.hasPrefix(table)
    if isTable { source.removeFirst(table.count) }
    var rest = Self.unescaped(source)[...]
    parts = try Self.parts(of: &rest, inRange: false)
  }

  private static func unescaped(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let character = rest.popFirst() {
      guard character == "\\", let next = rest.first, let escaped = ["n": "\n", "t": "\t", "\\": "\\"][next] else {
        result.append(character)
        continue
      }
      rest.removeFirst()
      result += escaped
    }
    return result
  }

  private static func parts(of rest: inout Substring, inRange: Bool) throws(ControlError) -> [Part] {
    var parts: [Part] = []
    while let open = rest.firstRange(of: "{{") {
      if open.lowerBound > rest.startIndex { parts.append(.text(String(rest[..<open.lowerBound]))) }
      rest = rest[open.upperBound...]
      guard let close = rest.firstRange(of: "}}") else { throw ControlError(.invalid, "a {{ has no }}") }
      let action = rest[..<close.lowerBound]
      let words = action.split(whereSeparator: \.isWhitespace)
      rest = rest[close.upperBound...]
      switch (words.first, words.count) {
      case ("end", 1) where inRange: return parts
      case ("json", 2): parts.append(.json(try path(words[1])))
      case ("range", 2): parts.append(.range(try path(words[1]), try Self.parts(of: &rest, inRange: true)))
      case (_, 1): parts.append(.field(try path(words[0])))
      default: throw ControlError(.invalid, "{{\(action)}} is not understood: fields, json, range and end are")
      }
    }
    if inRange { throw ControlError(.invalid, "a {{range}} has no {{end}}") }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    return parts
  }

  private static func path(_ word: Substring) throws(ControlError) -> [String] {
    guard word.first == "." else {
      throw ControlError(.invalid, "{{\(word)}} is not understood: a field begins with a dot, as in {{.Name}}")
    }
    if word == "." { return [] }
    let names = word.dropFirst().split(separator: ".", omittingEmptySubsequences: false)
    guard names.allSatisfy({ !$0.isEmpty }) else { throw ControlError(.invalid, "{{\(word)}} has an empty field") }
    return names.map(String.init)
  }

  /// The titles of a table's columns.
  var header: String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .field(let path), .json(let path), .range(let path, _): (path.last ?? "").uppercased()
      }
    }.joined()
  }

  func render(_ value: JSONValue) throws(ControlError) -> String {
    if case .object(let fields) = value { try Self.check(parts, fields) }
    return try Self.render(parts, value)
  }

  /// Refuses a path that begins with a field that is not there.
  private static func check(_ parts: [Part], _ fields: [String: JSONValue]) throws(ControlError) {
    for part in parts {
      switch part {
      case .text: break
      case .field(let path), .json(let path), .range(let path, _):
        guard let first = path.first, JSONValue.object(fields).field(first) == nil else { continue }
        let known = fields.keys.sorted().joined(separator: ", ")
        throw ControlError(.invalid, "there is no field .\(first); there are \(known)")
      }
    }
  }

  private static func render(_ parts: [Part], _ value: JSONValue) throws(ControlError) -> String {
    var text = ""
    for part in parts {
      switch part {
      case .text(let literal): text += literal
      case .field(let path): text += value.descendant(path)?.goDescription ?? "<no value>"
      case .json(let path): text += (value.descendant(path) ?? .null).compact
      case .range(let path, let body):
        for element in try value.descendant(path)?.elements(of: path) ?? [] { text += try render(body, element) }
      }
    }
    return text
  }
}

extension JSONValue {
  /// By its own name, or by Go's way to write it.
  fileprivate func field(_ name: String) -> JSONValue? {
    guard case .object(let fields) = self else { return nil }
    func plain(_ name: String) -> String { name.filter { $0 != "_" }.lowercased() }
    return fields[name] ?? fields.first { plain($0.key) == plain(name) }?.value
  }

  /// What is below, or nil where there is no value.
  fileprivate func descendant(_ path: [String]) -> JSONValue? {
    var value = self
    for name in path {
      guard let field = value.field(name) else { return nil }
      value = field
    }
    return value == .null ? nil : value
  }

  fileprivate func elements(of path: [String]) throws(ControlError) -> [JSONValue] {
    switch self {
    case .array(let elements): return elements
    case .object(let fields): return fields.sorted { $0.key < $1.key }.map(\.value)
    default: throw ControlError(.invalid, "{{range .\(path.joined(separator: "."))}}: there is only one of it")
    }
  }

  /// As Go's fmt prints a value with %v.
  fileprivate var goDescription: String {
    switch self {
    case .null: "<nil>"
    case .bool(let value): value ? "true" : "false"
    case .number(let text), .string(let text): text
    case .array(let elements): "[" + elements.map(\.goDescription).joined(separator: " ") + "]"
    case .object(let fields):
      "map[" + fields.sorted { $0.key < $1.key }.map { $0.key + ":" + $0.value.goDescription }.joined(separator: " ")
        + "]"
    }
  }
}
