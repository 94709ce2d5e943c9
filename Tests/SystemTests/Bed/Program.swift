import Glibc

/// Why a test cannot go on, in one line and what the program behind it said.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A program that was started. Its output goes to files in memory, so that no pipe fills up or is held open by a grandchild.
///
/// Whoever starts one ends it: `Testbed` does, for those started through it. Used by one thread.
final class Program {
  struct Outcome {
    /// The exit status; 128 + n where signal n ended it, as shells say it.
    let status: Int32
    let output: String
    let complaint: String
  }

  /// For what should take a moment, on a machine that is busy with other things.
  static let patience = Duration.seconds(60)
  /// The machine's own programs, and no shim before them.
  private static let environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]

  let words: [String]
  let pid: pid_t
  private let output: MemoryFile
  private let complaint: MemoryFile
  /// As waitpid(2) gave it, once it ended.
  private var status: Int32?

  /// - Parameter path: a network namespace; nil: this process's own.
  init(_ words: [String], in path: String? = nil, input: String = "") throws {
    self.words = words
    let entry = path.map { ["nsenter", "--net=\($0)", "--"] } ?? []
    let standardInput = try MemoryFile(input)
    output = try MemoryFile()
    complaint = try MemoryFile()

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, file) in [standardInput, output, complaint].enumerated() {
      posix_spawn_file_actions_adddup2(&actions, file.descriptor, Int32(target))
    }
    // Other tests of this process have descriptors open that must end with them.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    // The threads that tests run on have signals blocked; what handed that on to its children would not hear of their end.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var arguments = (["env"] + entry + words).map { strdup($0) } + [nil]
    var environment = Self.environment.map { strdup($0) } + [nil]
    defer { (arguments + environment).forEach { free($0) } }
    var pid: pid_t = 0
    // Each of env, nsenter and the program takes the place of the one before it: the pid stays.
    let code = posix_spawn(&pid, "/usr/bin/env", &actions, &attributes, &arguments, &environment)
    guard code == 0 else { throw Failure("cannot start \(words[0]): \(String(cString: strerror(code)))") }
    self.pid = pid
  }

  var outputSoFar: String { output.text }
  var complaintSoFar: String { complaint.text }
  var outputBytes: [UInt8] { output.bytes }

  var isRunning: Bool {
    if status != nil { return false }
    var found: Int32 = 0
    if waitpid(pid, &found, WNOHANG) == pid { status = found }
    return status == nil
  }

  /// Waits until it has ended; one that takes too long is ended, and that is an error.
  func end(within patience: Duration = patience) throws -> Outcome {
    do {
      try eventually("\(line) ends", within: patience) { !isRunning }
    } catch {
      stop()
      throw Failure("\(error): \(complaint.text)")
    }
    let status = status!
    // WIFEXITED, WEXITSTATUS and WTERMSIG of sys/wait.h, which are macros.
    let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    return Outcome(status: code, output: output.text, complaint: complaint.text)
  }

  /// Waits until it has ended well.
  @discardableResult
  func succeed(within patience: Duration = patience) throws -> String {
    let outcome = try end(within: patience)
    guard outcome.status == 0 else {
      throw Failure("\(line): status \(outcome.status): \(outcome.complaint)\(outcome.output.suffix(500))")
    }
    return outcome.output
  }

  func signal(_ number: Int32) {
    if isRunning { kill(pid, number) }
  }

  /// Ends it by force: no program here has anything to put in order. Once more is no error.
  func stop() {
    guard isRunning else { return }
    kill(pid, SIGKILL)
    var found: Int32 = 0
    waitpid(pid, &found, 0)
    status = found
  }

  private var line: String { words.joined(separator: " ") }
}

/// Waits for a condition.
func eventually(
  _ what: @autoclosure () -> String, within patience: Duration = Program.patience, _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + patience
  while try !condition() {
    guard ContinuousClock.now < end else { throw Failure("waited \(patience) in vain until \(what())") }
    usleep(10_000)
  }
}

/// A file without a name (memfd_create(2)).
private final class MemoryFile {
  let descriptor: Int32

  init(_ text: String = "") throws {
    descriptor = memfd_create("program", UInt32(MFD_CLOEXEC))
    guard descriptor >= 0 else { throw Failure("memfd_create: \(String(cString: strerror(errno)))") }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw Failure("write: \(String(cString: strerror(errno)))") }
      rest = rest.dropFirst(count)
    }
    lseek(descriptor, 0, SEEK_SET)
  }

  deinit { close(descriptor) }

  /// The file's offset belongs to the program that writes it.
  var bytes: [UInt8] {
    var status = stat()
    fstat(descriptor, &status)
    return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
      count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
    }
  }

  var text: String { String(decoding: bytes, as: UTF8.self) }
}
