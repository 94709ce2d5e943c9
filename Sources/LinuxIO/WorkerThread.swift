import CLinux
import Glibc
import SystemCalls
import Tables

/// The POSIX thread of one worker. The worker is made on it, since io_uring ties a ring to the thread that made it.
final class WorkerThread: @unchecked Sendable {
  /// Of the kernel, with the zero: TASK_COMM_LEN.
  static let nameBytesMax = 15

  private var thread = pthread_t()
  private var started = sem_t()
  /// Written on the thread before `started`, read by the starter after it.
  private var failure: Errno?
  private var counters: WorkerCounters?
  private let options: WorkerOptions
  private let context: WorkerContext

  /// Returns when the worker runs, or says why it cannot.
  init(_ options: WorkerOptions, _ context: WorkerContext) throws(Errno) {
    self.options = options
    self.context = context
    sem_init(&started, 0, 0)
    let result = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<WorkerThread>.fromOpaque(argument!).takeRetainedValue().main()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    guard result == 0 else { throw Errno(result, "start a worker thread") }
    pthread_setname_np(thread, String("worker-\(context.worker)".prefix(Self.nameBytesMax)))
    while sem_wait(&started) != 0 {}
    sem_destroy(&started)
    if let failure {
      pthread_join(thread, nil)
      throw failure
    }
  }

  /// The worker's counters, readable by any thread until `join`.
  var readableCounters: WorkerCounters { counters! }

  /// Waits for the thread's end. Once.
  func join() { pthread_join(thread, nil) }

  private func main() {
    do throws(Errno) {
      // Naps are of microseconds; the default slack would double them.
      _ = martlet_set_timer_slack(1)
      var worker = try Worker(options, context)
      counters = WorkerCounters(ports: worker.engine.portCounterHandle, networks: worker.engine.networkCounterHandle)
      sem_post(&started)
      worker.run()
    } catch {
      failure = error
      sem_post(&started)
    }
  }
}

/// The counters of one worker.
struct WorkerCounters: Sendable {
  let ports: CounterHandle
  let networks: CounterHandle
}
