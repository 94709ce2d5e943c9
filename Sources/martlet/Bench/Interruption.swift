import Glibc
import Synchronization

/// Keeps SIGHUP, SIGINT and SIGTERM from ending this program before it has taken away what it made: while one of these lives,
/// the signals only wake who waits by it. One at a time, used by one thread.
final class Interruption {
  /// Thrown by those who wait.
  struct Signalled: Error { let number: Int32 }

  private static let numbers = [SIGHUP, SIGINT, SIGTERM]
  /// The last that came, or 0.
  private static let received = Atomic<Int32>(0)

  private var actions: [(number: Int32, earlier: sigaction)] = []
  /// What this thread had blocked before.
  private var before = sigset_t()
  /// The same without the signals: they come while it waits, and at no other time, whatever it was started with.
  private var waiting = sigset_t()

  init() {
    // The handler may only touch what is already initialised: a lazy global's first use takes a lock.
    Self.received.store(0, ordering: .relaxed)
    var blocked = sigset_t()
    sigemptyset(&blocked)
    for number in Self.numbers {
      sigaddset(&blocked, number)
      var (action, earlier) = (sigaction(), sigaction())
      action.__sigaction_handler.sa_handler = { Interruption.received.store($0, ordering: .relaxed) }
      sigaction(number, &action, &earlier)
      actions.append((number, earlier))
    }
    pthread_sigmask(SIG_BLOCK, &blocked, &before)
    waiting = before
    for number in Self.numbers { sigdelset(&waiting, number) }
  }

  deinit {
    // A signal that waits is told to the handler still, not to what was there before.
    pthread_sigmask(SIG_SETMASK, &before, nil)
    for action in actions {
      var earlier = action.earlier
      sigaction(action.number, &earlier, nil)
    }
  }

  /// A signal has come.
  var isThere: Bool {
    var none: [pollfd] = []
    do throws(Signalled) { return try wait(for: &none, until: .now) } catch { return true }
  }

  /// Waits until one of the files can be read or has ended, or the time is over (then false).
  func wait(for files: inout [pollfd], until deadline: ContinuousClock.Instant) throws(Signalled) -> Bool {
    let left = max(.zero, deadline - .now).components
    var time = timespec(tv_sec: Int(left.seconds), tv_nsec: Int(left.attoseconds / 1_000_000_000))
    let count = ppoll(&files, nfds_t(files.count), &time, &waiting)
    let number = Self.received.load(ordering: .relaxed)
    if number != 0 { throw Signalled(number: number) }
    return count != 0
  }
}
