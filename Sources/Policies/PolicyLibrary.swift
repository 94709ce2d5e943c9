import CLinux
import Datapath
import Glibc
import Synchronization

/// A policy that was built as a dynamic library (`tools/new-policy`). It stays in the process: code of Swift cannot be taken out of one.
public final class PolicyLibrary: @unchecked Sendable {
  private typealias FingerprintFunction = @convention(c) () -> UInt64
  private typealias TableFunction = @convention(c) () -> UnsafeRawPointer

  let table: PolicyTable

  /// Loads the library, which runs its initializers.
  /// - Parameter path: glibc knows a library by it, so each that is to be a library of its own needs a path of its own.
  public init(path: String) throws(PolicyError) {
    guard path.contains("/") else { throw PolicyError("\(path): give the library's path") }
    // Now, and not when a frame comes: a symbol that is missing is missing here.
    guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
      throw PolicyError("cannot load \(path): \(Self.reason)")
    }
    guard let fingerprint = dlsym(handle, PolicyInterface.fingerprintSymbol),
      let table = dlsym(handle, PolicyInterface.tableSymbol)
    else {
      dlclose(handle)
      throw PolicyError("\(path) is no policy of Martlet's: make one with tools/new-policy")
    }
    guard unsafeBitCast(fingerprint, to: FingerprintFunction.self)() == PolicyInterface.fingerprint else {
      dlclose(handle)
      throw PolicyError(
        "\(path) was built for another version of Martlet's policy interface: build it again with this one's sources")
    }
    self.table = unsafeBitCast(table, to: TableFunction.self)().load(as: PolicyTable.self)
  }

  private static var reason: String {
    dlerror().map { String(cString: $0) } ?? "it does not say why"
  }

  /// Loads the library and makes a value of its policy for each worker, which share what the policy shares.
  /// - Parameter lease: where the workers note their calls; nil: nobody watches.
  public static func make(
    path: String, _ parameters: [String: String], name: String, workers: Int, lease: PolicyLease? = nil
  ) throws(PolicyError) -> InstalledPolicy {
    for (key, value) in parameters where (key + value).contains(where: \.isNewline) {
      throw PolicyError("policy \(name): parameter \(key) has a line break")
    }
    func make() throws(PolicyError) -> InstalledPolicy {
      try PolicyLibrary(path: path).make(parameters, name: name, workers: workers, lease)
    }
    guard let lease else { return try make() }
    return try lease.noting(make)
  }

  private func make(
    _ parameters: [String: String], name: String, workers: Int, _ lease: PolicyLease?
  ) throws(PolicyError) -> InstalledPolicy {
    let lines = parameters.map { "\($0.key)=\($0.value)" }.joined(separator: "\n")
    var complaint = ""
    let state: PolicyTable.State? = withUnsafeTemporaryAllocation(
      of: CChar.self, capacity: PolicyInterface.textCapacity
    ) {
      $0[0] = 0
      let made = table.make(lines, $0.baseAddress!, $0.count)
      if made == nil { complaint = String(cString: $0.baseAddress!) }
      return made
    }
    guard let state else { throw PolicyError("policy \(name): \(complaint)") }
    let counterNames = Array(description(state).dropFirst(2).prefix(PolicyProgram.counterCountMax))
    let runners = (0..<workers).map { worker in
      LibraryPolicy(
        self, state: worker == 0 ? state : table.copy(state), counterCount: counterNames.count, lease, worker: worker)
    }
    return InstalledPolicy(name: name, counterNames: counterNames, runners: runners)
  }

  /// Name, summary, and a state's counters.
  private func description(_ state: PolicyTable.State?) -> [String] {
    var buffer = [CChar](repeating: 0, count: PolicyInterface.textCapacity)
    let length = table.describe(state, &buffer, buffer.count)
    let bytes = buffer.prefix(max(0, min(length, buffer.count - 1))).map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      .map(String.init)
  }
}

/// A library's policy as a worker calls it: each call is noted, so that whoever watches, and the next process, know where it was.
final class LibraryPolicy: PolicyRunner, @unchecked Sendable {
  private let library: PolicyLibrary
  private let state: PolicyTable.State
  private let decideBurst: PolicyProgram.Decide
  private let slot: UnsafeMutablePointer<martlet_policy_slot>?
  private let lease: PolicyLease?
  private let worker: Int
  private let counterCount: Int
  /// Of the worker; 0 until it has called.
  private var thread: Int32 = 0

  init(
    _ library: PolicyLibrary, state: PolicyTable.State, counterCount: Int, _ lease: PolicyLease?, worker: Int
  ) {
    (self.library, self.state, self.counterCount) = (library, state, counterCount)
    (self.lease, self.worker) = (lease, worker)
    slot = lease?.slot(ofWorker: worker)
    decideBurst = library.table.decide
    super.init(counterCount: counterCount)
  }

  deinit { library.table.release(state) }

  override func decide(
    _ frames: UnsafeRawPointer, _ count: Int, _ view: UnsafeMutableRawPointer, _ verdicts: UnsafeMutableRawPointer
  ) {
    guard let slot else { return decideBurst(state, frames, count, view, verdicts) }
    let start = Self.nanoseconds()
    enter(slot, start)
    decideBurst(state, frames, count, view, verdicts)
    martlet_policy_leave(slot, UInt64(count), Self.nanoseconds() &- start)
  }

  override func portsChanged(_ ports: [PolicyPort]) {
    if let slot { enter(slot, Self.nanoseconds()) }
    library.table.portsChanged(state, ports.map(\.line).joined(separator: "\n"))
    if let slot { martlet_policy_leave(slot, 0, 0) }
  }

  override func copy() -> PolicyRunner {
    LibraryPolicy(library, state: library.table.copy(state), counterCount: counterCount, lease, worker: worker)
  }

  private func enter(_ slot: UnsafeMutablePointer<martlet_policy_slot>, _ now: UInt64) {
    if thread == 0 {
      thread = martlet_thread_number()
      _ = martlet_fault_stack()
    }
    martlet_policy_enter(slot, thread, now)
  }

  static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
  }
}
