import Glibc

/// When a sender's next messages are due. Who was kept waiting catches up: the rate is that of the whole run.
struct Pace {
  /// Until the next message is due, or the kernel has room again.
  private static let pauseMicroseconds: UInt32 = 50

  /// Messages a second; 0: as fast as the kernel takes them.
  let rate: Double
  let start = MonotonicClock.now()

  /// How many messages to send at `now`, at most a batch.
  func due(at now: UInt64, sent: UInt64) -> Int {
    if rate == 0 { return MessageBatch.capacity }
    return min(MessageBatch.capacity, max(0, Int(owed(at: now, sent: sent))))
  }

  /// Whether more was sent than the rate allows by now.
  func isAhead(at now: UInt64, sent: UInt64) -> Bool { rate > 0 && owed(at: now, sent: sent) < 0 }

  static func pause() { usleep(pauseMicroseconds) }

  private func owed(at now: UInt64, sent: UInt64) -> Double {
    MonotonicClock.seconds(now - start) * rate - Double(sent)
  }
}
