import Glibc

/// What came within a short time, to be told once: when nothing more came for a while, and after a longer one in any case.
struct Burst {
  struct Kinds: OptionSet {
    let rawValue: UInt8
    static let links = Kinds(rawValue: 1)
    static let addresses = Kinds(rawValue: 2)
    static let routes = Kinds(rawValue: 4)
    static let overrun = Kinds(rawValue: 8)
  }

  /// One `ip` command's messages are microseconds apart, those of a script of many commands milliseconds.
  static let quietMilliseconds: Int64 = 10
  static let durationMillisecondsMax: Int64 = 200

  private var kinds: Kinds = []
  private var firstMilliseconds: Int64 = 0
  private var lastMilliseconds: Int64 = 0

  mutating func add(_ kinds: Kinds, now: Int64) {
    if self.kinds.isEmpty { firstMilliseconds = now }
    self.kinds.formUnion(kinds)
    lastMilliseconds = now
  }

  private var endMilliseconds: Int64 {
    min(lastMilliseconds + Self.quietMilliseconds, firstMilliseconds + Self.durationMillisecondsMax)
  }

  /// For poll(2): -1 while there is nothing to tell.
  func waitMilliseconds(now: Int64) -> Int32 { kinds.isEmpty ? -1 : Int32(clamping: max(0, endMilliseconds - now)) }

  func isOver(now: Int64) -> Bool { !kinds.isEmpty && now >= endMilliseconds }

  /// The events, in an order in which each can be read knowing those before it.
  mutating func take() -> [NetworkMonitor.Event] {
    defer { kinds = [] }
    if kinds.contains(.overrun) { return [.overrun] }
    let events: [(Kinds, NetworkMonitor.Event)] = [(.links, .links), (.addresses, .addresses), (.routes, .routes)]
    return events.filter { kinds.contains($0.0) }.map(\.1)
  }
}

extension Int64 {
  /// CLOCK_MONOTONIC in milliseconds.
  static var monotonic: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
