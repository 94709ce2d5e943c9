import Synchronization

// Theory of operation.
//
// A processor that has nothing to do halts, and waking it takes 25 to 35 us in a virtual machine: most of a round trip between two
// containers. The worker that carries requests and responses looks for them before it sleeps (`WaitRule`), so its own processor
// is awake; the one on which the other end waits is not. So where every processor has a worker, all of them look as long as one
// does: guest halt polling (Documentation/virt/guest-halt-polling.rst), by the threads that are there, and only then.
//
// Each turn of a look gives the processor to whoever wants it (sched_yield(2)): the ends do not wait for the workers.

/// What workers tell each other about looking together. Every method is for the thread of the worker that it is called for.
final class HaltPolling: Sendable {
  /// How long the others look after a burst of requests or responses, in nanoseconds.
  private static let period: UInt64 = 500_000
  /// What is left of the period when it is prolonged: so the line that all read is not written in each burst.
  private static let remainderMin: UInt64 = 300_000
  /// A worker that has slept for less carries traffic of its own, and is not woken, in nanoseconds.
  private static let restMin: UInt64 = 1_000_000

  private let channels: [WorkerChannel]
  /// Nanoseconds of CLOCK_MONOTONIC.
  private let end = Atomic<UInt64>(0)

  /// - Parameter channels: of all workers; nobody looks together where they are fewer than `processors`.
  init(channels: [WorkerChannel], processors: Int) {
    self.channels = channels.count > 1 && channels.count >= processors ? channels : []
  }

  /// Every processor has a worker, and there are several.
  var isPossible: Bool { !channels.isEmpty }

  /// Has all workers look. By the one that carries requests and responses, after each burst of them.
  func prolong(now: UInt64) {
    guard isPossible else { return }
    if end.load(ordering: .relaxed) < now &+ Self.remainderMin { end.store(now &+ Self.period, ordering: .relaxed) }
    for channel in channels { channel.wake(ifAsleepFor: Self.restMin, now: now) }
  }

  /// Some worker carries requests and responses.
  func isDue(now: UInt64) -> Bool { now < end.load(ordering: .relaxed) }
}
