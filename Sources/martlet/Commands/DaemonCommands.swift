import ArgumentParser
import ControlModel

struct ShutdownCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "shutdown", abstract: "End the daemon. Endpoints stay, until it starts again, unless purged.")

  @Flag(help: "Take every network, sandbox and endpoint away as well.")
  var purge = false
  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    try service.shutdown(ShutdownRequest(purge: purge))
  }
}

struct VersionCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Show this program's version and the daemon's.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  private struct Versions: Encodable {
    var client: Version
    var daemon: Version?
  }

  /// The client's own version is told also where the daemon cannot be asked, which is then the error, as docker has it.
  func perform(on service: any ControlService, output: Output) throws {
    let client = Version.current
    let daemon = Result { () throws(ControlError) in try service.version() }
    if output.json {
      try output.value(Versions(client: client, daemon: try? daemon.get()))
    } else {
      let answered = try? daemon.get()
      let rows = [("martlet", client)] + (answered.map { [("martletd", $0)] } ?? [])
      let columns = [
        Column<(String, Version)>("PROGRAM", \.0), Column("VERSION", \.1.version), Column("API", \.1.apiVersion),
      ]
      output.write(Table(rows, columns).text)
    }
    _ = try daemon.get()
  }
}
