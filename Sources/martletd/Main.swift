import ControlAPI
import ControlModel
import ControlPlane
import Logging
import Dispatch
import Glibc

@main enum Main {
  static func main() throws {
    let arguments = CommandLine.arguments
    func value(_ flag: String, _ fallback: String) -> String {
      if let index = arguments.firstIndex(of: flag) { return arguments[index + 1] }
      return fallback
    }
    let logger = Logger(label: "martletd") { StreamLogHandler.standardError(label: $0) }
    let plane = try SwitchDataPlane()
    let control = try ControlPlane(dataPlane: plane, host: KernelHostNetwork(), stateDirectory: value("--state-dir", "/var/lib/martlet"), logger: logger)
    let server = ControlServer(service: control, logger: logger)
    try server.start(socketPath: value("--socket", "/run/martlet/martlet.sock"))
    print("ready")
    fflush(nil)
    let done = DispatchSemaphore(value: 0)
    control.onShutdown { done.signal() }
    signal(SIGTERM, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGTERM)
    source.setEventHandler { done.signal() }
    source.resume()
    done.wait()
    server.stop()
    plane.stop()
  }
}
