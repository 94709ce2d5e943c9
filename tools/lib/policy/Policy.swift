import Datapath
import Tables
import Wire

/// The policy that the library is for (Exports.swift).
public typealias ExportedPolicy = @TYPE@

/// A learning switch that drops what goes to one port of TCP or UDP, to begin with. Change `decide`.
///
/// A worker calls it for one frame after the other. Each worker has a copy of the value, and all frames of a flow meet the same one.
public struct @TYPE@: LoadablePolicy {
  public static let name = "@NAME@"
  public static let summary = "what it does, in a line"

  /// What is counted beside what the switch counts, for `martlet policy show`: 0 is the first.
  public let counterNames = ["dropped for their port"]

  /// Frames to this port of TCP or UDP go nowhere: martlet policy load NETWORK FILE -o port=23
  private let port: UInt16

  /// Takes the parameters. What is wrong with one is said with `refuse`, and nothing is loaded.
  public init?(_ parameters: inout PolicyParameters) {
    port = UInt16(parameters.number("port", in: 0...65_535, default: 0))
  }

  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if port != 0 {
      let headers = FrameHeaders(frame)
      if headers.destinationPort == port {
        view.count(0)
        view.explain("TCP or UDP to port \(port): dropped")
        return .drop(.policy)
      }
    }
    view.learn(frame.source, at: frame.port)
    if frame.destination.isGroup { return .flood }
    let target = view.lookup(frame.destination)
    if target == MACTable.noPort { return .flood }
    return target == frame.port ? .drop(.samePort) : .forward(target)
  }
}
