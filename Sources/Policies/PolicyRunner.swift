import Datapath
import Tables

/// One worker's value of a policy. Made and told of ports by the control plane's threads, or by whoever drives an engine; called by
/// one worker, which must have let go of it before it goes.
open class PolicyRunner: @unchecked Sendable {
  /// What the policy counts beside what the switch does; readable by any thread. nil: nothing.
  public let counters: CounterHandle?
  /// What `counters` reads.
  private let block: CounterBlock

  /// - Parameter counterCount: 0 to `PolicyProgram.counterCountMax`.
  public init(counterCount: Int) {
    block = CounterBlock(count: max(1, counterCount))
    counters = counterCount == 0 ? nil : block.handle
  }

  /// See `PolicyProgram.Decide`. Thread: the worker. A runner that decides nothing forwards nothing.
  open func decide(
    _ frames: UnsafeRawPointer, _ count: Int, _ view: UnsafeMutableRawPointer, _ verdicts: UnsafeMutableRawPointer
  ) {
    verdicts.assumingMemoryBound(to: Verdict.self).update(repeating: .drop(.policy), count: count)
  }

  /// See `LoadablePolicy.portsChanged`. Thread: the worker.
  open func portsChanged(_ ports: [PolicyPort]) {}

  /// The same policy in the same state, for a frame that is asked about only.
  open func copy() -> PolicyRunner { self }

  /// Valid as long as this lives.
  public final var program: PolicyProgram {
    PolicyProgram(
      state: Unmanaged.passUnretained(self).toOpaque(),
      decide: { state, frames, count, view, verdicts in
        Unmanaged<PolicyRunner>.fromOpaque(state)._withUnsafeGuaranteedRef { $0.decide(frames, count, view, verdicts) }
      },
      counters: counters)
  }
}

/// A policy that is built with the program that runs it: specialised, so that a burst costs one call and what the policy's code costs.
public final class BoxedPolicy<Policy: LoadablePolicy>: PolicyRunner, @unchecked Sendable {
  private var policy: Policy

  public init(_ policy: Policy) {
    self.policy = policy
    super.init(counterCount: policy.counterNames.count)
  }

  public override func decide(
    _ frames: UnsafeRawPointer, _ count: Int, _ view: UnsafeMutableRawPointer, _ verdicts: UnsafeMutableRawPointer
  ) {
    policy.decideBurst(frames, count, view, verdicts)
  }

  public override func portsChanged(_ ports: [PolicyPort]) { policy.portsChanged(ports) }

  public override func copy() -> PolicyRunner { BoxedPolicy(policy) }
}
