import Glibc
import Synchronization

/// Set once by SIGINT or SIGTERM. Whoever waits for traffic looks at it at least every `Socket.callTimeout`.
enum StopSignal {
  private static let requested = Atomic<Bool>(false)

  static var isRequested: Bool { requested.load(ordering: .relaxed) }

  static func install() {
    // The handler may only touch what is already initialised: a lazy global's first use takes a lock.
    requested.store(false, ordering: .relaxed)
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in StopSignal.requested.store(true, ordering: .relaxed) }
      sigaddset(&signals, number)
    }
    // Who started us may have had them blocked, as the threads of libdispatch do.
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }
}
