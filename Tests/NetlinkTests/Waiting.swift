import Foundation
import Netlink
import Synchronization
import Testing

/// Asks `condition` until it holds; a failure when that takes longer than anything healthy does.
func waitUntil(sourceLocation: SourceLocation = #_sourceLocation, _ condition: () throws -> Bool) throws {
  let end = ContinuousClock.now + .seconds(20)
  while !(try condition()) {
    try #require(ContinuousClock.now < end, "waited in vain", sourceLocation: sourceLocation)
    usleep(2000)
  }
}

/// What a monitor told, in its order.
final class EventLog: Sendable {
  private let events = Mutex<[NetworkMonitor.Event]>([])

  var all: [NetworkMonitor.Event] { events.withLock { $0 } }

  @Sendable func append(_ event: NetworkMonitor.Event) { events.withLock { $0.append(event) } }

  func clear() { events.withLock { $0 = [] } }

  func wait(for event: NetworkMonitor.Event, sourceLocation: SourceLocation = #_sourceLocation) throws {
    try waitUntil(sourceLocation: sourceLocation) { all.contains(event) }
  }
}
