import Datapath
import SystemCalls

// Policies. Each worker has a program of its own; all have changed when a call returns, each between two of its bursts.
extension Switch {
  /// From here on the programs decide on the network's frames, one a worker; nil: the learning switch does. Not for networks on the LAN.
  /// - Parameter prepare: called on each worker, by its number, before its program is.
  public func setPolicy(
    _ programs: [PolicyProgram]?, of network: NetworkHandle, prepare: @escaping @Sendable (Int) -> Void = { _ in }
  ) {
    for worker in 0..<workerCount {
      ask(worker) {
        prepare(worker)
        $0.engine.setProgram(programs?[worker], network: network.network)
      }
    }
  }

  /// Runs `body` on each worker, by its number, between two of its bursts.
  public func onEachWorker(_ body: @escaping @Sendable (Int) -> Void) {
    for worker in 0..<workerCount { ask(worker) { _ in body(worker) } }
  }
}
