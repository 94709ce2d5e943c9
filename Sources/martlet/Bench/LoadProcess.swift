import ControlModel
import FoundationEssentials
import Glibc

/// A martlet-load that runs in a sandbox. It ends with this object. Used by one thread.
final class LoadProcess {
  /// What it says when it can receive.
  private static let readyLine = "ready"
  private static let errorPrefix = "Error: "
  private static let readSize = 4096

  /// For messages: `martlet-load sink`.
  private let name: String
  private let pid: pid_t
  private var files: [pollfd]
  /// What standard output and standard error have said so far.
  private var texts: [[UInt8]] = [[], []]
  private var isReaped = false

  /// - Throws: `ControlError` when the sandbox cannot be entered, or the program not be started there.
  init(_ program: LoadProgram, _ arguments: [String], in sandbox: Sandbox) throws(ControlError) {
    name = LoadProgram.name + " " + (arguments.first ?? "")
    let output = try Pipe()
    let complaint = try Pipe()
    pid = try NamespaceEntry(sandbox: sandbox).visit { () throws(ControlError) in
      try Self.spawn(program, arguments, output: output.writing, complaint: complaint.writing)
    }
    files = [output.takeReading(), complaint.takeReading()].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
  }

  deinit {
    for file in files where file.fd >= 0 { close(file.fd) }
    guard !isReaped else { return }
    kill(pid, SIGKILL)
    reap()
  }

  private static func spawn(
    _ program: LoadProgram, _ arguments: [String], output: Int32, complaint: Int32
  ) throws(ControlError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, complaint, STDERR_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The signals that we hold back, and a group of its own: what a terminal sends is for us, who then end it.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    var words = ([program.path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program.path, &actions, &attributes, &words, environ)
    guard code == 0 else {
      throw ControlError(.system, "cannot start \(program.path): \(String(cString: strerror(code)))")
    }
    return pid
  }

  func waitUntilReady(_ interruption: Interruption, until deadline: ContinuousClock.Instant) throws {
    try wait(interruption, until: deadline) { lines(of: 1).contains(Self.readyLine[...]) }
  }

  /// Waits for its end.
  func figures<Figures: Decodable>(
    _: Figures.Type, _ interruption: Interruption, until deadline: ContinuousClock.Instant
  ) throws -> Figures {
    try wait(interruption, until: deadline) { isReaped }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let figures = try? decoder.decode(Figures.self, from: Data(texts[0])) else { throw failure() }
    return figures
  }

  /// Asks it to end and to say its figures.
  func stop() { if !isReaped { kill(pid, SIGTERM) } }

  private func wait(
    _ interruption: Interruption, until deadline: ContinuousClock.Instant, _ condition: () -> Bool
  ) throws {
    while !condition() {
      guard !isReaped else { throw failure() }
      guard try interruption.wait(for: &files, until: deadline) else {
        throw ControlError(.system, "\(name) takes longer than it should")
      }
      for index in files.indices where files[index].revents != 0 { read(index) }
      if files.allSatisfy({ $0.fd < 0 }) { reap() }
    }
  }

  /// What is there; the file is closed at its end.
  private func read(_ index: Int) {
    var bytes = [UInt8](repeating: 0, count: Self.readSize)
    let count = Glibc.read(files[index].fd, &bytes, bytes.count)
    if count > 0 { return texts[index] += bytes[..<count] }
    close(files[index].fd)
    // poll(2) passes it over.
    files[index].fd = -1
  }

  private func reap() {
    while waitpid(pid, nil, 0) < 0, errno == EINTR {}
    isReaped = true
  }

  private func lines(of index: Int) -> [Substring] {
    String(decoding: texts[index], as: UTF8.self).split(separator: "\n")
  }

  private func failure() -> ControlError {
    let line = lines(of: 1).first { $0 != Self.readyLine } ?? "it ended without figures"
    let reason = line.hasPrefix(Self.errorPrefix) ? line.dropFirst(Self.errorPrefix.count) : line
    return ControlError(.system, "\(name): \(reason)")
  }
}

/// Both ends close with it, and in programs that are started, unless they are taken.
private struct Pipe: ~Copyable {
  private var reading: Int32
  let writing: Int32

  init() throws(ControlError) {
    var ends: [Int32] = [-1, -1]
    guard pipe2(&ends, O_CLOEXEC) == 0 else {
      throw ControlError(.system, "cannot make a pipe: \(String(cString: strerror(errno)))")
    }
    (reading, writing) = (ends[0], ends[1])
  }

  deinit {
    close(reading)
    close(writing)
  }

  consuming func takeReading() -> Int32 {
    let reading = reading
    close(writing)
    discard self
    return reading
  }
}
