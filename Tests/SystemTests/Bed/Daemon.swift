import ControlModel
import FoundationEssentials
import Glibc

/// A martletd in a namespace of its own, with files of its own, and the `martlet` that speaks to it.
final class Daemon {
  let namespace: Namespace
  let stateDirectory: String
  let socket: String
  /// What starts it: nsenter(1), say. Each start goes through it.
  var wrapper: [String] = []
  /// The path of its plugin's socket. The default is one for the whole machine.
  var dockerPlugin = "off"
  private let runDirectory: String
  private let configurationPath: String
  private var program: Program?

  init(namespace: Namespace, directory: String) throws {
    self.namespace = namespace
    stateDirectory = directory + "/state"
    runDirectory = directory + "/run"
    socket = directory + "/socket"
    configurationPath = directory + "/martlet.yaml"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try configure([])
  }

  // MARK: The process

  /// Its configuration file, read when it starts next.
  func configure(_ lines: String...) throws { try configure(lines) }

  func configure(_ lines: [String]) throws {
    try lines.map { $0 + "\n" }.joined().write(toFile: configurationPath, atomically: true, encoding: .utf8)
  }

  /// The command line that starts it, behind a further `wrapper`: prlimit(1), say.
  func launch(_ wrapper: [String] = []) throws -> Program {
    try namespace.start(
      self.wrapper + wrapper + [
        Binaries.path("martletd"), "--config", configurationPath, "--state-dir", stateDirectory, "--socket", socket,
        "--run-dir", runDirectory, "--docker-plugin", dockerPlugin,
      ])
  }

  /// Starts it and waits until it says that it is ready.
  func start(_ wrapper: [String] = []) throws {
    let program = try launch(wrapper)
    self.program = program
    try eventually("martletd is ready") {
      guard program.isRunning else { throw Failure("martletd ended at its start: \(program.complaintSoFar)") }
      return program.outputSoFar.split(separator: "\n").contains("ready")
    }
  }

  /// Sends it a signal (0: none) and waits until it has ended.
  @discardableResult
  func end(by number: Int32) throws -> Program.Outcome {
    guard let program else { throw Failure("martletd does not run") }
    program.signal(number)
    self.program = nil
    return try program.end()
  }

  /// `martlet shutdown --purge`, waited for.
  func purge() throws {
    try martlet("shutdown", "--purge")
    guard let program else { throw Failure("martletd does not run") }
    self.program = nil
    try program.succeed()
  }

  func takeDown() {
    if program?.isRunning == true { try? purge() }
    program?.stop()
    program = nil
  }

  /// Leaves the daemon, while it runs, so many numbers for new file descriptors, and none beyond (the soft limit).
  func limitDescriptors(spare: Int) throws {
    guard let program else { throw Failure("martletd does not run") }
    let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(program.pid)/fd")
    let open = Set(names.compactMap { Int($0) })
    var (limit, free) = (0, 0)
    while free < spare || open.contains(limit) {
      if !open.contains(limit) { free += 1 }
      limit += 1
    }
    try namespace.testbed.run(["prlimit", "--pid", "\(program.pid)", "--nofile=\(limit):"])
  }

  var pid: pid_t? { program?.pid }
  var log: String { program?.complaintSoFar ?? "" }
  var output: String { program?.outputSoFar ?? "" }

  /// How many TAPs and queues of TAPs it holds.
  var tapDescriptors: Int {
    get throws {
      guard let program else { throw Failure("martletd does not run") }
      let directory = "/proc/\(program.pid)/fd/"
      let names = try FileManager.default.contentsOfDirectory(atPath: directory)
      let places = names.map { try? FileManager.default.destinationOfSymbolicLink(atPath: directory + $0) }
      return places.count { $0 == "/dev/net/tun" }
    }
  }

  /// Its resident set, as proc(5) says it.
  var residentKilobytes: Int {
    get throws {
      guard let program else { throw Failure("martletd does not run") }
      let status = try String(contentsOfFile: "/proc/\(program.pid)/status", encoding: .utf8)
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
      return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }
  }

  // MARK: The client

  func commandLine(_ words: [String]) throws -> [String] { try [Binaries.path("martlet"), "--socket", socket] + words }

  func attempt(_ words: [String]) throws -> Program.Outcome { try Program(commandLine(words)).end() }

  /// A command that must succeed; its output.
  @discardableResult
  func martlet(_ words: String...) throws -> String { try command(words) }

  @discardableResult
  func command(_ words: [String]) throws -> String {
    let outcome = try attempt(words)
    guard outcome.status == 0 else {
      throw Failure(
        "martlet \(words.joined(separator: " ")): status \(outcome.status): \(outcome.complaint)\(log.suffix(2000))")
    }
    return outcome.output
  }

  /// A command that must succeed, and its answer.
  func ask<Answer: Decodable>(_: Answer.Type, _ words: String...) throws -> Answer { try answer(Answer.self, words) }

  func answer<Answer: Decodable>(_: Answer.Type, _ words: [String]) throws -> Answer {
    try JSONDecoder().decode(Answer.self, from: Data(command(["--json"] + words).utf8))
  }

  // MARK: What tests do all the time

  /// Makes a sandbox.
  func sandbox(_ label: String) throws -> Namespace {
    let namespace = namespace.testbed.namespace(label)
    try martlet("sandbox", "create", namespace.name)
    return namespace
  }

  /// Makes a sandbox and connects it to a network.
  func sandbox(_ label: String, on network: String, _ options: String...) throws -> Namespace {
    let sandbox = try sandbox(label)
    try connect(sandbox, to: network, options)
    return sandbox
  }

  func connect(_ sandbox: Namespace, to network: String, _ options: [String] = []) throws {
    let outcome = try attempt(["network", "connect", network, sandbox.name] + options)
    guard outcome.status == 0 else { throw Failure("connect \(sandbox.name) to \(network): \(outcome.complaint)") }
  }

  func disconnect(_ sandbox: Namespace, from network: String) throws {
    try martlet("network", "disconnect", network, sandbox.name)
  }

  func network(_ name: String) throws -> Network { try ask([Network].self, "network", "inspect", name)[0] }

  func endpoint(of sandbox: Namespace, on network: String) throws -> Endpoint {
    guard let endpoint = try self.network(network).endpoints.first(where: { $0.sandbox == sandbox.name }) else {
      throw Failure("\(sandbox.name) has no endpoint on \(network)")
    }
    return endpoint
  }

  func statistics(_ network: String) throws -> NetworkStatistics {
    try ask(Statistics.self, "stats", network).networks[0]
  }

  func forwardingEntries(_ network: String) throws -> [ForwardingEntry] {
    try ask([ForwardingEntry].self, "fdb", "show", network)
  }
}

extension Endpoint {
  /// Without prefix length.
  var ipv4: String { addresses.first { !$0.contains(":") }.map(Self.withoutLength) ?? "" }
  var ipv6: String { addresses.first { $0.contains(":") }.map(Self.withoutLength) ?? "" }

  private static func withoutLength(_ prefix: String) -> String { String(prefix.prefix { $0 != "/" }) }
}
