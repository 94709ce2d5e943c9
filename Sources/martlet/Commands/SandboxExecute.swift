import ArgumentParser
import ControlModel
import Glibc

struct SandboxExecute: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "exec", abstract: "Run a command in a sandbox's network namespace.",
    discussion: """
      As `ip netns exec`: files in /etc/netns/NAME stand in for those in /etc, and /sys shows the sandbox's interfaces.
      The exit status is the command's; 126 where it cannot be run, 127 where there is none.
      """)

  @Argument(help: "A name, an id or a namespace path.", completion: Names.sandboxes) var sandbox: String
  @Argument(parsing: .postTerminator, help: "What to run, after `--`.") var command: [String] = []
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func validate() throws {
    if command.isEmpty { throw ValidationError("nothing to run: martlet sandbox exec NAME -- COMMAND...") }
  }

  func perform(on service: any ControlService, output: Output) throws {
    let sandbox = try service.sandbox(sandbox)
    try NamespaceEntry(sandbox: sandbox).enter { output.report($0) }
    throw ExitCode(Self.execute(command, output: output))
  }

  /// Comes back only where the command could not be run, with the status shells give then (POSIX, "Exit Status for Commands").
  private static func execute(_ command: [String], output: Output) -> Int32 {
    let program = command[0]
    var arguments = command.map { strdup($0) } + [nil]
    execvp(program, &arguments)
    let failed = errno
    output.report(ControlError(.system, "\(program): \(String(cString: strerror(failed)))"))
    return failed == ENOENT ? 127 : 126
  }
}
