/// What a worker is given at its start, beside its options: who it is among the workers, and what it shares with the others.
struct WorkerContext: Sendable {
  /// From 0.
  let worker: Int
  let channel: WorkerChannel
  let learning: LearningExchange.Member
  let haltPolling: HaltPolling
  let bulkLoads: BulkLoads
}
