import ArgumentParser
import ControlModel
import Glibc

/// Where a command's words go: results to standard output, errors to standard error; as text, or as one line of JSON each.
struct Output {
  var json = false
  let write: (String) -> Void
  let writeError: (String) -> Void

  static var standard: Output {
    Output(write: { write($0, to: STDOUT_FILENO) }, writeError: { write($0, to: STDERR_FILENO) })
  }

  /// Unbuffered: `exec` and a watch's reader must find it written. A reader that has gone ends us by SIGPIPE, as it should.
  private static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno != EINTR { return }
      rest = rest.dropFirst(max(count, 0))
    }
  }

  func line(_ text: String) { write(text + "\n") }

  /// One line of JSON.
  func value(_ value: some Encodable) throws(ControlError) {
    line(try JSONValue(encoding: value).compact)
  }

  /// The id of what was made, or with --json `{"id": ...}`.
  func created(_ created: Created) throws(ControlError) {
    if json { try value(created) } else { line(created.id) }
  }

  func report(_ error: ControlError) {
    // Where the error itself cannot be encoded, its words still are of use.
    if json, let body = try? JSONValue(encoding: ErrorBody(error: error)) {
      writeError(body.compact + "\n")
    } else {
      writeError("martlet: \(error.message)\n")
    }
  }

  /// `full` has the usage too, behind the parser's own "Error: ".
  func reportUsage(_ message: String, full: String) {
    if json { return report(ControlError(.invalid, message)) }
    let prefix = "Error: "
    writeError("martlet: \(full.hasPrefix(prefix) ? String(full.dropFirst(prefix.count)) : full)\n")
  }

  /// Does `body` for each name and tells each error at once, as docker does where it takes several names: one that fails
  /// keeps none of the others back.
  func attempt(_ names: [String], _ body: (String) throws(ControlError) -> Void) -> (done: [String], failed: Bool) {
    var done: [String] = []
    for name in names {
      do {
        try body(name)
        done.append(name)
      } catch {
        report(error)
      }
    }
    return (done, done.count < names.count)
  }

  /// `attempt`, for commands that take things away and then name what went.
  func remove(_ names: [String], _ body: (String) throws(ControlError) -> Void) throws {
    let (done, failed) = attempt(names, body)
    if json { try value(Pruned(removed: done)) } else { for name in done { line(name) } }
    if failed { throw ExitCode.failure }
  }
}
