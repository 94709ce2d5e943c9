import Synchronization

/// Asks the workers of a switch for a sign of life: for a watchdog. Given to a switch with its options; any thread may ask.
public final class LivenessProbe: Sendable, Equatable {
  private let channels = Mutex<[WorkerChannel]>([])

  public init() {}

  func watch(_ channels: [WorkerChannel]) { self.channels.withLock { $0 = channels } }

  /// Returns when each worker has been between two bursts since the call, and does not return where one hangs. Not to be
  /// called once the switch is being stopped.
  public func awaitWorkers() {
    for channel in channels.withLock({ $0 }) { channel.perform { _, _ in true } }
  }

  public static func == (one: LivenessProbe, other: LivenessProbe) -> Bool { one === other }
}
