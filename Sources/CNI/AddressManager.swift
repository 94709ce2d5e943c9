import Glibc
import SystemCalls

/// Runs the plugins that address management is delegated to.
public protocol AddressManager: Sendable {
  /// With the parameters and the configuration that we were given; what it wrote.
  func run(_ plugin: String, _ invocation: Invocation, input: [UInt8]) throws(CNIError) -> [UInt8]
}

/// As a program of one of the directories in CNI_PATH.
public struct AddressManagerProgram: AddressManager {
  private static let outputBytesMax = 1 << 20

  /// This process's.
  let environment: [String: String]

  public init(environment: [String: String]) { self.environment = environment }

  public func run(_ plugin: String, _ invocation: Invocation, input: [UInt8]) throws(CNIError) -> [UInt8] {
    let places = invocation.path.map { "\($0)/\(plugin)" }
    guard let program = places.first(where: { access($0, X_OK) == 0 }) else {
      let message = "ipam.type \(quoted(plugin)): there is no such plugin in CNI_PATH"
      throw CNIError(
        invocation.command == .status ? .notAvailable : .invalidEnvironment, message,
        details: invocation.path.joined(separator: ":"))
    }
    var environment = environment
    environment["CNI_COMMAND"] = invocation.command.rawValue
    let (status, output) = try execute(program, environment, input: input)
    if status == 0 { return output }
    if let error = CNIError(output: output) { throw error }
    throw CNIError(.system, "\(plugin) ended with status \(status), and did not say why")
  }

  private func execute(
    _ program: String, _ environment: [String: String], input: [UInt8]
  ) throws(CNIError) -> (Int32, [UInt8]) {
    do throws(Errno) {
      // Files in memory: neither side ever waits for the other to read.
      let given = try Self.file("input")
      let written = try Self.file("output")
      try Self.write(input, to: given)
      let status = try spawn(program, environment, standardInput: given.number, standardOutput: written.number)
      return (status, try Self.read(written))
    } catch {
      throw CNIError(.ioFailure, "\(error)")
    }
  }

  private func spawn(
    _ program: String, _ environment: [String: String], standardInput: Int32, standardOutput: Int32
  ) throws(Errno) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, standardInput, 0)
    posix_spawn_file_actions_adddup2(&actions, standardOutput, 1)
    var arguments = [strdup(program), nil]
    var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { (arguments + variables).forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program, &actions, nil, &arguments, &variables)
    guard code == 0 else { throw Errno(code, "start \(program)") }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { throw .current("wait for \(program)") }
    }
    // WIFEXITED, WEXITSTATUS and WTERMSIG of sys/wait.h, which are macros.
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
  }

  private static func file(_ name: String) throws(Errno) -> FileDescriptor {
    FileDescriptor(owning: try check(memfd_create(name, UInt32(MFD_CLOEXEC)), "make a file in memory"))
  }

  private static func write(_ bytes: [UInt8], to file: borrowing FileDescriptor) throws(Errno) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file.number, $0.baseAddress, $0.count) }
      guard count > 0 else { throw .current("write to a file in memory") }
      rest = rest.dropFirst(count)
    }
    lseek(file.number, 0, SEEK_SET)
  }

  private static func read(_ file: borrowing FileDescriptor) throws(Errno) -> [UInt8] {
    var status = stat()
    guard fstat(file.number, &status) == 0 else { throw .current("fstat a file in memory") }
    guard status.st_size <= outputBytesMax else { throw Errno(EFBIG, "read what the plugin wrote") }
    return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
      count = max(0, pread(file.number, buffer.baseAddress, buffer.count, 0))
    }
  }
}
