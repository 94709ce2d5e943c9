import Glibc

/// How long to wait between attempts: twice as long each time, and half of that by chance, so that clients which failed
/// together do not come back together.
public struct Backoff: Sendable {
  public let first: Duration
  public let max: Duration
  private var next: Duration

  public init(first: Duration, max: Duration) { (self.first, self.max, next) = (first, max, first) }

  public mutating func delay() -> Duration {
    let delay = next * Double.random(in: 0.5...1)
    next = min(next * 2, max)
    return delay
  }

  public mutating func reset() { next = first }
}
