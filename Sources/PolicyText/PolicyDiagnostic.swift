/// What is wrong at one place of a policy's text.
public struct PolicyDiagnostic: Error, Equatable, Sendable, CustomStringConvertible {
  /// From 1 on.
  public let line: Int
  /// From 1 on, in characters.
  public let column: Int
  /// A sentence that says what to do.
  public let message: String

  public init(line: Int, column: Int, message: String) {
    (self.line, self.column, self.message) = (line, column, message)
  }

  public var description: String { "\(line):\(column): \(message)" }

  /// The diagnostic with the line it is about, and a caret below the place:
  ///
  ///     web.policy:3:10: no field is called tcp.port; ...
  ///         rule tcp.port 80 -> drop
  ///              ^
  /// - Parameters:
  ///   - source: the text that was compiled.
  ///   - file: stands before the line's number; nil: nothing does.
  public func rendered(in source: String, file: String? = nil) -> String {
    let place = (file.map { $0 + ":" } ?? "") + description
    var lines = source.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropFirst(line - 1)
    guard var text = lines.popFirst().map({ String(decoding: $0, as: UTF8.self) }) else { return place }
    if text.hasSuffix("\r") { text.removeLast() }
    // A tab stays one, so that the caret is below its character whatever a tab's width is.
    let padding = text.prefix(column - 1).map { $0 == "\t" ? "\t" : " " as Character }
    return "\(place)\n    \(text)\n    \(String(padding))^"
  }
}

/// All that is wrong with a policy's text, in the order of its lines.
public struct PolicyDiagnostics: Error, Equatable, Sendable, CustomStringConvertible {
  /// At least one, at most `PolicyLimits.diagnosticCountMax`.
  public let diagnostics: [PolicyDiagnostic]

  public init(_ diagnostics: [PolicyDiagnostic]) { self.diagnostics = diagnostics }

  /// One a line.
  public var description: String { diagnostics.map(\.description).joined(separator: "\n") }

  /// Each as `PolicyDiagnostic.rendered` has it.
  public func rendered(in source: String, file: String? = nil) -> String {
    diagnostics.map { $0.rendered(in: source, file: file) }.joined(separator: "\n")
  }
}
