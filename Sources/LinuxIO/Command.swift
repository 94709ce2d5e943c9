import Glibc
import Synchronization

/// One request of the control plane to a worker: a piece of work to be done on the worker's thread, between two bursts.
///
/// The thread that asks sleeps until `finish`; the worker never waits for it. The ring between them holds the command by an
/// unmanaged reference, which `finish` gives back.
final class Command: @unchecked Sendable {
  /// Runs on the worker; true: done. false: the worker finishes the command itself, later.
  let body: (inout Worker, Command) -> Bool
  private var done = sem_t()

  init(_ body: @escaping (inout Worker, Command) -> Bool) {
    self.body = body
    sem_init(&done, 0, 0)
  }

  deinit { sem_destroy(&done) }

  func finish() { sem_post(&done) }

  func wait() {
    while sem_wait(&done) != 0 {}
  }
}
