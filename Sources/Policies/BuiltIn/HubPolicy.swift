import Datapath

/// Every frame goes to every other port, as on a shared cable: for who wants to see all there is, and as the dearest a policy can be.
public struct HubPolicy: LoadablePolicy {
  public static let name = "hub"
  public static let summary = "flood every frame, learn nothing"

  public init?(_ parameters: inout PolicyParameters) {}

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    view.explain("a hub sends every frame to every other port")
    return .flood
  }
}
