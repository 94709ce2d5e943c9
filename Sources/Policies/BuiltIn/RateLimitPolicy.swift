import Datapath
import Synchronization
import Tables

/// A learning switch whose ports send no faster than they may: a token bucket for each, which all workers share.
public struct RateLimitPolicy: LoadablePolicy {
  public static let name = "rate-limit"
  public static let summary = "ports send no faster than rate=RATE, or port.NAME=RATE"

  public let counterNames = ["limited_frames", "limited_bytes"]

  private let rate: RateMeter?
  private let rates: [String: RateMeter]
  private var meters = PortMap<RateMeter?>(nil)
  /// A word for each port there may be: a port has the same index for all workers.
  private let shared = SharedWords(MACTable.portCapacityMax + 1)
  private let buckets: UnsafeMutablePointer<Atomic<UInt64>>

  public init?(_ parameters: inout PolicyParameters) {
    buckets = shared.words
    rate = parameters.text("rate").flatMap { parameters.meter($0, of: "rate") }
    var rates: [String: RateMeter] = [:]
    for (name, text) in parameters.all(prefix: "port.") { rates[name] = parameters.meter(text, of: "port.\(name)") }
    self.rates = rates
    if rate == nil && rates.isEmpty { parameters.refuse("no rate is given: say rate=RATE, or port.NAME=RATE") }
  }

  public mutating func portsChanged(_ ports: [PolicyPort]) {
    meters.removeAll()
    for port in ports {
      // The gateway's and other hosts' frames come from many: only endpoints have the rate that is for all.
      meters[port.index] = port.value(in: rates) ?? (port.kind == .endpoint ? rate : nil)
    }
  }

  @inline(__always)
  public mutating func decide(_ frame: borrowing Frame, _ view: inout NetworkView) -> Verdict {
    if let meter = meters[frame.port] {
      let bucket = buckets + Int(frame.port)
      let passes =
        view.isDryRun
        ? meter.hasRoom(now: view.nanoseconds, at: bucket)
        : meter.admits(bytes: view.frameLength, now: view.nanoseconds, at: bucket)
      guard passes else {
        view.explain("{\(frame.port)} has sent as much as its rate allows")
        view.count(0)
        view.count(1, UInt64(view.frameLength))
        return .drop(.rateExceeded)
      }
    }
    return LearningSwitch().decide(frame, &view)
  }
}
