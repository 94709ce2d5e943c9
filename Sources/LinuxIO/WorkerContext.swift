import Datapath
import Wire

/// What a worker is given at its start, beside its options: who it is among the workers, and what it shares with the others.
struct WorkerContext: Sendable {
  /// From 0.
  let worker: Int
  let channel: WorkerChannel
  let learning: LearningExchange.Member
  let haltPolling: HaltPolling
  let bulkLoads: BulkLoads
  let handOver: RouterHandOver
  /// Of the worker that routes.
  let routing: RoutingContext?
}

/// What the worker that routes is given: the router, which is its own from here on, and where it asks for next hops.
struct RoutingContext: @unchecked Sendable {
  let router: UnsafeMutablePointer<Router>
  let wanted: Notices<IPAddress>
}
