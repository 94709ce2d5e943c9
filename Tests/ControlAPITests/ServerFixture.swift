import ControlClient
import ControlModel
import Glibc
import HTTPService
import Logging
import Support

@testable import ControlAPI

let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// A server on a socket of its own, before a stand-in service.
final class ServerFixture {
  let directory: TemporaryDirectory
  let service: StandInService
  let server: ControlServer
  let socketPath: String

  init(limits: ServerLimits = ServerLimits(), service: StandInService = StandInService()) throws {
    directory = try TemporaryDirectory()
    self.service = service
    socketPath = directory.path + "/martlet.sock"
    server = ControlServer(service: service, logger: silent, limits: limits)
    try server.start(socketPath: socketPath)
  }

  deinit { server.stop() }

  var client: ControlClient { ControlClient(socketPath: socketPath, patienceSeconds: 10) }
}
