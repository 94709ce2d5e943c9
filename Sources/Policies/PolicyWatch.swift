import CLinux
import Glibc
import Synchronization
import SystemCalls

// Theory of operation.
//
// A library's policy is code of the process: what it does wrong, the process does. So each call of one is noted in a file below the
// run directory. A thread looks there twenty times a second:
//
//   traps                        a signal's handler notes it, and the process begins anew in place; where a service manager has
//                                started it, it ends, and that starts it again
//   does not come back           the same, by the thread that looks
//   memory grows without end     the same: what it has taken cannot be told from what is the switch's, and goes with the process
//   takes too long on average    is told, and the control plane takes it out between two bursts
//
// The next process reads in the file which policies are not to be loaded again, and why. Endpoints are persistent interfaces, sessions
// lie in a file of their own: a restart keeps both, and costs the frames of some tenths of a second.

/// Why a network's policy was taken out by a restart.
public struct PolicyFault: Equatable, Sendable {
  /// The network's id.
  public let network: String
  /// A clause: "it trapped (SIGILL)".
  public let reason: String
}

/// Watches the calls of libraries' policies.
public final class PolicyWatch: @unchecked Sendable {
  /// Workers and networks with a library's policy at once.
  static let slotCount = 1024
  private static let fileLength = slotCount * MemoryLayout<martlet_policy_slot>.stride
  static let lookMicroseconds: UInt32 = 50_000
  /// CPU time that one call, for a burst of at most 64 frames, may take; and looks at which it may be under way without any.
  static let callNanosecondsMax: Int64 = 300_000_000
  static let looksMax = 100
  /// A policy that takes longer for a frame on average is taken out, if it has been at work for so much of a second.
  public static let frameNanosecondsMax: UInt64 = 20_000
  static let busyNanosecondsMax: UInt64 = 500_000_000
  static let looksPerSecond = 20
  /// By how much the process may grow while libraries' policies are loaded.
  public static let memoryBytesMax = 512 << 20

  private typealias Slots = UnsafeMutablePointer<martlet_policy_slot>

  private struct State {
    var serial: UInt64 = 0
    var isRunning = false
    var handler: (@Sendable (String, String) -> Void)?
    /// Resident bytes when the first policy was loaded.
    var memory = 0
  }

  /// What a look saw of a slot.
  private struct Sight {
    var entered: UInt64 = 0
    var processorTime: Int64 = 0
    var looks = 0
    var frames: UInt64 = 0
    var busy: UInt64 = 0
  }

  private let slots: Slots
  private let path: String
  /// Keeps the lock.
  private let file: FileDescriptor
  private let state = Mutex(State())
  /// What an earlier process has left.
  public let faults: [PolicyFault]

  /// Reads what an earlier process has left at `path`, and begins anew there. EWOULDBLOCK: another process has it.
  /// - Parameter restarts: the process begins anew by itself; else somebody is there who starts it again.
  public init(path: String, restarts: Bool) throws(Errno) {
    let file = try FileDescriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
    guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else { throw .current("lock \(path)") }
    guard ftruncate(file.number, off_t(Self.fileLength)) == 0 else { throw .current("make \(path) long enough") }
    let mapped = mmap(nil, Self.fileLength, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0)
    guard let mapped, mapped != MAP_FAILED else { throw .current("map \(path)") }
    slots = mapped.bindMemory(to: martlet_policy_slot.self, capacity: Self.slotCount)
    var faults: [PolicyFault] = []
    for index in 0..<Self.slotCount {
      let fault = martlet_policy_fault(slots + index)
      let network = Self.network(slots + index)
      if fault != 0, !network.isEmpty, !faults.contains(where: { $0.network == network }) {
        faults.append(PolicyFault(network: network, reason: Self.reason(fault)))
      }
    }
    self.faults = faults
    self.file = file
    self.path = path
    memset(mapped, 0, Self.fileLength)
    let result = martlet_fault_watch(slots, Int32(Self.slotCount), CommandLine.unsafeArgv, restarts ? 1 : 0)
    if result < 0 { throw Errno(-result, "watch over policies") }
  }

  /// The next process finds nothing.
  public func remove() { unlink(path) }

  /// Called, on a thread of its own, with the network's id and a clause that says why its policy is to be taken out.
  public func onOverload(_ handler: @escaping @Sendable (String, String) -> Void) {
    state.withLock { $0.handler = handler }
  }

  /// Slots for the calls of a network's policy, one for each worker and one for who makes it.
  public func lease(slots count: Int, network: String) throws(PolicyError) -> PolicyLease {
    let taken: [Slots]? = state.withLock { state in
      let free = (0..<Self.slotCount).filter { slots[$0].network.0 == 0 }.prefix(count + 1)
      guard free.count == count + 1 else { return nil }
      state.serial += 1
      for index in free {
        memset(slots + index, 0, MemoryLayout<martlet_policy_slot>.stride)
        slots[index].serial = state.serial
        withUnsafeMutableBytes(of: &slots[index].network) { $0.copyBytes(from: network.utf8.prefix($0.count - 1)) }
      }
      if !state.isRunning {
        state.isRunning = true
        state.memory = Self.residentBytes()
        start()
      }
      return free.map { slots + $0 }
    }
    guard let taken else {
      throw PolicyError("there are as many libraries' policies as can be watched: unload one")
    }
    return PolicyLease(self, taken)
  }

  fileprivate func giveBack(_ taken: [UnsafeMutablePointer<martlet_policy_slot>]) {
    state.withLock { _ in
      for slot in taken { memset(slot, 0, MemoryLayout<martlet_policy_slot>.stride) }
    }
  }

  private static func network(_ slot: Slots) -> String {
    withUnsafeBytes(of: &slot.pointee.network) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  private static func reason(_ fault: UInt32) -> String {
    switch Int(fault) {
    case MARTLET_FAULT_LOOP: "it did not come back"
    case MARTLET_FAULT_MEMORY: "memory grew by more than \(memoryBytesMax >> 20) MiB while it was loaded"
    default: "it trapped (\(strsignal(Int32(fault)).map { String(cString: $0) } ?? "signal \(fault)"))"
    }
  }

  private static func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "re") else { return 0 }
    defer { fclose(file) }
    var (all, resident) = (UInt(0), UInt(0))
    let count = withUnsafeMutablePointer(to: &all) { first in
      withUnsafeMutablePointer(to: &resident) { second in
        withVaList([first, second]) { vfscanf(file, "%lu %lu", $0) }
      }
    }
    return count == 2 ? Int(resident) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
  }

  // MARK: The thread that looks

  private func start() {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self)
    pthread_create(
      &thread, nil,
      { argument in
        let watch = Unmanaged<PolicyWatch>.fromOpaque(argument!).takeRetainedValue()
        var sights = [Sight](repeating: Sight(), count: PolicyWatch.slotCount)
        var look = 0
        while true {
          usleep(PolicyWatch.lookMicroseconds)
          look += 1
          watch.look(&sights, measures: look % PolicyWatch.looksPerSecond == 0)
        }
      }, context.toOpaque())
    pthread_detach(thread)
  }

  private func look(_ sights: inout [Sight], measures: Bool) {
    var slow: (network: String, nanoseconds: UInt64)?
    var last: Int?
    for index in 0..<Self.slotCount where slots[index].network.0 != 0 {
      if let other = last { last = slots[index].serial > slots[other].serial ? index : other } else { last = index }
      if hangs(slots + index, &sights[index]) { restart(slots + index, UInt32(MARTLET_FAULT_LOOP)) }
      guard measures else { continue }
      let (frames, busy) = (martlet_policy_frames(slots + index), martlet_policy_busy(slots + index))
      let (done, taken) = (frames &- sights[index].frames, busy &- sights[index].busy)
      (sights[index].frames, sights[index].busy) = (frames, busy)
      // A slot that was another's has less.
      guard taken < 10 * 1_000_000_000, taken > Self.busyNanosecondsMax, done > 0 else { continue }
      if taken / done > Self.frameNanosecondsMax { slow = (Self.network(slots + index), taken / done) }
    }
    guard let last else { return }
    let (memory, handler) = state.withLock { ($0.memory, $0.handler) }
    if Self.residentBytes() - memory > Self.memoryBytesMax { restart(slots + last, UInt32(MARTLET_FAULT_MEMORY)) }
    if let slow {
      handler?(
        slow.network,
        "it took \(slow.nanoseconds / 1000) microseconds a frame, of \(Self.frameNanosecondsMax / 1000) at most")
    }
  }

  private func hangs(_ slot: Slots, _ sight: inout Sight) -> Bool {
    let entered = martlet_policy_entered(slot)
    guard entered != 0 else {
      sight.entered = 0
      return false
    }
    let time = martlet_thread_nanoseconds(martlet_policy_thread(slot))
    guard entered == sight.entered else {
      (sight.entered, sight.processorTime, sight.looks) = (entered, time, 0)
      return false
    }
    sight.looks += 1
    return time - sight.processorTime > Self.callNanosecondsMax || sight.looks > Self.looksMax
  }

  private func restart(_ slot: Slots, _ fault: UInt32) {
    martlet_policy_set_fault(slot, fault)
    martlet_fault_restart()
  }
}

/// A policy's slots, until nobody calls it any more.
public final class PolicyLease: @unchecked Sendable {
  private let watch: PolicyWatch
  private let slots: [UnsafeMutablePointer<martlet_policy_slot>]

  fileprivate init(_ watch: PolicyWatch, _ slots: [UnsafeMutablePointer<martlet_policy_slot>]) {
    (self.watch, self.slots) = (watch, slots)
  }

  deinit { watch.giveBack(slots) }

  func slot(ofWorker worker: Int) -> UnsafeMutablePointer<martlet_policy_slot> { slots[worker] }

  /// Runs code of the library that makes the policy, on the calling thread, as one of its calls.
  func noting<Value>(_ body: () throws(PolicyError) -> Value) throws(PolicyError) -> Value {
    let slot = slots[slots.count - 1]
    martlet_policy_enter(slot, martlet_thread_number(), LibraryPolicy.nanoseconds())
    defer { martlet_policy_leave(slot, 0, 0) }
    return try body()
  }
}
