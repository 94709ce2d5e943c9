import Datapath
import Synchronization
import Tables
import Wire

/// A learning switch that bounds what a port may have flooded: a host that sends to everybody without end, or to addresses that
/// nobody has, is cut down, and what it sends to known stations passes.
public struct StormControlPolicy: LoadablePolicy {
  public static let name = "storm-control"
  public static let summary = "limits for what a port has flooded: broadcast=, multicast=, unknown= RATE, or off"

  /// What a port may have too much of: the place of its counter, and of its word among a port's.
  private enum Kind: Int, CaseIterable {
    case broadcast, multicast, unknown
  }

  public let counterNames = Kind.allCases.map { "\($0)_limited" }

  private let broadcast: RateMeter?
  private let multicast: RateMeter?
  private let unknown: RateMeter?
  /// What is for it is routed, not flooded, even where the MAC table does not have it.
  private var gateway: MACAddress?
  /// A word for each kind of each port there may be: a port has the same index for all workers.
  private let shared = SharedWords((MACTable.portCapacityMax + 1) * Kind.allCases.count)
  private let buckets: UnsafeMutablePointer<Atomic<UInt64>>

  public init?(_ parameters: inout PolicyParameters) {
    buckets = shared.words
    broadcast = Self.meter("broadcast", default: "1000fps", &parameters)
    multicast = Self.meter("multicast", default: "off", &parameters)
    unknown = Self.meter("unknown", default: "1000fps", &parameters)
  }

  private static func meter(_ key: String, default rate: String, _ parameters: inout PolicyParameters) -> RateMeter? {
    let text = parameters.text(key) ?? rate
    return text == "off" ? nil : parameters.meter(text, of: key)
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) { gateway = ports.gatewayMAC }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    let verdict = LearningSwitch().decide(frame, &view)
    guard verdict == .flood else { return verdict }
    if frame.destination == .broadcast { return limit(.broadcast, broadcast, frame.port, &view) }
    if frame.destination.isGroup { return limit(.multicast, multicast, frame.port, &view) }
    if frame.destination == gateway { return .flood }
    return limit(.unknown, unknown, frame.port, &view)
  }

  private func limit(_ kind: Kind, _ meter: RateMeter?, _ port: UInt16, _ view: inout NetworkView) -> Verdict {
    guard let meter else { return .flood }
    let bucket = buckets + (Int(port) &* Kind.allCases.count &+ kind.rawValue)
    let passes =
      view.isDryRun
      ? meter.hasRoom(now: view.nanoseconds, at: bucket)
      : meter.admits(bytes: view.frameLength, now: view.nanoseconds, at: bucket)
    if passes { return .flood }
    view.explain("{\(port)} has had as many \(kind) frames flooded as its limit allows")
    view.count(kind.rawValue)
    return .drop(.storm)
  }
}
