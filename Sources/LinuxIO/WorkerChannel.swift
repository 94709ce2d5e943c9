import CLinux
import Glibc
import Synchronization
import SystemCalls
import Tables

/// What lies between the control plane and one worker: a ring of commands with an event counter that wakes the worker, and the
/// way back for ports that were lost. Neither side holds a lock the other waits for.
final class WorkerChannel: Sendable {
  /// Commands that may wait. The control plane sends one and waits for it, so few ever do.
  static let commandCapacity = 64

  private let commands: SPSCRing<UInt>
  /// Producers take turns; the worker is the only consumer and never takes this lock.
  private let producers = Mutex(())
  private let stopping = Atomic(false)
  /// Nanoseconds of CLOCK_MONOTONIC; 0 while the worker is awake.
  private let asleepSince = Atomic<UInt64>(0)
  private let event: FileDescriptor
  private let lost: @Sendable (PortHandle) -> Void

  /// - Parameter lost: called on the worker's thread; must not wait.
  init(lost: @escaping @Sendable (PortHandle) -> Void) throws(Errno) {
    event = FileDescriptor(owning: try check(martlet_eventfd(), "make an eventfd"))
    commands = SPSCRing(capacity: Self.commandCapacity)
    self.lost = lost
  }

  var eventDescriptor: Int32 { event.number }
  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  /// Runs `body` on the worker and returns when it is done. Any thread but the worker's.
  func perform(_ body: @escaping (inout Worker, Command) -> Bool) {
    let command = Command(body)
    let reference = UInt(bitPattern: Unmanaged.passRetained(command).toOpaque())
    while !producers.withLock({ _ in commands.handle.push(reference) }) { usleep(100) }
    wake()
    command.wait()
  }

  func stop() {
    stopping.store(true, ordering: .releasing)
    wake()
  }

  /// Any thread.
  func wake() {
    var one: UInt64 = 1
    _ = write(event.number, &one, 8)
  }

  /// Only the worker: before it sleeps, and with 0 when it no longer does.
  func sleeps(since now: UInt64) { asleepSince.store(now, ordering: .relaxed) }

  /// Ends the worker's sleep where it has slept for so many nanoseconds. Any thread.
  /// - Returns: it has, and nobody else has woken it.
  @discardableResult
  func wake(ifAsleepFor nanoseconds: UInt64, now: UInt64) -> Bool {
    let since = asleepSince.load(ordering: .relaxed)
    guard since != 0, since &+ nanoseconds < now,
      asleepSince.compareExchange(expected: since, desired: 0, ordering: .relaxed).exchanged
    else { return false }
    wake()
    return true
  }

  /// Only the worker.
  func nextCommand() -> Command? {
    guard let reference = commands.handle.pop(), let pointer = UnsafeRawPointer(bitPattern: reference) else {
      return nil
    }
    return Unmanaged<Command>.fromOpaque(pointer).takeRetainedValue()
  }

  /// Only the worker.
  func reportLost(_ port: PortHandle) { lost(port) }
}
