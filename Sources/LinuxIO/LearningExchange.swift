import Datapath
import Tables

/// The rings by which workers tell each other what they learned (see `LearnedAddress`): one from each to each other.
///
/// Nobody waits and nobody is woken for it. A worker takes what the others told before it decides on a burst, before it obeys a
/// command, and each second. Where a ring is full the note is lost: it is repeated when the address is seen in another second.
final class LearningExchange: Sendable {
  /// Notes that may wait for a worker that sleeps.
  static let capacity = 4096

  private final class Ring: Sendable {
    let ring = SPSCRing<LearnedAddress>(capacity: LearningExchange.capacity)
  }

  /// One worker's ends of the rings. Valid as long as the exchange lives.
  struct Member: Sendable {
    let incoming: [SPSCHandle<LearnedAddress>]
    let outgoing: [SPSCHandle<LearnedAddress>]
  }

  /// `rings[from][to]`; those from a worker to itself are not used.
  private let rings: [[Ring]]

  init(workers: Int) { rings = (0..<workers).map { _ in (0..<workers).map { _ in Ring() } } }

  func member(_ worker: Int) -> Member {
    let others = rings.indices.filter { $0 != worker }
    return Member(
      incoming: others.map { rings[$0][worker].ring.handle }, outgoing: others.map { rings[worker][$0].ring.handle })
  }
}
