import Datapath
import Tables

/// What a network does without a policy, as one: where to begin with one's own, and the yardstick for what it costs.
public struct LearningPolicy: LoadablePolicy {
  public static let name = "learning"
  public static let summary = "learn where addresses are, forward to them, flood what is not known (IEEE 802.1D)"

  public init?(_ parameters: inout PolicyParameters) {}

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.learn(frame.source, at: frame.port)
    if frame.destination.isGroup { return .flood }
    let port = view.lookup(frame.destination)
    if port == MACTable.noPort { return .flood }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }
}
