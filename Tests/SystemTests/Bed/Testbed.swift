import FoundationEssentials
import Glibc

/// What one test makes of namespaces, daemons and running programs. `withTestbed` takes it away again, whatever comes.
final class Testbed {
  /// Begins every name, so that a second run beside this one has others. Also where each has process ids of its own.
  let prefix = "mt\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 16))"
  let directory: String
  private var programs: [Program] = []
  private var daemons: [Daemon] = []
  private var endings: [() -> Void] = []

  init() throws {
    directory = FileManager.default.temporaryDirectory.path + "/" + prefix
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
  }

  /// A namespace of iproute2's making, its loopback up.
  func makeNamespace(_ label: String) throws -> Namespace {
    let namespace = namespace(label)
    try run(["ip", "netns", "add", namespace.name])
    try namespace.run("ip", "link", "set", "lo", "up")
    return namespace
  }

  /// One that is there, or will be made by others.
  func namespace(_ label: String) -> Namespace { Namespace(name: "\(prefix)-\(label)", testbed: self) }

  /// A daemon in a namespace of its own, not yet started.
  func makeDaemon(_ label: String = "d") throws -> Daemon {
    let daemon = try Daemon(namespace: makeNamespace(label), directory: "\(directory)/\(label)")
    daemons.append(daemon)
    return daemon
  }

  func start(_ words: [String], in path: String? = nil, input: String = "") throws -> Program {
    let program = try Program(words, in: path, input: input)
    // Each holds descriptors, and a testbed may live long.
    programs.removeAll { !$0.isRunning }
    programs.append(program)
    return program
  }

  @discardableResult
  func run(_ words: [String]) throws -> String { try Program(words).succeed() }

  /// What is to be done first when the test ends, however it ends.
  func atEnd(_ body: @escaping () -> Void) { endings.append(body) }

  func takeDown() {
    for ending in endings.reversed() { ending() }
    // What they hold may hold the testbed, and goes with them.
    endings = []
    for program in programs { program.stop() }
    for daemon in daemons { daemon.takeDown() }
    // What a daemon that failed has left.
    let manager = FileManager.default
    for name in (try? manager.contentsOfDirectory(atPath: "/run/netns")) ?? [] where name.hasPrefix(prefix) {
      _ = try? run(["ip", "netns", "delete", name])
    }
    for name in (try? manager.contentsOfDirectory(atPath: "/etc/netns")) ?? [] where name.hasPrefix(prefix) {
      try? manager.removeItem(atPath: "/etc/netns/" + name)
    }
    try? manager.removeItem(atPath: directory)
  }
}

/// Numbers of workers to test with: one, and two where there are processors for them.
let workerCounts = Array([1, 2].prefix(sysconf(Int32(_SC_NPROCESSORS_ONLN))))

func withTestbed(_ body: (Testbed) throws -> Void) throws {
  let testbed = try Testbed()
  defer { testbed.takeDown() }
  try body(testbed)
}

/// A test with one daemon, which runs; with its default of workers, unless told otherwise.
func withDaemon(workers: Int? = nil, _ body: (Daemon) throws -> Void) throws {
  try withTestbed { testbed in
    let daemon = try testbed.makeDaemon()
    if let workers { try daemon.configure("workers: \(workers)") }
    try daemon.start()
    try body(daemon)
  }
}
