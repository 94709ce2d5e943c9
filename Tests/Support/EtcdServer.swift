import CLinux
import Foundation

/// A network namespace with its loopback interface up, that goes with its value.
package final class TestNamespace: Sendable {
  package let name: String
  package var path: String { "/run/netns/\(name)" }

  package init() throws {
    name = "martlet-\(ProcessInfo.processInfo.processIdentifier)-\(UInt32.random(in: .min ... .max))"
    try TestProgram.run("ip", "netns", "add", name)
    try ip("link", "set", "lo", "up")
  }

  deinit { _ = try? TestProgram.run("ip", "netns", "del", name) }

  @discardableResult
  package func ip(_ words: String...) throws -> String { try TestProgram.run(["ip", "-n", name] + words) }

  /// A run of a program in the namespace that must succeed; its output.
  @discardableResult
  package func run(_ words: [String], environment: [String: String] = [:]) throws -> String {
    try TestProgram.run(["ip", "netns", "exec", name] + words, environment: environment)
  }

  /// Runs `body` with the calling thread in the namespace.
  package func inside<Result>(_ body: () throws -> Result) throws -> Result {
    let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    let there = open(path, O_RDONLY | O_CLOEXEC)
    defer {
      close(home)
      close(there)
    }
    guard martlet_setns_network(there) == 0 else { throw TestProgram.Failure(description: "cannot enter \(name)") }
    defer { precondition(martlet_setns_network(home) == 0) }
    return try body()
  }
}

package enum TestProgram {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
    package init(description: String) { self.description = description }
  }

  /// A run that must succeed; its output.
  @discardableResult
  package static func run(_ words: String...) throws -> String { try run(words) }

  @discardableResult
  package static func run(
    _ words: [String], environment: [String: String] = [:], input: String? = nil
  ) throws -> String {
    let process = Process()
    let (standardInput, output, complaint) = (Pipe(), Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = words
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    (process.standardInput, process.standardOutput, process.standardError) = (standardInput, output, complaint)
    try process.run()
    if let input { try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
    try standardInput.fileHandleForWriting.close()
    let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
    let words = try complaint.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw Failure(
        description:
          "\((process.arguments ?? []).joined(separator: " ")): \(String(decoding: words + bytes, as: UTF8.self))")
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// A real etcd on addresses of a namespace, with a directory of its own. Ends with its value.
///
/// Used by one thread.
package final class EtcdServer {
  /// Where tools/test unpacks what is not installed.
  static let programs = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/.build/peers/usr/bin/"
  package static var isThere: Bool {
    getuid() == 0 && ["etcd", "etcdctl"].allSatisfy { access(programs + $0, X_OK) == 0 }
  }

  package let namespace: TestNamespace
  package let endpoint: String
  private let directory: TemporaryDirectory
  private let arguments: [String]
  private var process: Process?
  private var runs = 0

  /// - Parameters:
  ///   - address: of the namespace.
  ///   - cluster: the members by name with their peers' URLs, where there is more than this one.
  package init(
    in namespace: TestNamespace, address: String = "127.0.0.1", port: Int = 2379, name: String = "m1",
    cluster: [String: String]? = nil, isSecure: Bool = false, options: [String] = []
  ) throws {
    self.namespace = namespace
    directory = try TemporaryDirectory()
    endpoint = (isSecure ? "https" : "http") + "://\(address):\(port)"
    let peer = cluster?[name] ?? "http://\(address):\(port + 1)"
    let members = (cluster ?? [name: peer]).map { "\($0)=\($1)" }.sorted().joined(separator: ",")
    arguments =
      [
        "--name", name, "--data-dir", directory.path + "/data", "--listen-client-urls", endpoint,
        "--advertise-client-urls", endpoint, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", members, "--heartbeat-interval", "50", "--election-timeout", "500",
      ] + options
  }

  deinit { kill() }

  /// What it printed since it was started last.
  package var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }
  private var logPath: String { "\(directory.path)/log\(runs)" }

  /// Starts it on the data it had, and returns before it is ready.
  package func launch() throws {
    runs += 1
    guard FileManager.default.createFile(atPath: logPath, contents: nil) else {
      throw TestProgram.Failure(description: "cannot make \(logPath)")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["nsenter", "--net=\(namespace.path)", "--", Self.programs + "etcd"] + arguments
    let output = try FileHandle(forWritingTo: URL(fileURLWithPath: logPath))
    (process.standardOutput, process.standardError) = (output, output)
    try process.run()
    self.process = process
  }

  package func waitUntilReady() throws {
    let end = ContinuousClock.now + .seconds(30)
    while !log.contains("ready to serve client requests") && !log.contains("serving insecure client requests")
      && !log.contains("serving client requests")
    {
      guard ContinuousClock.now < end, process?.isRunning == true else {
        throw TestProgram.Failure(description: "etcd does not start: \(log.suffix(2000))")
      }
      usleep(10_000)
    }
  }

  package func start() throws {
    try launch()
    try waitUntilReady()
  }

  /// SIGKILL. Once more is no error.
  package func kill() {
    guard let process else { return }
    signal(SIGCONT)
    signal(SIGKILL)
    process.waitUntilExit()
    self.process = nil
  }

  package func signal(_ number: Int32) {
    if let process, process.isRunning { Foundation.kill(process.processIdentifier, number) }
  }

  /// Forgets all it had.
  package func wipe() throws { try FileManager.default.removeItem(atPath: directory.path + "/data") }

  /// What etcdctl prints.
  @discardableResult
  package func control(_ words: String...) throws -> String {
    try namespace.run(
      [Self.programs + "etcdctl", "--endpoints", endpoint, "--dial-timeout", "10s", "--command-timeout", "20s"] + words,
      environment: ["ETCDCTL_API": "3"])
  }
}
