import ControlAPI
import ControlModel
import Foundation
import Logging
import Support
import Testing

/// `sandbox exec` as a program: it moves its own process, so that no test can call it within its own.
@Suite(.enabled(if: getuid() == 0, "needs root to make network namespaces"))
final class ExecuteTests {
  private let name = "martlet-exec-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  private let socketPath: String
  private let server: ControlServer

  init() throws {
    socketPath = "/tmp/\(name).sock"
    let service = StandInService()
    service.shownSandboxes = [
      Self.sandbox(name, netns: "/run/netns/\(name)"), Self.sandbox("gone", netns: "/run/netns/\(name)-gone"),
      Self.sandbox("unmounted", netns: "/proc/self/status"),
    ]
    server = ControlServer(service: service, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    try server.start(socketPath: socketPath)
    #expect(try Self.run("/usr/bin/env", ["ip", "netns", "add", name]).status == 0)
    try FileManager.default.createDirectory(atPath: "/etc/netns/\(name)", withIntermediateDirectories: true)
    try "nameserver 192.0.2.53\n".write(toFile: "/etc/netns/\(name)/resolv.conf", atomically: false, encoding: .utf8)
  }

  deinit {
    server.stop()
    // What is left then is what a test is about to report.
    _ = try? Self.run("/usr/bin/env", ["ip", "netns", "del", name])
    try? FileManager.default.removeItem(atPath: "/etc/netns/\(name)")
  }

  private static func sandbox(_ name: String, netns: String) -> Sandbox {
    Sandbox(
      id: String(repeating: "0", count: 64), name: name, netns: netns, inode: 0, sharedWith: [], origin: "made",
      endpoints: [], routes: [], dns: NameServers(), created: "2026-01-02T03:04:05Z")
  }

  private static func run(_ program: String, _ arguments: [String]) throws -> (
    status: Int32, output: String, errors: String
  ) {
    let process = Process()
    let (output, errors) = (Pipe(), Pipe())
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let (written, complained) = (
      try output.fileHandleForReading.readToEnd(), try errors.fileHandleForReading.readToEnd()
    )
    process.waitUntilExit()
    func text(_ data: Data?) -> String { String(decoding: data ?? Data(), as: UTF8.self) }
    return (process.terminationStatus, text(written), text(complained))
  }

  private func execute(_ command: String..., in sandbox: String? = nil) throws -> (
    status: Int32, output: String, errors: String
  ) {
    let martlet = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
      .appending(path: "martlet").path
    return try Self.run(martlet, ["--socket", socketPath, "sandbox", "exec", sandbox ?? name, "--"] + command)
  }

  @Test func entersTheNamespace() throws {
    let inside = try execute("stat", "-L", "-c", "%i", "/proc/self/ns/net")
    let expected = try Self.run("/usr/bin/env", ["stat", "-c", "%i", "/run/netns/\(name)"])
    #expect(inside.output == expected.output)
    #expect(inside.errors.isEmpty)
    #expect(try execute("ls", "/sys/class/net").output == "lo\n")
  }

  @Test func bindsConfiguration() throws {
    #expect(try execute("cat", "/etc/resolv.conf").output == "nameserver 192.0.2.53\n")
    #expect(try !String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).contains("netns/\(name)/resolv.conf"))
  }

  @Test func statusIsTheCommands() throws {
    #expect(try execute("true").status == 0)
    #expect(try execute("sh", "-c", "exit 7").status == 7)
    let absent = try execute("martlet-no-such-program", "--json")
    #expect(absent.status == 127)
    #expect(absent.errors == "martlet: martlet-no-such-program: No such file or directory\n")
    let directory = try execute("/etc")
    #expect(directory.status == 126)
    #expect(directory.errors == "martlet: /etc: Permission denied\n")
  }

  @Test func namespaceThatIsGone() throws {
    let gone = try execute("true", in: "gone")
    #expect(gone.status == 1)
    #expect(gone.errors == "martlet: cannot open /run/netns/\(name)-gone: No such file or directory\n")
    let unmounted = try execute("true", in: "unmounted")
    #expect(unmounted.status == 1)
    #expect(unmounted.errors.hasPrefix("martlet: /proc/self/status is no network namespace here;"))
  }
}
