import Synchronization
import Wire

/// What comes from the kernel and from the data plane unasked, on its way to the control plane: however often one thing
/// happens, it waits in line once.
///
/// Calls come from any thread.
final class HostEvents: Sendable {
  enum Event: Hashable, Sendable {
    case configuration
    case neighbour(IPAddress, link: Int32)
    /// The data plane has packets for a next hop.
    case needed(IPAddress)
  }

  /// An interface that comes, or a routing daemon that starts, brings a burst of changes: they are looked at together.
  static let settlingMilliseconds = 20
  /// Events in line. Those beyond are told again: by the sweep, or as the data plane still waits.
  static let waitingMax = 4096

  private let waiting = Mutex<Set<Event>>([])
  private let pass: @Sendable (_ delayMilliseconds: Int, Event) -> Void

  init(pass: @escaping @Sendable (_ delayMilliseconds: Int, Event) -> Void) { self.pass = pass }

  func changed(_ change: HostChange) {
    switch change {
    case .configuration: add(.configuration, after: Self.settlingMilliseconds)
    case .neighbour(let address, let link): add(.neighbour(address, link: link), after: 0)
    }
  }

  func needed(_ address: IPAddress) { add(.needed(address), after: 0) }

  private func add(_ event: Event, after delay: Int) {
    let isNew = waiting.withLock { $0.count < Self.waitingMax && $0.insert(event).inserted }
    if isNew { pass(delay, event) }
  }

  /// Before it is looked at: what happens from then on is new.
  func taken(_ event: Event) { waiting.withLock { _ = $0.remove(event) } }
}
