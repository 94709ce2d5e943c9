import CLinux
import Glibc
import Synchronization
import SystemCalls
import Tables

/// The way from the workers to the control plane for what is seldom told: ports that were lost, next hops that are not known. A
/// worker puts it in a list and goes on; a thread made for it calls the handler, which may block.
final class Notices<Notice: Sendable>: Sendable {
  private let pending = Mutex<[Notice]>([])
  private let stopping = Atomic(false)
  private let event: FileDescriptor
  private let thread = Mutex<pthread_t?>(nil)

  init() throws(Errno) { event = FileDescriptor(owning: try check(martlet_eventfd(), "make an eventfd")) }

  /// Only workers. A lock that is held for an append only.
  func report(_ notice: Notice) {
    pending.withLock { $0.append(notice) }
    wake()
  }

  func start(_ handler: @escaping @Sendable (Notice) -> Void) {
    let context = Unmanaged.passRetained(NoticeThread { [self] in deliver(to: handler) })
    var made = pthread_t()
    let result = pthread_create(
      &made, nil,
      { argument in
        Unmanaged<NoticeThread>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, context.toOpaque())
    precondition(result == 0, "cannot start a thread for notices")
    thread.withLock { $0 = made }
  }

  func stop() {
    stopping.store(true, ordering: .releasing)
    wake()
    if let thread = thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
  }

  private func wake() {
    var one: UInt64 = 1
    _ = write(event.number, &one, 8)
  }

  private func deliver(to handler: @Sendable (Notice) -> Void) {
    var value: UInt64 = 0
    while !stopping.load(ordering: .acquiring) {
      _ = read(event.number, &value, 8)
      let notices = pending.withLock { pending in
        defer { pending.removeAll() }
        return pending
      }
      for notice in notices { handler(notice) }
    }
  }
}

/// What a thread of `Notices` runs: a C function can be given no generic type.
private final class NoticeThread: Sendable {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
