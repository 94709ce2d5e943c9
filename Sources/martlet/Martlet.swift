import ArgumentParser
import ControlClient
import ControlModel
import Glibc

/// `martlet`: the command line. Every command is a call of the daemon's API and a way to show the answer.
@main struct Martlet: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet",
    abstract: "Networks, sandboxes and endpoints of a layer-2 switch in user space.",
    version: Version.current.version,
    subcommands: [
      NetworkCommand.self, SandboxCommand.self, EndpointCommand.self, PortCommand.self, ForwardingCommand.self,
      UplinkCommand.self, OverlayCommand.self, PolicyCommand.self, TraceCommand.self, CaptureCommand.self,
      MirrorCommand.self, ClusterCommand.self, PublishCommand.self,
      UnpublishCommand.self,
      ServicesCommand.self, SessionCommand.self, StatisticsCommand.self, TopCommand.self, ReplayCommand.self,
      BenchCommand.self,
      DoctorCommand.self, ShutdownCommand.self, VersionCommand.self,
    ])

  @OptionGroup(title: "Global options") var global: GlobalOptions

  static func main() {
    let status = status(of: Array(CommandLine.arguments.dropFirst()), output: .standard) {
      ControlClient(socketPath: $0.socketPath)
    }
    Glibc.exit(status)
  }

  /// Runs a command line: 0, 1 (refused or failed, the reason in one line on standard error) or 64 (wrong usage).
  static func status(
    of arguments: [String], output: Output, service: (GlobalOptions) -> any ControlService
  ) -> Int32 {
    var output = output
    // Known before parsing, as it also decides how to tell that parsing failed.
    output.json = arguments.prefix { $0 != "--" }.contains("--json")
    do {
      var command = try parseAsRoot(arguments)
      if let command = command as? any ServiceCommand {
        try command.perform(on: service(command.global), output: output)
      } else {
        try command.run()
      }
      return EXIT_SUCCESS
    } catch let error as ControlError {
      output.report(error)
      return EXIT_FAILURE
    } catch let code as ExitCode {
      return code.rawValue
    } catch let error where exitCode(for: error) == .success {
      // Help, the version, or a completion script.
      output.line(fullMessage(for: error))
      return EXIT_SUCCESS
    } catch {
      output.reportUsage(message(for: error), full: fullMessage(for: error))
      return exitCode(for: error).rawValue
    }
  }
}

struct GlobalOptions: ParsableArguments {
  @Option(
    help: "The daemon's socket. Default: $MARTLET_SOCKET, else \(ControlClient.defaultSocketPath).", completion: .file()
  )
  var socket: String?

  @Flag(help: "Print machine-readable output, errors too.")
  var json = false

  var socketPath: String { socket ?? Self.environmentSocketPath }

  static var environmentSocketPath: String {
    guard let value = getenv("MARTLET_SOCKET"), value.pointee != 0 else { return ControlClient.defaultSocketPath }
    return String(cString: value)
  }
}

/// A command that asks the daemon. Throws `ControlError`, or `ExitCode` when it has told its errors itself.
protocol ServiceCommand: ParsableCommand {
  var global: GlobalOptions { get }
  func perform(on service: any ControlService, output: Output) throws
}
