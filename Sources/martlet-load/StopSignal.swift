import Glibc
import Synchronization

/// Set once by SIGINT or SIGTERM. Whoever waits for traffic looks at it at least every `Socket.receiveTimeout`.
enum StopSignal {
  private static let requested = Atomic<Bool>(false)

  static var isRequested: Bool { requested.load(ordering: .relaxed) }

  static func install() {
    // The handler may only touch what is already initialised: a lazy global's first use takes a lock.
    requested.store(false, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in StopSignal.requested.store(true, ordering: .relaxed) }
    }
  }
}
