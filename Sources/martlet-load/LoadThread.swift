import Glibc

/// A thread that blocks in system calls, as the tasks of Swift's pool must not.
struct LoadThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: pthread_t

  private init(_ thread: pthread_t) { self.thread = thread }

  /// The thread must be joined, once.
  static func start(_ run: @escaping @Sendable () -> Void) throws -> LoadThread {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      body.release()
      throw SystemCallError("pthread_create", code: code)
    }
    return LoadThread(thread)
  }

  /// A thread that nobody joins; it ends with its body or with the process.
  static func startDetached(_ run: @escaping @Sendable () -> Void) throws { pthread_detach(try start(run).thread) }

  func join() { pthread_join(thread, nil) }
}
