import Dispatch
import Glibc
import Logging

/// Tells systemd's watchdog (WatchdogSec=, sd_watchdog_enabled(3)) that the daemon works, each time a check has returned.
///
/// The check does not say that something is wrong: it hangs with what it asks. Then nothing more is told, and systemd ends the
/// daemon with SIGABRT and starts it again.
final class Watchdog: Sendable {
  /// Signs for each period that systemd waits: one may be late.
  private static let signsPerPeriod = 2

  private let queue = DispatchQueue(label: "martletd.watchdog")
  /// Only kept: a source lives as long as its value.
  private nonisolated(unsafe) let timer: any DispatchSourceTimer

  /// The watchdog of the service manager that started this process; nil: it watches nobody, or another process.
  static func ofServiceManager(_ logger: Logger, check: @escaping @Sendable () -> Void) -> Watchdog? {
    let variable = ServiceManager.variable
    guard let period = period(microseconds: variable("WATCHDOG_USEC"), pid: variable("WATCHDOG_PID")) else {
      return nil
    }
    return Watchdog(interval: period / signsPerPeriod) {
      check()
      ServiceManager.notify("WATCHDOG=1", logger)
    }
  }

  /// Microseconds in which systemd wants a sign.
  static func period(microseconds: String?, pid: String?) -> Int? {
    guard let period = microseconds.flatMap({ Int($0) }), period >= signsPerPeriod,
      pid.map({ pid_t($0) == getpid() }) ?? true
    else { return nil }
    return period
  }

  /// - Parameter interval: microseconds from one round to the next; a round that takes longer is waited for.
  init(interval: Int, round: @escaping @Sendable () -> Void) {
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.setEventHandler(handler: round)
    timer.schedule(deadline: .now(), repeating: .microseconds(interval))
    timer.resume()
  }

  /// No round begins any more. One under way is not waited for: it may be the one that hangs.
  func stop() { timer.cancel() }
}
