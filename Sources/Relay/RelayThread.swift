import Glibc
import SystemCalls

/// The POSIX thread that runs a relay's loop to its end.
struct RelayThread: Sendable {
  private let thread: pthread_t

  /// Hands `loop` over to the new thread, which is in the network namespace of the calling one.
  init(_ loop: sending RelayLoop) throws(Errno) {
    let context = Unmanaged.passRetained(loop)
    var made = pthread_t()
    let result = pthread_create(
      &made, nil,
      { argument in
        Unmanaged<RelayLoop>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard result == 0 else {
      context.release()
      throw Errno(result, "start the relay's thread")
    }
    pthread_setname_np(made, "relay")
    thread = made
  }

  /// Waits for the thread's end. Once.
  func join() { pthread_join(thread, nil) }
}
