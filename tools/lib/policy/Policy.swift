import Datapath
import Tables
import Wire

/// The policy that the library is for (Exports.swift).
public typealias ExportedPolicy = @TYPE@

/// A learning switch that lets only so many frames to groups, broadcasts too, through in a second, to begin with. Change `decide`.
///
/// A worker calls it for one frame after the other. Each worker has a copy of the value, and all frames of a flow meet the same one.
public struct @TYPE@: LoadablePolicy {
  public static let name = "@NAME@"
  public static let summary = "a learning switch that bounds frames to groups"

  /// What is counted beside what the switch counts, for `martlet policy show`: 0 is the first.
  public let counterNames = ["to groups", "to groups, dropped"]

  private let limit: UInt64
  private var second: UInt32 = 0
  private var toGroups: UInt64 = 0

  /// Takes what `-o KEY=VALUE` says. What is wrong with it is told by `parameters.refuse`, and nothing is loaded.
  public init?(_ parameters: inout PolicyParameters) {
    limit = parameters.number("limit", in: 0...1_000_000, default: 100)
  }

  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if frame.destination.isGroup {
      if view.now != second { (second, toGroups) = (view.now, 0) }
      toGroups += 1
      view.count(0)
      if toGroups > limit {
        view.count(1)
        view.explain("frame number \(toGroups) to a group in this second, of \(limit) at most")
        return .drop(.policy)
      }
    }
    // FrameHeaders(frame) has what stands behind the addresses: VLAN, ARP, IP, TCP, UDP.
    view.learn(frame.source, at: frame.port)
    if frame.destination.isGroup { return .flood }
    let port = view.lookup(frame.destination)
    if port == MACTable.noPort { return .flood }
    return port == frame.port ? .drop(.samePort) : .forward(port)
  }
}
