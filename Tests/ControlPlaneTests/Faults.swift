import ControlModel
import Glibc
import Synchronization

/// Counts the steps that stand-ins are asked for, and makes one of them fail.
final class Faults: Sendable {
  private struct State {
    var count = 0
    var failing: Int?
    var failed: String?
    /// The one that armed. What the control plane does meanwhile on threads of its own is not a step of the change.
    var thread: pthread_t?
  }
  private let state = Mutex(State())

  /// The step with this number, counted from now, fails; nil: none.
  func arm(_ number: Int?) {
    state.withLock { $0 = State(failing: number, thread: number == nil ? nil : pthread_self()) }
  }

  /// Steps since `arm`.
  var count: Int { state.withLock { $0.count } }

  /// What was made to fail since `arm`.
  var failed: String? { state.withLock { $0.failed } }

  func step(_ name: String) throws(ControlError) {
    let fails = state.withLock { state in
      if let thread = state.thread, pthread_equal(thread, pthread_self()) == 0 { return false }
      defer { state.count += 1 }
      guard state.count == state.failing else { return false }
      state.failed = name
      return true
    }
    if fails { throw ControlError(.system, "\(name) was made to fail") }
  }
}
