import CLinux
import Glibc
import Synchronization
import SystemCalls
import Tables

/// The way from the workers to the control plane for ports that were lost. A worker puts the port in a list and goes on; a
/// thread made for it calls the handler, which may block.
final class LostPorts: Sendable {
  private let pending = Mutex<[PortHandle]>([])
  private let stopping = Atomic(false)
  private let event: FileDescriptor
  private let thread = Mutex<pthread_t?>(nil)

  init() throws(Errno) { event = FileDescriptor(owning: try check(martlet_eventfd(), "make an eventfd")) }

  /// Only workers. A lock that is held for an append only: ports are lost once in their life.
  func report(_ port: PortHandle) {
    pending.withLock { $0.append(port) }
    wake()
  }

  func start(_ handler: @escaping @Sendable (PortHandle) -> Void) {
    let context = Unmanaged.passRetained(Context(self, handler))
    var made = pthread_t()
    let result = pthread_create(
      &made, nil,
      { argument in
        Unmanaged<Context>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    precondition(result == 0, "cannot start the thread that collects lost ports")
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

  private final class Context: Sendable {
    let owner: LostPorts
    let handler: @Sendable (PortHandle) -> Void

    init(_ owner: LostPorts, _ handler: @escaping @Sendable (PortHandle) -> Void) {
      self.owner = owner
      self.handler = handler
    }

    func run() {
      var value: UInt64 = 0
      while !owner.stopping.load(ordering: .acquiring) {
        _ = read(owner.event.number, &value, 8)
        let ports = owner.pending.withLock { pending in
          defer { pending.removeAll() }
          return pending
        }
        for port in ports { handler(port) }
      }
    }
  }
}
