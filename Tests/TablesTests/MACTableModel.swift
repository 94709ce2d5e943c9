import Tables
import Wire

/// What a MAC table is to do, written to be read and not to be fast.
struct MACTableModel {
  struct Entry: Equatable {
    var port: UInt16
    var isStatic: Bool
    var lastSeen: UInt32
    /// Grows with each refresh: tells the order within a second.
    var order: Int
  }

  var entries: [MACAddress: Entry] = [:]
  var portLimits: [UInt16: Int] = [:]
  var limit: Int
  private var clock = 0

  init(limit: Int) { self.limit = limit }

  func learnedCount(_ port: UInt16) -> Int { entries.values.count { $0.port == port && !$0.isStatic } }

  private func oldest(of port: UInt16) -> MACAddress? {
    entries.filter { $0.value.port == port && !$0.value.isStatic }.min { $0.value.order < $1.value.order }?.key
  }

  private mutating func nextOrder() -> Int {
    clock += 1
    return clock
  }

  /// Where several ports have the most entries, each may be the one that loses; `isGone` tells which the table chose.
  /// nil: there is nothing to evict.
  private mutating func evictFairly(for port: UInt16?, _ isGone: (MACAddress) -> Bool) -> Bool {
    let counts = Dictionary(grouping: entries.values.filter { !$0.isStatic }, by: \.port).mapValues(\.count)
    guard let most = counts.values.max() else { return false }
    if let port, counts[port] == most {
      entries[oldest(of: port)!] = nil
      return true
    }
    let candidates = counts.filter { $0.value == most }.compactMap { oldest(of: $0.key) }
    guard let victim = candidates.first(where: isGone) else { return false }
    entries[victim] = nil
    return true
  }

  mutating func learn(_ mac: MACAddress, port: UInt16, now: UInt32, _ isGone: (MACAddress) -> Bool) -> MACLearning {
    guard mac.isValidSource else { return .refused }
    if var entry = entries[mac] {
      if entry.isStatic {
        if entry.port != port { return .refused }
        entries[mac]!.lastSeen = now
        return .known
      }
      let isMove = entry.port != port
      guard isMove || entry.lastSeen != now else { return .known }
      entry = Entry(port: port, isStatic: false, lastSeen: now, order: nextOrder())
      entries[mac] = entry
      trim(port)
      return isMove ? .moved : .refreshed
    }
    if let portLimit = portLimits[port], learnedCount(port) >= portLimit {
      entries[oldest(of: port)!] = nil
    } else if entries.count == limit {
      guard evictFairly(for: port, isGone) else { return .refused }
    }
    entries[mac] = Entry(port: port, isStatic: false, lastSeen: now, order: nextOrder())
    return .learned
  }

  mutating func insertStatic(_ mac: MACAddress, port: UInt16, _ isGone: (MACAddress) -> Bool) -> Bool {
    guard mac.isValidSource else { return false }
    if let entry = entries[mac] {
      entries[mac] = Entry(port: port, isStatic: true, lastSeen: entry.lastSeen, order: nextOrder())
      return true
    }
    if entries.count == limit && !evictFairly(for: nil, isGone) { return false }
    entries[mac] = Entry(port: port, isStatic: true, lastSeen: 0, order: nextOrder())
    return true
  }

  mutating func setPortLimit(_ port: UInt16, _ limit: Int) {
    portLimits[port] = limit == 0 ? nil : limit
    trim(port)
  }

  private mutating func trim(_ port: UInt16) {
    guard let portLimit = portLimits[port] else { return }
    while learnedCount(port) > portLimit { entries[oldest(of: port)!] = nil }
  }

  mutating func removeAll(port: UInt16) {
    entries = entries.filter { $0.value.port != port }
    portLimits[port] = nil
  }

  mutating func flush(port: UInt16?) {
    entries = entries.filter { $0.value.isStatic || (port != nil && $0.value.port != port) }
  }

  mutating func expire(now: UInt32, ageing: UInt32) -> Int {
    let before = entries.count
    entries = entries.filter { $0.value.isStatic || now - $0.value.lastSeen < ageing }
    return before - entries.count
  }

  mutating func resize(limit: Int, _ isGone: (MACAddress) -> Bool) -> Bool {
    guard entries.values.count(where: \.isStatic) <= limit else { return false }
    self.limit = limit
    while entries.count > limit { guard evictFairly(for: nil, isGone) else { return false } }
    return true
  }
}
