import ControlModel
import Glibc
import Logging
import Support
import Testing

@testable import martletd

@Suite struct DockerPluginTests {
  private let directory: TemporaryDirectory
  private let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
  private var path: String { directory.path + "/plugins/martlet.sock" }

  init() throws { directory = try TemporaryDirectory() }

  private func isServed(_ path: String) throws -> Bool {
    let client = try RawClient(path)
    client.send("POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\n\r\n")
    return client.readAnswer()?.body.contains("NetworkDriver") == true
  }

  @Test func isServedAtTheDefaultPath() throws {
    let server = try DockerPlugin.start(.whereItCanBe, driver: StandInDriver(), logger: logger, defaultPath: path)
    #expect(try isServed(path))
    // A second daemon of the machine does without.
    let second = try DockerPlugin.start(.whereItCanBe, driver: StandInDriver(), logger: logger, defaultPath: path)
    #expect(second == nil)
    #expect(try isServed(path))
    // Where it was asked for, that is an error.
    #expect(throws: ControlError(.conflict, "a daemon is already listening at \(path)")) {
      try DockerPlugin.start(.path(path), driver: StandInDriver(), logger: logger)
    }
    server?.stop()
    #expect(access(path, F_OK) != 0)
  }

  @Test func aDirectoryThatCannotBeMade() throws {
    close(open(directory.path + "/plugins", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
    let server = try DockerPlugin.start(.whereItCanBe, driver: StandInDriver(), logger: logger, defaultPath: path)
    #expect(server == nil)
    #expect(throws: ControlError.self) {
      try DockerPlugin.start(.path(path), driver: StandInDriver(), logger: logger)
    }
  }

  @Test func isServedWhereItWasAskedFor() throws {
    let server = try DockerPlugin.start(.path(path), driver: StandInDriver(), logger: logger)
    defer { server?.stop() }
    #expect(try isServed(path))
  }

  @Test func whatTheServiceManagerHasOpenedIsServed() throws {
    let path = directory.path + "/activated.sock"
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(try UnixSocketAddress(path: path).bind(descriptor) == 0)
    #expect(listen(descriptor, 8) == 0)
    for setting in [Configuration.DockerPlugin.whereItCanBe, .path(self.path)] {
      let activated = ActivatedSockets.Socket(descriptor: dup(descriptor), path: path)
      let server = try DockerPlugin.start(setting, activated, driver: StandInDriver(), logger: logger)
      #expect(try isServed(path))
      server?.stop()
    }
    #expect(access(path, F_OK) == 0 && access(self.path, F_OK) != 0)
    let activated = ActivatedSockets.Socket(descriptor: descriptor, path: path)
    #expect(try DockerPlugin.start(.off, activated, driver: StandInDriver(), logger: logger) == nil)
    // Nobody holds it any more.
    #expect(throws: ControlError.self) { try RawClient(path) }
  }

  @Test func off() throws {
    let server = try DockerPlugin.start(.off, driver: StandInDriver(), logger: logger, defaultPath: path)
    #expect(server == nil)
    #expect(access(path, F_OK) != 0)
  }
}
