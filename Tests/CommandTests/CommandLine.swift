import ControlModel
import Support

@testable import martlet

/// Runs command lines before a stand-in service, as `main` does, and keeps what they print.
final class CommandLine {
  let service = StandInService()
  private(set) var output = ""
  private(set) var errors = ""

  func run(_ arguments: [String]) -> Int32 {
    (output, errors) = ("", "")
    let kept = Output(write: { self.output += $0 }, writeError: { self.errors += $0 })
    return Martlet.status(of: arguments, output: kept) { _ in service }
  }

  func run(_ line: String) -> Int32 { run(line.split(separator: " ").map(String.init)) }
}
