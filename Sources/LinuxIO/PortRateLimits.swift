import Datapath
import Tables

/// The rate limits of a port, which all workers share. The switch makes them before a worker knows them, and frees them when
/// none does any more.
struct PortRateLimits: BitwiseCopyable, @unchecked Sendable {
  private struct Directions: BitwiseCopyable {
    var outgoing: RateLimit?
    var incoming: RateLimit?
  }

  /// Apart, so that a port without limits is no larger for them.
  private let directions: UnsafeMutablePointer<Directions>

  /// nil where nothing is limited.
  init?(_ options: PortOptions) {
    guard options.rateIn != 0 || options.rateOut != 0 else { return nil }
    directions = .allocate(capacity: 1)
    directions.initialize(
      to: Directions(
        outgoing: options.rateOut == 0 ? nil : RateLimit(rate: options.rateOut),
        incoming: options.rateIn == 0 ? nil : RateLimit(rate: options.rateIn)))
  }

  func deallocate() {
    directions.pointee.outgoing?.deallocate()
    directions.pointee.incoming?.deallocate()
    directions.deallocate()
  }

  /// Of what goes to the port; nil: no limit.
  var outgoing: RateLimit? { directions.pointee.outgoing }
  /// Of what comes from it.
  var incoming: RateLimit? { directions.pointee.incoming }
}

extension RateLimit {
  /// The frame, as the engine got it, may pass now.
  func admits(_ frame: FrameDescriptor) -> Bool {
    admits(bytes: frame.length &- min(frame.length, UInt32(Engine.headerLength)), now: Worker.nanoseconds())
  }
}
