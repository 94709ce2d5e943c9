import ArgumentParser
import ControlModel
import Glibc

/// `martletd`: reads its configuration, starts the data plane, takes up what an earlier daemon left, and serves the API.
@main struct MartletDaemon: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martletd",
    abstract: "A layer-2 switch in user space that stands in for the kernel bridge under containers.",
    discussion: """
      Stays in the foreground and logs to standard error. When it serves, it prints `ready` on standard output. It works in \
      the network namespace it is started in. SIGTERM ends it and leaves every endpoint in place. Under systemd it takes the \
      socket that martletd.socket has opened, tells when it is ready, and keeps the watchdog informed.
      """,
    version: Version.current.version)

  @Option(
    help:
      "The configuration file. Flags go before what it says. (default: \(Configuration.defaultPath), absent is fine)")
  var config: String?

  @Option(help: "Where networks, sandboxes and endpoints are kept. (default: \(Configuration.defaultStateDirectory))")
  var stateDir: String?

  @Option(help: "The API's Unix socket, where systemd does not bring one. (default: martlet.sock in the run directory)")
  var socket: String?

  @Option(help: "Where what does not outlive the machine is kept. (default: \(Configuration.defaultRunDirectory))")
  var runDir: String?

  @Option(help: ArgumentHelp("\(Configuration.logLevelNames). (default: info)", valueName: "level"))
  var logLevel: String?

  @Option(
    help: ArgumentHelp(
      "The Unix socket at which Docker finds its network driver, or off. (default: \(Configuration.defaultDockerPluginPath), where it can be had)",
      valueName: "path"))
  var dockerPlugin: String?

  @Option(
    help: ArgumentHelp(
      "Where metrics are served to Prometheus: ADDRESS:PORT, IPv6 in brackets, a Unix socket's path, or off. (default: off)",
      valueName: "place"))
  var metrics: String?

  @Option(
    help: ArgumentHelp(
      "Where a page that shows it all live is served to a browser: ADDRESS:PORT, loopback only, a Unix socket's path, or off. (default: off)",
      valueName: "place"))
  var page: String?

  @Flag(help: "Checks the configuration, says what it comes to, and ends.")
  var checkConfig = false

  func run() throws {
    do throws(ControlError) {
      let configuration = try effectiveConfiguration()
      if checkConfig { return print(configuration, terminator: "") }
      try Daemon(configuration).run()
    } catch {
      StandardErrorLog.write("martletd: \(error.message)\n")
      throw ExitCode(EXIT_FAILURE)
    }
  }

  /// The file's settings, and the flags over them.
  private func effectiveConfiguration() throws(ControlError) -> Configuration {
    var configuration = Configuration()
    try configuration.read(file: config ?? Configuration.defaultPath, mustExist: config != nil)
    let flags = [
      ("state-dir", stateDir), ("socket", socket), ("run-dir", runDir), ("log-level", logLevel),
      ("docker-plugin", dockerPlugin), ("metrics", metrics), ("page", page),
    ]
    for (key, value) in flags {
      if let value { try configuration.set(key, to: value, from: "--\(key)") }
    }
    return configuration
  }
}
